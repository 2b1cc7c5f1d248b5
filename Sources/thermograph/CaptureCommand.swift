import ArgumentParser
import Device
import Glibc

struct CaptureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "Begins a guided capture now, as if the patient's tag had been presented.",
    discussion: """
      The running service does it, and shows on the terminal what it tells the person before the device. Ctrl-C ends the \
      watching, not the session. Exit status 0: at least one view is saved; 1: none is; 69: the service is not running.

        thermograph capture --patient p-0042
        thermograph capture --patient p-0042 --json
      """)

  @Option(name: .long, help: "The patient's pseudonym or the id that the roster gives; never a name.")
  var patient: String

  @OptionGroup var service: ServiceOptions

  @Flag(name: .long, help: "Print one JSON object a change on standard output.")
  var json = false

  func run() throws {
    var last: CaptureProgress?
    try service.ask(ControlRequest(.capture, patient: patient), silenceSeconds: 3600) { reply in
      if let error = reply.error {
        printToStandardError(error)
        return false
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
    guard let last, !last.savedViews.isEmpty else { throw ExitCode.failure }
    if !json { print("saved: \(last.savedViews.joined(separator: ", "))") }
  }

  private static func line(_ progress: CaptureProgress) -> String {
    var text = progress.state
    if let frames = progress.framesAveraged, let wanted = progress.framesWanted { text += "  \(frames)/\(wanted)" }
    return progress.sentence.isEmpty ? text : text + "  \(progress.sentence)"
  }
}
