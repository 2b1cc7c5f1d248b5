import Configuration
import ConfigurationFiles
import LinuxIO
import Logging
import ServiceLifecycle
import Synchronization

/// What runs when the configuration is not usable: status and diagnostics over the control socket, and nothing else. No
/// bus, no serial port, no outbox and no network are opened; `thermograph-safe-mode.service` does not even allow them.
package struct SafeModeRuntime {
  private let folder: ConfigurationFolder
  private let mode: SafeMode
  private let notifier: ServiceNotifier?
  private let logger: Logger

  package init(_ mode: SafeMode, folder: ConfigurationFolder, notifier: ServiceNotifier?, logger: Logger) {
    self.mode = mode
    self.folder = folder
    self.notifier = notifier
    self.logger = logger
  }

  /// Runs until SIGTERM or SIGINT, or until a reload finds the configuration usable.
  package func run() async throws {
    let present = PresentFaults(mode.faults.map(\.description))
    let folder = folder
    let started = SystemClock.monotonicNanoseconds()
    let port = ControlPort(
      report: {
        var report = DeviceReport()
        report.mode = .safe
        report.firmware = DeviceRuntime.firmware
        report.processID = DeviceRuntime.processID
        report.uptimeSeconds = Int((SystemClock.monotonicNanoseconds() - started) / 1_000_000_000)
        report.configuration.path = folder.mainFile
        report.configuration.faults = present.texts
        return report
      },
      diagnose: { parts, _ in
        parts.map { part in
          part == .configuration
            ? .fail(part, present.texts.joined(separator: "; "), remedy: "thermograph check")
            : .skip(part, "safe mode: the configuration is not usable")
        }
      },
      reload: { () throws(ControlRefusal) in
        let reading = folder.read()
        present.replace(reading.faults.map(\.description))
        guard reading.isUsable else {
          throw ControlRefusal("still not usable:\n" + present.texts.joined(separator: "\n"))
        }
        throw ControlRefusal("the configuration is usable now: systemctl restart thermograph")
      },
      correct: { _ in
        throw ControlRefusal("safe mode: nothing can be corrected; thermograph check names the mistakes")
      },
      capture: { _, _ in throw ControlRefusal("safe mode: no capture; thermograph check names the mistakes") },
      hold: { _, _, progress, isGone in
        // Nobody is taken in safe mode: the device is free.
        while progress(HoldProgress(.held)), !isGone() { try await Task.sleep(for: .seconds(1)) }
      },
      confirm: { throw ControlRefusal("safe mode: the configuration is not usable; thermograph check") })
    let services: [any Service] = [
      ControlService(path: mode.paths.runtimeDirectory + "/" + ControlService.socketName, port: port, logger: logger),
      ReadinessService(
        logger: logger, notifier: notifier, ready: { _ in }, stopBegins: {}, status: { [mode] in mode.summary }),
    ]
    logger.error("\(mode.summary)")
    try await ServiceGroup(inOrder: services).run()
  }
}

private final class PresentFaults: Sendable {
  private let faults: Mutex<[String]>

  init(_ faults: [String]) {
    self.faults = Mutex(faults)
  }

  var texts: [String] { faults.withLock { $0 } }

  func replace(_ new: [String]) {
    faults.withLock { $0 = new }
  }
}
