import Forwarding
import Provenance
import Screening
import Thermography

/// What the master image says of itself (iTXt `thermograph:manifest`), for a reader who has only the file. It names no
/// patient.
struct MasterManifest: Encodable {
  var schema = "thermograph.master.v1"
  var captureID: RandomIdentifier
  var capturedAt: String
  var clockSynchronised: Bool
  var view: CaptureView
  var quantity = "temperature, centikelvin; 0 is no value"
  var emissivity: Double
  var reflectedTemperatureCelsius: Double
  var framesAveraged: Int
  var intendedUse = Verdict.intendedUse

  init(captureID: RandomIdentifier, capturedAt: Timestamp, view: CaptureView, thermogram: Thermogram) {
    self.captureID = captureID
    self.capturedAt = capturedAt.rfc3339
    clockSynchronised = capturedAt.synchronised
    self.view = view
    emissivity = thermogram.emissivity
    reflectedTemperatureCelsius = (thermogram.reflectedCelsius * 1000).rounded() / 1000
    framesAveraged = thermogram.framesAveraged
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
  }

  func json() throws -> String {
    try CanonicalJSON.text(of: self)
  }
}
