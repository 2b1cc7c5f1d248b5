import Configuration
import ConfigurationFiles
import LinuxIO
import LocalFiles
import Logging
import Provenance
import Storage

/// Looks at every part of the device, one after the other. Safe beside the running service: what the service holds, the
/// service is asked about.
package struct Doctor {
  package struct Options: Sendable {
    package var simulate = false
    /// Ask for a tag; without, the part is skipped.
    package var asksForTag = true
    /// How long to listen for a tag at each speed, and to wait for a receipt.
    package var listenMilliseconds = 3000
    package var receiptMilliseconds = 10_000

    package init() {}
  }

  let folder: ConfigurationFolder
  let reading: ConfigurationReading
  let options: Options
  let digests = OpenSSLDigests()
  let time: SystemClock
  /// For its ways to open things; it does not run.
  let device: DeviceRuntime
  let logger: Logger
  /// Told what a person is to do meanwhile.
  let prompt: @Sendable (String) -> Void

  var settings: Settings { reading.settings }

  package init(
    folder: ConfigurationFolder, options: Options, logger: Logger, prompt: @escaping @Sendable (String) -> Void
  ) throws {
    self.folder = folder
    self.options = options
    self.prompt = prompt
    self.logger = logger
    reading = folder.read()
    time = try SystemClock()
    device = DeviceRuntime(
      live: LiveSettings(reading.settings, folder: folder, logger: logger), configurationText: reading.canonicalText,
      credentialsDirectory: folder.credentialsDirectory, notifier: nil, logger: logger)
  }

  /// - Parameter report: told of each finding as soon as it is made.
  /// - Returns: all findings, in the order of the parts.
  package func run(_ parts: [DoctorPart], report: (DoctorFinding) -> Void) async -> [DoctorFinding] {
    var findings: [DoctorFinding] = []
    func add(_ finding: DoctorFinding) {
      let finding = finding.explained(by: findings.filter { $0.outcome == .fail }.map(\.part))
      findings.append(finding)
      report(finding)
    }
    let wanted = DoctorPart.allCases.filter(parts.contains)
    let held = options.simulate ? nil : askService(wanted.filter(ServiceDoctor.heldParts.contains))
    let bench = DoctorBench(doctor: self)
    for part in wanted {
      if part != .configuration, !reading.isUsable {
        add(.skip(part, "the configuration is not usable"))
      } else if let finding = held?.first(where: { $0.part == part }) {
        // Of the bus the service knows that it works; its speed is the kernel's to say.
        add(part == .bus && finding.outcome == .pass ? busSpeedFinding(finding.what) : finding)
      } else {
        add(await bench.finding(part))
      }
    }
    await bench.close()
    return findings
  }

  /// nil when no service runs.
  private func askService(_ parts: [DoctorPart]) -> [DoctorFinding]? {
    let client = ControlClient(path: settings.paths.runtimeDirectory + "/" + ControlService.socketName)
    var answer: ControlReply?
    do {
      let request = ControlRequest(
        .doctor, parts: parts.map(\.rawValue), receiptMilliseconds: options.receiptMilliseconds)
      // Beside the receipt: a camera and a line that are just starting, and a picture.
      let silence = options.receiptMilliseconds + 30_000
      try client.ask(request.encoded(), silenceMilliseconds: silence) { line in
        do { answer = try ControlReply(decoding: line) } catch { answer = .error("\(error)") }
        return false
      }
    } catch ControlClientError.notRunning {
      return nil
    } catch {
      answer = .error("\(error)")
    }
    if let findings = answer?.findings { return findings }
    // One fault, not one for each part.
    return parts.enumerated().map { index, part in
      index == 0
        ? .fail(
          part, "the service did not answer: \(answer?.error ?? "it closed the connection")",
          remedy: "systemctl status thermograph; journalctl -u thermograph")
        : .skip(part, "the service did not answer")
    }
  }
}
