import ArgumentParser
import Audit
import Configuration
import ConfigurationFiles
import Device
import Glibc
import LinuxIO
import LocalFiles
import Logging
import Remote
import Trust

struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config",
    abstract: "What others have set on this device: shows it, takes it from a stick, goes back.",
    discussion: """
      A configuration that is signed by a key of remote.configuration_keys_file stands between thermograph.toml and conf.d. \
      Over the line it is tried and taken back by itself; brought to the device it is in force on the spot.
      """,
    subcommands: [Show.self, Import.self, Rollback.self], defaultSubcommand: Show.self)

  struct Options: ParsableArguments {
    @OptionGroup var service: ServiceOptions

    @Option(name: .long, help: "The user who owns the state directory, when root asks.")
    var owner = "thermograph"

    var settings: Settings { ConfigurationFolder(mainFile: service.config).read().settings }

    func parts() throws -> ConfigurationImport {
      let credentials = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
      let folder = ConfigurationFolder(mainFile: service.config, credentialsDirectory: credentials)
      let reading = folder.read()
      guard reading.isUsable else {
        for fault in reading.faults { printToStandardError("\(fault)") }
        throw CheckCommand.notUsable
      }
      return ConfigurationImport(
        folder, settings: reading.settings, time: try SystemClock(),
        logger: Logger(label: "thermograph") { _ in LineLogHandler(level: LogLevel(.warning), journal: nil) })
    }

    /// Carries out `body` as the owner of the state directory: root must not write where the service could have laid a link.
    func asOwner<Value>(_ body: () throws -> Value) throws -> Value {
      do {
        guard geteuid() == 0 else { return try body() }
        var outcome: Result<Value, any Error>?
        let become = try ImportCommand.asUser(owner)
        try become { () throws(FileError) in outcome = Result { try body() } }
        guard let outcome else { throw ExitCode.failure }
        return try outcome.get()
      } catch let refusal as ControlRefusal {
        printToStandardError("nothing was changed: \(refusal)")
        throw ExitCode.failure
      }
    }

    /// Lets a running service take the change over, and says what is left to do.
    func takeOver() throws {
      let reply: ControlReply
      do {
        reply = try service.answer(to: ControlRequest(.reload))
      } catch let code as ExitCode where code == ServiceOptions.notRunning {
        return print("the service does not run; its next start takes it over")
      }
      guard let changes = reply.changes else { return }
      for change in changes.applied { print("in force       \(change)") }
      for change in changes.needRestart { print("after restart  \(change)") }
      if !changes.needRestart.isEmpty { print("to do: systemctl restart thermograph") }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Says what from afar is in force, waits or is tried.",
      discussion: """
          thermograph config show
          thermograph config show --toml
          thermograph check --effective | grep afar
        """)

    @OptionGroup var options: Options

    @Flag(name: .long, help: "Print the text that is in force.")
    var toml = false

    @Flag(name: .long, help: "Print one JSON object on standard output.")
    var json = false

    func run() throws {
      let parts = try options.parts()
      if toml {
        print(try parts.text() ?? "# nothing from afar is in force", terminator: "")
        return
      }
      let standing = try parts.standing()
      if json { return print(try jsonText(standing ?? DeviceReport.RemoteConfiguration(highest: 0))) }
      print(standing?.sentence ?? "nothing ever came from afar")
    }
  }

  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "import", abstract: "Takes a signed configuration from a file and puts it in force.",
      discussion: """
        The file is what thermograph-gateway send configuration --output writes.

          thermograph config import /media/stick/unit-3.configuration
        """)

    @OptionGroup var options: Options

    @Argument(help: "The file with the signed configuration. Links are refused.")
    var file: String

    func run() throws {
      let bytes: [UInt8]
      do {
        bytes = try BoundedFile.read(withoutLinks: file, maximumBytes: Envelope.Limits.statement.envelopeBytes)
      } catch {
        printToStandardError("\(error)")
        throw ExitCode.failure
      }
      let parts = try options.parts()
      let settings = options.settings
      leaveNote(.imported(.configuration, items: 1), settings)
      let installed = try options.asOwner { try parts.install(bytes) }
      leaveNote(.configuration(.installed, version: installed.version, sha256: nil), settings)
      print("version \(installed.version) is in force")
      for remark in installed.remarks { print("note: \(remark)") }
      try options.takeOver()
    }
  }

  struct Rollback: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "rollback", abstract: "Goes back to what was in force before.",
      discussion: """
        What is tried or waits is taken back; with nothing open, the configuration before comes into force again, or the \
        device's own files alone. Twice is back again.

          thermograph config rollback
          thermograph config rollback --all
        """)

    @OptionGroup var options: Options

    @Flag(name: .long, help: "Leave nothing from afar in force.")
    var all = false

    func run() throws {
      let parts = try options.parts()
      leaveNote(.technician(.rollback, user: getuid(), detail: "configuration"), options.settings)
      print(try options.asOwner { try parts.rollBack(isAll: all) })
      try options.takeOver()
    }
  }
}
