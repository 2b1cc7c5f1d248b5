import Provenance
import Thermography

/// What the session asks of the camera's thread.
enum CameraRequest: Sendable {
  /// Average so many frames from now on and name the result so; a capture under way starts again.
  case capture(RandomIdentifier, frames: Int)
  /// Average some frames for doctor, when no capture is under way; answers nil when one is, or comes between.
  case examine(CaptureRequest, answer: @Sendable (Thermogram?) -> Void)
  /// Forget the capture under way.
  case cancel
  /// Send a live picture no more often than this; nil sends none.
  case watch(everyMilliseconds: Int?)
}
