import ArgumentParser
import Configuration
import ConfigurationFiles
import Device
import FoundationEssentials
import Glibc
import Identification
import LocalFiles
import Logging
import Screening

struct CaptureCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "Runs one guided capture session at the terminal.",
    discussion: """
      Shows the live image, the progress and the gates as they change; into a pipe or a file it writes plain lines. The \
      session, gates, verdict and record are those of the service. Each key counts as it is pressed: Enter goes on, y \
      and n answer, s skips the rest, q ends the session.

      A running service holds the camera and the outbox. Then it is the service that captures, as if the patient's tag \
      had been presented, and what it tells the person before the device is shown here; Ctrl-C ends the watching, not \
      the session.

      --simulate draws a torso, --replay plays a folder as 'camera dump' writes it; both leave out the rest and take no \
      second attempt, and need --output, because an outbox is for patients. Exit status 0: every view is \
      saved; where the service captures, at least one view.

        thermograph capture
        thermograph capture --patient ward-7-0042 --skip-rest
        thermograph capture --simulate --output /tmp/session
        thermograph capture --replay /tmp/sensor --output /tmp/session --json
      """)

  @Option(name: .long, help: "The main configuration file; with --simulate and --replay the defaults will do.")
  var config: String?

  @Option(name: .long, help: "The running service's control socket, instead of the configuration's.")
  var socket: String?

  @Option(
    name: .long, parsing: .unconditional,
    help: "The patient's pseudonym or roster id; without it the reader's tag says.")
  var patient: String?

  @Flag(name: .long, help: "A simulated sensor that looks at a drawn torso.")
  var simulate = false

  @Option(name: .long, help: ArgumentHelp("A recording of 'camera dump' instead of the sensor.", valueName: "folder"))
  var replay: String?

  @Option(name: .long, help: ArgumentHelp("Write records and images here, not into the outbox.", valueName: "folder"))
  var output: String?

  @Flag(name: .long, help: "Leave out the rest; the record says how much of it is missing.")
  var skipRest = false

  @Flag(name: .long, help: "Print one JSON object for each capture on standard output, and nothing else there.")
  var json = false

  func validate() throws {
    if simulate, replay != nil { throw ValidationError("--simulate and --replay exclude each other") }
    if simulate || replay != nil, output == nil {
      throw ValidationError("--simulate and --replay need --output FOLDER: an outbox is for patients")
    }
    if let patient, PatientReference(patient) == nil {
      throw ValidationError("--patient '\(patient)': expected 1 to 36 of a-z, 0-9 and -")
    }
  }

  func run() async throws {
    if !simulate, replay == nil, output == nil, let service = try runningService() {
      return try capture(through: service)
    }
    let (settings, text) = try readSettings()
    let logger = Logger(label: "thermograph") { _ in LineLogHandler(level: LogLevel(.warning), journal: nil) }
    let display = TerminalDisplay(showsPicture: !json && isatty(STDOUT_FILENO) == 1)
    let source: TerminalSession.Source = simulate ? .simulated : replay.map { .recorded(folder: $0) } ?? .sensor
    var named = patient
    if named == nil { if case .sensor = source {} else { named = "nobody" } }
    let outcome: TerminalOutcome
    do {
      outcome = try await DeviceRuntime(
        live: LiveSettings(
          settings, folder: ConfigurationFolder(mainFile: config ?? ConfigurationFolder.installedMainFile),
          logger: logger),
        configurationText: text,
        credentialsDirectory: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }, notifier: nil,
        logger: logger
      ).run(
        TerminalSession(
          source: source, patient: named.flatMap { PatientReference($0) }, output: output, skipsRest: skipRest,
          livePeriodMilliseconds: 250, picture: { display.show($0, $1) }, began: { display.begin($0) }))
    } catch {
      display.end()
      throw CommandFailure("\(error)")
    }
    display.end()
    if let sentence = outcome.sentence { printToStandardError(sentence) }
    try report(outcome)
    guard outcome.summary?.outcome == .complete else { throw ExitCode.failure }
  }

  private func readSettings() throws -> (Settings, text: String) {
    let main = config ?? ConfigurationFolder.installedMainFile
    if config == nil, output != nil, simulate || replay != nil, try !BoundedFile.exists(main) {
      var settings = Settings()
      (settings.device.id, settings.device.site) = ("terminal", "terminal")
      // In the project's own folder nothing is installed.
      if try !BoundedFile.exists(settings.paths.hardwareDirectory) {
        settings.paths.hardwareDirectory = "Hardware"
        settings.paths.modelsDirectory = "Models"
      }
      return (settings, ConfigurationReading(settings: settings).canonicalText)
    }
    let credentials = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
    let reading = ConfigurationFolder(mainFile: main, credentialsDirectory: credentials).read()
    guard reading.isUsable else {
      for fault in reading.faults { printToStandardError("\(fault)") }
      throw CheckCommand.notUsable
    }
    return (reading.settings, reading.canonicalText)
  }

  private func report(_ outcome: TerminalOutcome) throws {
    for saved in outcome.saved {
      let verdict = saved.assessment.verdict
      // A demonstration model's outcome is shown to nobody who could take it for more.
      let shown = verdict.demonstration ? "withheld (demonstration model)" : verdict.outcome.rawValue
      let folder = output.map { "\($0)/\(saved.captureID)" }
      if json {
        try printJSON(
          SavedLine(
            captureID: "\(saved.captureID)", folder: folder, outcome: shown,
            failedGates: saved.assessment.gates.filter { !$0.passed }.map(\.code.rawValue)))
      } else {
        print("saved \(folder ?? "\(saved.captureID) in the outbox")  verdict \(shown)")
      }
    }
  }

  private struct SavedLine: Encodable {
    let captureID: String
    let folder: String?
    let outcome: String
    let failedGates: [String]

    private enum CodingKeys: String, CodingKey {
      case folder, outcome
      case captureID = "capture_id"
      case failedGates = "failed_gates"
    }
  }
}
