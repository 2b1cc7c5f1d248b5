import ArgumentParser
import Audit
import Configuration
import ConfigurationFiles
import Device
import Glibc
import Provenance
import Remote
import Storage

struct UpdateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update",
    abstract: "Models that come signed, and a free device for updates of the program.",
    discussion: """
        thermograph update import /media/stick/repository
        thermograph update status
        thermograph update rollback
        thermograph update hold -- apt-get install ./thermograph_0.2.0_arm64.deb
      """,
    subcommands: [
      UpdateHoldCommand.self, UpdateImportCommand.self, UpdateRollbackCommand.self, UpdateStatusCommand.self,
    ])
}

/// Whose record it is.
struct UpdateOptions: ParsableArguments {
  @Option(name: .long, help: "The main configuration file; it says where the state directory is.")
  var config = ConfigurationFolder.installedMainFile

  var settings: Settings { ConfigurationFolder(mainFile: config).read().settings }

  var store: UpdateStore { UpdateStore(stateDirectory: settings.paths.stateDirectory) }
}

struct UpdateStatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Shows which models decide, what came before them, and the update under way.",
    discussion: """
        thermograph update status
        thermograph update status --json
      """)

  @OptionGroup var options: UpdateOptions

  @Flag(name: .long, help: "Print the record as JSON.")
  var json = false

  func run() throws {
    let book = try options.store.read()
    if json {
      print(try jsonText(book))
    } else {
      for line in book.lines { print(line) }
    }
  }
}

struct UpdateRollbackCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback",
    abstract: "Goes back to the model before, or gives an update up that is under way.",
    discussion: """
      The running service takes it over within seconds, between two sessions. It needs no stick and no line.

        thermograph update rollback
        thermograph update rollback quality
      """)

  @Argument(help: "Which model: \(ModelSlot.allCases.map(\.rawValue).joined(separator: " or ")).")
  var slot = ModelSlot.screening.rawValue

  @OptionGroup var options: UpdateOptions

  func validate() throws {
    guard ModelSlot(rawValue: slot) != nil else {
      throw ValidationError("'\(slot)': expected \(ModelSlot.allCases.map(\.rawValue).joined(separator: " or ")).")
    }
  }

  func run() throws {
    guard let slot = ModelSlot(rawValue: slot) else { return }
    do {
      leaveNote(.technician(.rollback, user: getuid(), detail: slot.rawValue), options.settings)
      let book = try options.store.apply(.rollback(slot, reason: "taken back at the device"))
      print("\(slot.rawValue): \(book[slot].active.text)")
    } catch {
      printToStandardError("\(error)")
      throw ExitCode.failure
    }
  }
}
