import ArgumentParser
import Device

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Shows how the running device stands, on one screen.",
    discussion: """
      Asks the service over its control socket; run it as root or as a member of the group thermograph. What a person must \
      see to stands first, with an exclamation mark. Exit status 0: the device can capture; 1: it cannot (no camera, no \
      room, safe mode); 69: the service is not running.

        thermograph status
        watch -n 1 thermograph status
        thermograph status --json | jq .outbox
      """)

  @OptionGroup var service: ServiceOptions

  @Flag(name: .long, help: "Print one JSON object on standard output.")
  var json = false

  func run() throws {
    guard let report = try service.answer(to: ControlRequest(.status)).status else { throw ExitCode.failure }
    if json {
      print(try jsonText(report))
    } else {
      print(StatusScreen.text(of: report), terminator: "")
    }
    if !report.canCapture { throw ExitCode.failure }
  }
}
