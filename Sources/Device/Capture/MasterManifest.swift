import Forwarding
import Provenance
import Screening
import Thermography

/// What the master image says of itself (iTXt `thermograph:manifest`), for a reader who has only the file: enough to make
/// its assessment again. It names no patient.
package struct MasterManifest: Codable, Sendable, Equatable {
  package static let schema = "thermograph.master.v1"

  package var schema = Self.schema
  package var captureID: RandomIdentifier
  package var capturedAt: String
  package var clockSynchronised: Bool
  package var view: CaptureView
  package var quantity = "temperature, centikelvin; 0 is no value"
  package var emissivity: Double
  package var reflectedTemperatureCelsius: Double
  package var framesAveraged: Int
  package var intendedUse = Verdict.intendedUse
  /// Of the program that took and assessed it; nil in files of before it was written down, like `assessment`.
  package var firmware: String?
  /// What the assessment rests on beside the picture.
  package var assessment: AssessmentBasis?

  package init(
    captureID: RandomIdentifier, capturedAt: Timestamp, view: CaptureView, thermogram: Thermogram,
    firmware: String? = nil, assessment: AssessmentBasis? = nil
  ) {
    self.captureID = captureID
    self.capturedAt = capturedAt.rfc3339
    clockSynchronised = capturedAt.synchronised
    self.view = view
    emissivity = thermogram.emissivity
    reflectedTemperatureCelsius = (thermogram.reflectedCelsius * 1000).rounded() / 1000
    framesAveraged = thermogram.framesAveraged
    self.firmware = firmware
    self.assessment = assessment
  }

  private enum CodingKeys: String, CodingKey {
    case schema
    case captureID = "capture_id"
    case capturedAt = "captured_at"
    case clockSynchronised = "clock_synchronised"
    case view, quantity, emissivity
    case reflectedTemperatureCelsius = "reflected_temperature_celsius"
    case framesAveraged = "frames_averaged"
    case intendedUse = "intended_use"
    case firmware, assessment
  }

  func json() throws -> String {
    try CanonicalJSON.text(of: self)
  }
}
