import ArgumentParser
import Configuration
import ConfigurationFiles
import Glibc

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Checks the configuration and names every mistake with its place.",
    discussion: """
      Reads the file, the drop-ins in conf.d beside it and the board profile. Looks at the files alone: nothing is \
      connected, opened or changed. Exit status 0: usable; 78: not usable.

        thermograph check
        thermograph check --config ./thermograph.toml --effective
        thermograph check --json | jq '.faults[].what'
        thermograph check --schema > thermograph.schema.json
      """)

  /// `EX_CONFIG` of sysexits.h; the unit file tells systemd not to restart after it.
  static let notUsable = ExitCode(78)

  @Option(name: .long, help: "The main configuration file.")
  var config = ConfigurationFolder.installedMainFile

  @Flag(name: .long, help: "Also print the effective value of every key and where it comes from.")
  var effective = false

  @Flag(name: .long, help: "Print one JSON object on standard output.")
  var json = false

  @Flag(name: .long, help: "Print the JSON Schema of the file, for editors, and read nothing.")
  var schema = false

  func run() throws {
    if schema {
      print(SettingsSchema.json.formatted())
      return
    }
    let folder = ConfigurationFolder(
      mainFile: config, credentialsDirectory: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) })
    let reading = folder.read()
    if json {
      print(reading.json(effective: effective).formatted())
    } else {
      for notice in reading.notices { printToStandardError("note: \(notice)") }
      let isTerminal = isatty(STDERR_FILENO) == 1
      for fault in reading.faults {
        printToStandardError("\(fault)")
        if isTerminal, let excerpt = ConfigurationFolder.excerpt(of: fault) { printToStandardError(excerpt.text) }
      }
      if effective { print(reading.effectiveListing(), terminator: "") }
      if reading.isUsable {
        printToStandardError("\(config): the configuration is usable")
      } else {
        let count = reading.faults.count
        printToStandardError("\(config): \(count) \(count == 1 ? "mistake" : "mistakes"), not usable")
      }
    }
    if !reading.isUsable { throw Self.notUsable }
  }
}
