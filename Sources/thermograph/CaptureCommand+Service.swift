import ArgumentParser
import ConfigurationFiles
import Device
import LocalFiles

// A session in the service that holds the camera, watched from the terminal.
extension CaptureCommand {
  /// The running service, or nil when there is none to ask.
  func runningService() throws(FileError) -> ServiceOptions? {
    var service = ServiceOptions()
    service.config = config ?? ConfigurationFolder.installedMainFile
    service.socket = socket
    return try BoundedFile.exists(service.path) ? service : nil
  }

  func capture(through service: ServiceOptions) throws {
    guard let patient else {
      throw CommandFailure(
        "the service runs and watches the reader: present a tag there, or name the patient with --patient")
    }
    guard !skipRest else {
      throw CommandFailure(
        "the service runs and keeps to its rest; --skip-rest is for a session while the service is stopped")
    }
    var last: CaptureProgress?
    try service.ask(ControlRequest(.capture, patient: patient), silenceSeconds: 3600) { reply in
      if let error = reply.error {
        throw CommandFailure(error)
      }
      guard let progress = reply.capture else { return false }
      if json {
        print(try jsonText(progress))
      } else if progress != last {
        printToStandardError(Self.line(progress))
      }
      last = progress
      return !progress.isOver
    }
    guard let last, last.isOver else {
      throw CommandFailure(
        "the service did not say how the session ended; 'thermograph session list' tells what is saved")
    }
    guard !last.savedViews.isEmpty else { throw ExitCode.failure }
    if !json { print("saved: \(last.savedViews.joined(separator: ", "))") }
  }

  private static func line(_ progress: CaptureProgress) -> String {
    var text = progress.state
    if let frames = progress.framesAveraged, let wanted = progress.framesWanted { text += "  \(frames)/\(wanted)" }
    return progress.sentence.isEmpty ? text : text + "  \(progress.sentence)"
  }
}
