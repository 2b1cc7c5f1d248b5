import Identification
import Logging
import Panel
import Provenance
import Screening
import Storage
import Thermography

/// What the device's own parts, and whoever asks it for something, tell the session.
enum DeviceEvent: Sendable {
  /// A person holds this tag to the reader.
  case presented(TagReading)
  /// The tag is gone.
  case removed
  /// Two tags were in the field at once.
  case ambiguousTags
  /// A presentation that names nobody: blank, random, or a lone suspect frame.
  case unreadableTag
  case pressed(ButtonDebouncer.Press)
  /// The camera delivered a sub-page while a capture was under way.
  case averaging(captureID: RandomIdentifier, framesAveraged: Int, of: Int)
  case thermogram(CapturedThermogram)
  /// The picture as it is now, while somebody wants it.
  case live(LivePicture)
  /// The camera stopped delivering; a capture under way is lost. `reason` is for a person.
  case cameraLost(reason: String)
  case cameraReturned
  /// What the driver found worth telling.
  case camera(MLX90640.Event)
  case readerLost(reason: String)
  case readerReturned
  /// The panel is dark and deaf from here on.
  case panelFailed(PanelError)
  case outbox(OutboxNotice)
  /// The outbox was tidied up: there may be more room than before, or less.
  case outboxTidied
  /// What became of a capture that was to be stored.
  case stored(captureID: RandomIdentifier, CaptureStoring)
  case request(SessionControl.Request, answer: @Sendable (SessionReply) -> Void)
  /// The light that finds the device has shone long enough.
  case identified
  /// The configuration was read again.
  case policy(SessionService.Policy)
  /// Other models shall decide, as soon as no session is open.
  case models(Handover<Assessor>)
  /// The alarm that the session had set.
  case timePassed
  /// The watchdog asks whether events are still taken.
  case question(answer: @Sendable () -> Void)
}

/// A finished capture of the camera with its times.
struct CapturedThermogram: Sendable {
  /// Under which it was asked for.
  var captureID: RandomIdentifier
  var thermogram: Thermogram
  var cameraModel = MLX90640.modelName
  var cameraSerial: String
  /// Change of the sensor's temperature over the last minute, nil until a minute was seen.
  var ambientDriftCelsiusPerMinute: Double?
  var began: Timestamp
  /// When the last sub-page had been read.
  var ended: Timestamp
}

/// One picture of the running camera, not averaged.
package struct LivePicture: Sendable {
  package var image: TemperatureImage
  package var ambientCelsius: Double
  /// How much the picture moved since the sub-page before, in degC.
  package var motionCelsius: Double
  package var settling: Bool
  package var at: Timestamp
}

/// The way of events from the device's threads to the session: bounded, and a lost one is never silent.
final class DeviceEvents: Sendable {
  private static let capacity = 256

  let stream: AsyncStream<DeviceEvent>
  private let continuation: AsyncStream<DeviceEvent>.Continuation
  private let logger: Logger

  init(logger: Logger) {
    self.logger = logger
    (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.capacity))
  }

  /// - Returns: false when nobody will see the event: the queue is full, or the session has ended.
  @discardableResult
  func send(_ event: DeviceEvent) -> Bool {
    switch continuation.yield(event) {
    case .enqueued:
      return true
    case .dropped:
      logger.error("the session is stuck; an event was dropped", metadata: ["waiting": "\(Self.capacity)"])
      return false
    case .terminated:
      return false
    @unknown default:
      return false
    }
  }

  /// What was sent before is still handled; nothing after it.
  func finish() {
    continuation.finish()
  }
}
