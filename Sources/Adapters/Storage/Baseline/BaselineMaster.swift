import FoundationEssentials
import Provenance

/// One session's picture of one view, as the comparison over time keeps it for years: the measurement and which pixels were
/// measured. No name, no time of day that a person could be found by: only what the comparison needs.
package struct BaselineMaster: Sendable, Equatable, Codable {
  /// A larger sensor's pictures are not kept: the comparison is not made for them.
  package static let maximumPixels = 4096

  package var captureID: RandomIdentifier
  package var sessionID: RandomIdentifier
  /// Of `CaptureView`, as records write it.
  package var view: String
  /// The reference that the patient had when it was taken. After a merge it differs from the one it is kept under.
  package var takenAs: String
  /// Orders pictures of two devices; those of one stand in their own order.
  package var utcNanoseconds: Int64
  /// Serial number of the sensor.
  package var camera: String
  package var columns: Int
  package var rows: Int
  /// Mean standard error of the measured pixels, degC.
  package var noiseCelsius: Double
  /// Centikelvin, row by row; 0 for a pixel without a value.
  package var samples: [UInt16] {
    get {
      stride(from: 0, to: packedSamples.count - 1, by: 2).map {
        UInt16(packedSamples[$0]) << 8 | UInt16(packedSamples[$0 + 1])
      }
    }
    set { packedSamples = Self.packed(newValue) }
  }
  /// A raw value of `PixelState` a pixel.
  package var states: [UInt8] {
    get { [UInt8](packedStates) }
    set { packedStates = Data(newValue) }
  }

  private var packedSamples: Data
  private var packedStates: Data

  package init(
    captureID: RandomIdentifier, sessionID: RandomIdentifier, view: String, takenAs: String, utcNanoseconds: Int64,
    camera: String, columns: Int, rows: Int, noiseCelsius: Double, samples: [UInt16], states: [UInt8]
  ) {
    self.captureID = captureID
    self.sessionID = sessionID
    self.view = view
    self.takenAs = takenAs
    self.utcNanoseconds = utcNanoseconds
    self.camera = camera
    self.columns = columns
    self.rows = rows
    self.noiseCelsius = noiseCelsius
    packedSamples = Self.packed(samples)
    packedStates = Data(states)
  }

  private static func packed(_ samples: [UInt16]) -> Data {
    Data(samples.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] })
  }

  /// About as many bytes as it takes as JSON: pixels in base64, and its numbers.
  var storedBytes: Int { (packedSamples.count + packedStates.count) * 4 / 3 + 512 }

  /// What is wrong with one that was read; nil when nothing is.
  var fault: String? {
    guard (1...Self.maximumPixels).contains(columns), (1...Self.maximumPixels).contains(rows),
      columns * rows <= Self.maximumPixels
    else { return "\(columns) x \(rows) pixels" }
    guard packedSamples.count == 2 * columns * rows, packedStates.count == columns * rows else {
      return "\(packedSamples.count) and \(packedStates.count) bytes for \(columns) x \(rows) pixels"
    }
    guard noiseCelsius.isFinite, (0...100).contains(noiseCelsius) else { return "a noise of \(noiseCelsius) degC" }
    guard [view, takenAs, camera].allSatisfy({ $0.utf8.count <= 64 }) else { return "a text of more than 64 bytes" }
    return nil
  }

  private enum CodingKeys: String, CodingKey {
    case captureID = "capture_id"
    case sessionID = "session_id"
    case view
    case takenAs = "taken_as"
    case utcNanoseconds = "utc_nanoseconds"
    case camera, columns, rows
    case noiseCelsius = "noise_celsius"
    case packedSamples = "samples"
    case packedStates = "states"
  }
}
