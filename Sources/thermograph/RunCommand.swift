import ArgumentParser
import ConfigurationFiles
import Device
import Glibc
import LinuxIO
import Logging

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs the device until it is told to stop; this is what the service starts.",
    discussion: """
      Waits for tags, captures, screens, stores and delivers. SIGTERM and SIGINT end it cleanly. Exit status 78 means \
      that the configuration is not usable.

        thermograph run
        thermograph run --config ./thermograph.toml --simulate
      """)

  @Option(name: .long, help: "The main configuration file.")
  var config = ConfigurationFolder.installedMainFile

  @Flag(
    name: .long,
    help: "Open a simulated sensor and a reader on a pseudo-terminal instead of the board's bus and serial port.")
  var simulate = false

  func run() async throws {
    let environment = { (name: String) in getenv(name).map { String(cString: $0) } }
    let folder = ConfigurationFolder(mainFile: config, credentialsDirectory: environment("CREDENTIALS_DIRECTORY"))
    let reading = folder.read()
    for notice in reading.notices { printToStandardError("note: \(notice)") }
    guard reading.isUsable else {
      for fault in reading.faults { printToStandardError("\(fault)") }
      throw CheckCommand.notUsable
    }
    let settings = reading.settings
    let level = Logger.Level(rawValue: settings.log.level.rawValue) ?? .info
    let journal = environment("JOURNAL_STREAM") != nil
    let logger = Logger(label: "thermograph") { _ in LineLogHandler(level: level, journal: journal) }
    let notifyEnvironment = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]
      .reduce(into: [String: String]()) { $0[$1] = environment($1) }
    do {
      let simulation =
        try simulate
        ? Simulation(settings: settings, readerPath: settings.paths.runtimeDirectory + "/reader", logger: logger) : nil
      try await DeviceRuntime(
        settings: settings, configurationText: reading.canonicalText,
        credentialsDirectory: environment("CREDENTIALS_DIRECTORY"),
        notifier: ServiceNotifier(environment: notifyEnvironment, processID: getpid()), logger: logger
      ).run(simulation: simulation)
    } catch {
      printToStandardError("thermograph: \(error)")
      throw ExitCode.failure
    }
  }
}
