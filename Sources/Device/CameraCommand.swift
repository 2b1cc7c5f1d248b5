import Provenance

/// What the session asks of the camera's thread.
enum CameraCommand: Sendable {
  /// Average so many frames from now on and name the result so; a capture under way starts again.
  case capture(RandomIdentifier, frames: Int)
  /// Forget the capture under way.
  case cancel
  /// Send a live picture no more often than this; nil sends none.
  case watch(everyMilliseconds: Int?)
}
