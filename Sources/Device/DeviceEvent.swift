import Identification
import Logging
import Provenance
import Thermography

/// What the device's own parts tell the capture coordinator.
enum DeviceEvent: Sendable {
  /// A person holds this tag to the reader.
  case presented(TagReading)
  /// The tag is gone.
  case removed
  /// Two tags were in the field at once.
  case ambiguousTags
  /// The camera delivered a sub-page while a capture was under way.
  case averaging(framesAveraged: Int, of: Int)
  case thermogram(CapturedThermogram)
  /// The camera stopped delivering; a capture under way is lost. `reason` is for a person.
  case cameraLost(reason: String)
  case cameraReturned
  /// What the driver found worth telling.
  case camera(MLX90640.Event)
  case readerLost(reason: String)
  case readerReturned
  /// The watchdog asks whether events are still taken.
  case question(answer: @Sendable () -> Void)
}

/// A finished capture of the camera with its times.
struct CapturedThermogram: Sendable {
  var thermogram: Thermogram
  var cameraSerial: String
  /// Change of the sensor's temperature over the last minute, nil until a minute was seen.
  var ambientDriftCelsiusPerMinute: Double?
  var began: Timestamp
  /// When the last sub-page had been read.
  var ended: Timestamp
}

/// The way of events from the device's threads to the coordinator: bounded, and a lost one is never silent.
final class DeviceEvents: Sendable {
  private static let capacity = 256

  let stream: AsyncStream<DeviceEvent>
  private let continuation: AsyncStream<DeviceEvent>.Continuation
  private let logger: Logger

  init(logger: Logger) {
    self.logger = logger
    (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.capacity))
  }

  func send(_ event: DeviceEvent) {
    guard case .dropped = continuation.yield(event) else { return }
    logger.error("the capture coordinator is stuck; an event was dropped", metadata: ["waiting": "\(Self.capacity)"])
  }
}
