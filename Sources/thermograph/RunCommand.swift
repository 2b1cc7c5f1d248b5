import ArgumentParser
import Configuration
import ConfigurationFiles
import Device
import Glibc
import LinuxIO
import Logging
import UnixSignals

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs the device until it is told to stop; this is what the service starts.",
    discussion: """
      Waits for tags, captures, screens, stores and delivers. SIGTERM and SIGINT end it cleanly, SIGHUP reads the \
      configuration again. Exit status 0: it was told to stop; 75: a part held the stop up, which was cut short; 78: the \
      configuration is not usable.

        thermograph run
        thermograph run --config ./thermograph.toml --simulate
      """)

  @Option(name: .long, help: "The main configuration file.")
  var config = ConfigurationFolder.installedMainFile

  @Flag(
    name: .long,
    help: "Open a simulated sensor and a reader on a pseudo-terminal instead of the board's bus and serial port.")
  var simulate = false

  @Flag(
    name: .long,
    help: "With a configuration that is not usable, answer status and doctor and do nothing else; else end at once.")
  var safeMode = false

  func run() async throws {
    let environment = { (name: String) in getenv(name).map { String(cString: $0) } }
    var folder = ConfigurationFolder(mainFile: config, credentialsDirectory: environment("CREDENTIALS_DIRECTORY"))
    if !safeMode { folder.fromAfar = takeStart(of: folder.read().settings) }
    let reading = folder.read()
    for notice in reading.notices { printToStandardError("note: \(notice)") }
    let notifyEnvironment = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]
      .reduce(into: [String: String]()) { $0[$1] = environment($1) }
    let notifier = ServiceNotifier(environment: notifyEnvironment, processID: getpid())
    let settings = reading.settings
    let level = LogLevel(Logger.Level(settings.log.level))
    let journal = JournalSocket(journalStream: environment("JOURNAL_STREAM"))
    let logger = Logger(label: "thermograph") { _ in LineLogHandler(level: level, journal: journal) }
    if let mode = SafeMode(reading) {
      for fault in reading.faults { printToStandardError("\(fault)") }
      guard safeMode else {
        tell(notifier, mode.summary)
        throw CheckCommand.notUsable
      }
      try await SafeModeRuntime(mode, folder: folder, notifier: notifier, logger: logger).run()
      return
    }
    if safeMode {
      printToStandardError("\(config): the configuration is usable; there is nothing to be safe from")
      return
    }
    let live = LiveSettings(settings, folder: folder, logger: logger)
    live.onChange(of: ["log"]) { level.value = Logger.Level($0.log.level) }
    let reloads = Task { await reload(live, notifier: notifier, logger: logger) }
    defer { reloads.cancel() }
    do {
      let simulation =
        try simulate
        ? Simulation(settings: settings, readerPath: settings.paths.runtimeDirectory + "/reader", logger: logger) : nil
      try await DeviceRuntime(
        live: live, configurationText: reading.canonicalText,
        credentialsDirectory: environment("CREDENTIALS_DIRECTORY"), notifier: notifier, logger: logger,
        level: level, ignoresTrial: folder.fromAfar == .confirmed
      ).run(simulation: simulation)
    } catch {
      tell(notifier, "\(error)")
      printToStandardError("thermograph: \(error)")
      throw ExitCode.failure
    }
  }

  /// A configuration from afar that is tried has one start; with the second it is taken back.
  private func takeStart(of settings: Settings) -> ConfigurationFolder.FromAfar {
    do {
      if try RemoteConfigurationFolder(stateDirectory: settings.paths.stateDirectory)
        .takeStart(settings, time: SystemClock())
      {
        printToStandardError("note: a configuration from afar was not confirmed before this start; it is taken back")
      }
      return .stored
    } catch {
      printToStandardError("note: the start could not be counted, so that nothing is tried in this one: \(error)")
      return .confirmed
    }
  }

  /// The reason of an end stays in `systemctl status` until the next start.
  private func tell(_ notifier: ServiceNotifier?, _ status: String) {
    do {
      try notifier?.notify(status: status)
    } catch {
      printToStandardError("systemd could not be told: \(error)")
    }
  }

  private func reload(_ live: LiveSettings, notifier: ServiceNotifier?, logger: Logger) async {
    for await _ in await UnixSignalsSequence(trapping: .sighup) {
      do {
        _ = try DeviceRuntime.reload(live, notifier: notifier, logger: logger)
      } catch {
        // Every mistake has been logged; the device runs on.
      }
    }
  }
}
