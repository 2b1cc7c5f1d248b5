/// What the capture coordinator asks of the camera's thread.
enum CameraCommand: Sendable {
  /// Average so many frames from now on; a capture under way starts again.
  case capture(frames: Int)
  /// Forget the capture under way.
  case cancel
}
