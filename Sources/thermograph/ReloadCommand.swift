import ArgumentParser
import Device

struct ReloadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Lets the running device read its configuration again.",
    discussion: """
      Prints what has changed: what is in force at once, and what needs a restart of the service. With one mistake in the \
      files nothing changes, every mistake is printed, and the exit status is 1. `systemctl reload thermograph` does the \
      same. Exit status 69: the service is not running.

        thermograph reload
        thermograph reload --json | jq .need_restart
      """)

  @OptionGroup var service: ServiceOptions

  @Flag(name: .long, help: "Print one JSON object on standard output.")
  var json = false

  func run() throws {
    guard let changes = try service.answer(to: ControlRequest(.reload)).changes else { throw ExitCode.failure }
    if json {
      print(try jsonText(changes))
    } else {
      for change in changes.applied { print("in force       \(change)") }
      for change in changes.needRestart { print("after restart  \(change)") }
      for problem in changes.problems ?? [] { printToStandardError("attention: \(problem)") }
      if changes.applied.isEmpty && changes.needRestart.isEmpty { print("nothing has changed") }
    }
  }
}
