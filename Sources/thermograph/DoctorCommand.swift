import ArgumentParser
import ConfigurationFiles
import Cryptography
import Device
import Glibc
import LinuxIO
import LocalFiles
import Logging
import Storage

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Looks at every part of the device and says what is wrong and how to repair it.",
    discussion: """
      Safe beside the running service: what the service holds (camera, reader, lines, the connection), the service is asked \
      about. While it does not run, doctor opens everything itself. Each part passes, warns, fails, or is skipped with the \
      reason; what only follows from an earlier fault is skipped and names it, so that a failure is a thing to repair. Exit \
      status 0: nothing failed; 1: something did.

      --after-update is the check after an update of the program: the new release runs and is ready, the camera delivers, \
      the outbox is open, and the line is up again if there was one before. It waits for them as long as --timeout says, and \
      confirms the release when nothing fails.

        thermograph doctor
        thermograph doctor --part camera --part frame
        thermograph doctor --simulate --config ./thermograph.toml
        thermograph doctor --after-update
        thermograph doctor --json | jq 'select(.outcome != "pass")'

      With --acceptance it watches the running service instead and writes how the board did, signed by the device's own key \
      (broker.key_file): sub-pages lost, jitter, brown-outs, times of capture and verdict, memory, time to ready.

        thermograph doctor --acceptance 24h --report report.json
      """)

  @Option(name: .long, help: "The main configuration file.")
  var config = ConfigurationFolder.installedMainFile

  @Option(name: .long, help: "Look at this part only; may be repeated. --list names all.")
  var part: [String] = []

  @Flag(name: .long, help: "List the parts and end.")
  var list = false

  @Flag(name: .long, help: "Do not ask for a tag.")
  var noTag = false

  @Option(name: .long, parsing: .unconditional, help: "How long to listen for a tag at each speed, 100 to 60000.")
  var listenMilliseconds = 3000

  @Option(name: .long, parsing: .unconditional, help: "How long to wait for a receiver's receipt, 100 to 60000.")
  var receiptMilliseconds = 10_000

  @Flag(name: .long, help: "Examine a simulated sensor and reader instead of the board's.")
  var simulate = false

  @Flag(name: .long, help: "The short check after an update of the program.")
  var afterUpdate = false

  @Option(name: .long, help: "With --after-update: how many seconds to wait until all is well, 0 to 3600.")
  var timeout = 120

  @Flag(name: .long, help: "Print one JSON object for each part on standard output.")
  var json = false

  @Option(name: .long, help: "Watch the running service for so long: 90s, 30m, 24h or 7d; 60 seconds to 30 days.")
  var acceptance: String?

  @Option(name: .long, help: "With --acceptance: the file to make.")
  var report = "acceptance.json"

  func validate() throws {
    if let acceptance, Acceptance.seconds(acceptance) == nil {
      throw ValidationError("--acceptance is 60s to 30d, such as 24h, not '\(acceptance)'")
    }
    for name in part where DoctorPart(rawValue: name) == nil {
      throw ValidationError(
        "there is no part '\(name)'; expected one of \(DoctorPart.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    guard (0...3600).contains(timeout) else { throw ValidationError("--timeout is 0 to 3600, not \(timeout)") }
    guard !afterUpdate || (part.isEmpty && !list && !simulate) else {
      throw ValidationError("--after-update asks the running service; it goes without --part, --list and --simulate")
    }
    for (name, value) in [("listen", listenMilliseconds), ("receipt", receiptMilliseconds)] {
      guard (100...60_000).contains(value) else {
        throw ValidationError("--\(name)-milliseconds is 100 to 60000, not \(value)")
      }
    }
  }

  func run() async throws {
    if list {
      for part in DoctorPart.allCases { print("\(part.rawValue)\t\(part.summary)") }
      return
    }
    if afterUpdate { return try checkAfterUpdate() }
    if let acceptance, let seconds = Acceptance.seconds(acceptance) { return try await accept(seconds) }
    var options = Doctor.Options()
    options.simulate = simulate
    options.asksForTag = !noTag
    options.listenMilliseconds = listenMilliseconds
    options.receiptMilliseconds = receiptMilliseconds
    let folder = ConfigurationFolder(
      mainFile: config, credentialsDirectory: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) })
    let doctor = try Doctor(
      folder: folder, options: options,
      logger: Logger(label: "doctor") { _ in LineLogHandler(level: LogLevel(.error), journal: nil) },
      prompt: { printToStandardError("... \($0)") })
    let parts = part.isEmpty ? DoctorPart.allCases : part.compactMap(DoctorPart.init)
    let findings = await doctor.run(parts) { finding in
      if json { print(jsonLine(finding)) } else { print(finding.text) }
      // A person watches: each part as soon as it is known.
      fflush(nil)
    }
    if findings.contains(where: { $0.outcome == .fail }) { throw ExitCode.failure }
  }

  private func accept(_ seconds: Int) async throws {
    guard try !BoundedFile.exists(report, followingLink: false) else {
      throw ValidationError("\(report) is there already; name another with --report")
    }
    let folder = ConfigurationFolder(
      mainFile: config, credentialsDirectory: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) })
    let settings = folder.read().settings
    // Before the watch and not a day later: whether it can be signed.
    guard let secret = settings.broker.keyFile else {
      printToStandardError("no key signs the report: broker.key_file names none; thermograph enroll makes one")
      throw ExitCode.failure
    }
    let key = try SigningKey(
      pem: SecretFiles(credentialsDirectory: folder.credentialsDirectory).bytes(of: secret), digests: OpenSSLDigests())
    let path = settings.paths.runtimeDirectory + "/control.socket"
    let watch = Acceptance(
      seconds: seconds, board: settings.device.board, look: { Self.status(of: path) },
      wait: { try await Task.sleep(for: .seconds($0)) })
    let result = try await watch.run { passed in printToStandardError("... \(passed) of \(seconds) s") }
    try BoundedFile.replace(report, with: Acceptance.signed(result, by: key))
    print(try jsonText(result))
  }

  private static func status(of path: String) -> DeviceReport? {
    var report: DeviceReport?
    do {
      try ControlClient(path: path).ask(ControlRequest(.status).encoded(), silenceMilliseconds: 10_000) { line in
        do { report = try ControlReply(decoding: line).status } catch { report = nil }
        return false
      }
    } catch { return nil }
    return report
  }

  private func jsonLine(_ finding: DoctorFinding) -> String {
    do { return try jsonText(finding) } catch {
      return "{\"error\":\"\(finding.part.rawValue) cannot be written as JSON\"}"
    }
  }
}
