import ArgumentParser
import Configuration
import ConfigurationFiles
import Device
import Glibc
import LocalFiles
import Provenance

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Checks the configuration and names every mistake with its place.",
    discussion: """
      Reads the file, the drop-ins in conf.d beside it and the board profile, and then the files that they name: models, \
      language, roster, keys, certificates. Nothing is connected or changed. The named files are looked at if the state \
      directory exists, with --files always, with --no-files never. Exit status 0: usable; 1: usable, but a named file is \
      not; 78: not usable. Each fault says what it prevents. Pictures can be taken all the same, unless the site key or the \
      outbox key is missing.

        thermograph check
        thermograph check --config ./thermograph.toml --effective
        thermograph check --config ./thermograph.toml --no-files
        thermograph check --json | jq '.faults[].what'
        thermograph check --schema > thermograph.schema.json
      """)

  /// `EX_CONFIG` of sysexits.h; the unit file tells systemd not to restart after it.
  static let notUsable = ExitCode(78)

  @Option(name: .long, help: "The main configuration file.")
  var config = ConfigurationFolder.installedMainFile

  @Flag(
    name: .long, inversion: .prefixedNo,
    help: "Look at the named files too; default: where the state directory exists.")
  var files: Bool?

  @Flag(name: .long, help: "Also print the effective value of every key and where it comes from.")
  var effective = false

  @Flag(name: .long, help: "Print one JSON object on standard output.")
  var json = false

  @Flag(name: .long, help: "Print the JSON Schema of the file, for editors, and read nothing.")
  var schema = false

  func run() throws {
    if schema {
      print(try CanonicalJSON.indentedText(of: SettingsSchema.json))
      return
    }
    let credentials = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
    let reading = ConfigurationFolder(mainFile: config, credentialsDirectory: credentials).read()
    let fileFaults = try fileFaults(reading, credentials)
    if json {
      print(try CanonicalJSON.text(of: reading.json(effective: effective, files: fileFaults)))
    } else {
      for notice in reading.notices { printToStandardError("note: \(notice)") }
      let isTerminal = isatty(STDERR_FILENO) == 1
      for fault in reading.faults {
        printToStandardError("\(fault)")
        if isTerminal, let excerpt = ConfigurationFolder.excerpt(of: fault) { printToStandardError(excerpt.text) }
      }
      for fault in fileFaults ?? [] { printToStandardError("\(fault)") }
      if fileFaults != nil {
        for notice in SiteRootNotice.ofDevice(reading.settings) { printToStandardError("note: \(notice)") }
      }
      if effective { print(reading.effectiveListing(), terminator: "") }
      if reading.isUsable {
        let count = fileFaults?.count ?? 0
        let files =
          count == 0 ? "" : "; \(count) \(count == 1 ? "fault" : "faults") in the files that it names"
        printToStandardError("\(config): the configuration is usable\(files)")
      } else {
        let count = reading.faults.count
        printToStandardError("\(config): \(count) \(count == 1 ? "mistake" : "mistakes"), not usable")
      }
    }
    if !reading.isUsable { throw Self.notUsable }
    if fileFaults?.isEmpty == false { throw ExitCode.failure }
  }

  /// nil where nobody asked for it, and where it makes no sense yet.
  private func fileFaults(_ reading: ConfigurationReading, _ credentials: String?) throws -> [ConfigurationFault]? {
    guard reading.isUsable else { return nil }
    guard try files ?? BoundedFile.exists(reading.settings.paths.stateDirectory) else { return nil }
    return NamedFiles(reading, secrets: SecretFiles(credentialsDirectory: credentials)).faults()
  }
}
