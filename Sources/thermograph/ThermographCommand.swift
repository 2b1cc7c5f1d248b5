import ArgumentParser
import Configuration
import Device
import Glibc

@main
struct ThermographCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "thermograph",
    abstract: "Captures thermal images, screens them on the device and delivers them. Research use only.",
    discussion: """
      A technician's three: 'check' names every mistake in the configuration, 'doctor' looks at every part of the device \
      and says how to repair it, 'status' shows how the running device stands. '--help' after any command explains it, with \
      examples; man thermograph has all of it.

        thermograph check
        thermograph doctor
        thermograph status
        thermograph help outbox
      """,
    version: DeviceRuntime.firmware,
    subcommands: [
      AssessCommand.self, AuditCommand.self, CameraCommand.self, CaptureCommand.self, CheckCommand.self,
      ClockCommand.self,
      ConfigCommand.self,
      DoctorCommand.self,
      EnrollCommand.self, ImportCommand.self, InferCommand.self, ModelCommand.self, OutboxCommand.self,
      PanelCommand.self, PatientCommand.self, ReceiveCommand.self, ReloadCommand.self, ResultsCommand.self,
      RosterCommand.self, RunCommand.self, SentinelCommand.self, SessionCommand.self, StatusCommand.self,
      TagCommand.self, TrustCommand.self, UpdateCommand.self,
    ]
  )

  static func main() async {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if let sentence = misspelling(in: arguments, below: Self.self, path: "thermograph") {
      printToStandardError(sentence)
      // EX_USAGE of sysexits.h, as for every other mistake on the command line.
      Glibc.exit(64)
    }
    await main(arguments)
  }

  /// What is said of a command that does not exist; nil when the words name one, or leave it to the parser.
  private static func misspelling(
    in arguments: [String], below command: any ParsableCommand.Type, path: String
  ) -> String? {
    let subcommands = command.configuration.subcommands
    guard let word = arguments.first, !word.hasPrefix("-"), word != "help", !subcommands.isEmpty,
      command.configuration.defaultSubcommand == nil
    else { return nil }
    if let known = subcommands.first(where: { name(of: $0) == word }) {
      return misspelling(in: Array(arguments.dropFirst()), below: known, path: "\(path) \(word)")
    }
    let names = subcommands.map(name(of:))
    let meant = nearestName(to: word, among: names).map { "did you mean '\(path) \($0)'?" }
    return "there is no '\(path) \(word)'; "
      + (meant ?? "there are \(names.joined(separator: ", ")); '\(path) --help' explains them")
  }

  /// As ArgumentParser makes it of the type where none is given.
  private static func name(of command: any ParsableCommand.Type) -> String {
    command.configuration.commandName ?? "\(command)".lowercased()
  }
}
