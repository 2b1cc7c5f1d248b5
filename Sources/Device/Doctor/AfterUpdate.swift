/// The health check after an update of the program: is what ran before running again?
///
/// It judges the answer of the running service and looks at nothing itself, so that it may be asked again and again until
/// the device is up.
package enum AfterUpdate {
  package enum Check: String, Sendable, Codable, CaseIterable {
    case service, ready, camera, outbox, line
  }

  /// What was found of one part.
  package struct Finding: Sendable, Equatable, Codable {
    package var check: Check
    package var outcome: DoctorFinding.Outcome
    /// One line: what was seen.
    package var what: String
    /// What to do about it; nil when nothing is to be done.
    package var remedy: String?

    /// `pass  camera  MLX90640 ...`, and the remedy below it.
    package var text: String {
      let name = check.rawValue + String(repeating: " ", count: max(1, 10 - check.rawValue.count))
      let line = "\(outcome.rawValue)  \(name)\(what)"
      return remedy.map { line + "\n      " + String(repeating: " ", count: 10) + "-> \($0)" } ?? line
    }

    init(_ check: Check, _ outcome: DoctorFinding.Outcome, _ what: String, remedy: String? = nil) {
      self.check = check
      self.outcome = outcome
      self.what = what
      self.remedy = remedy
    }
  }

  static let journal = "systemctl status thermograph; journalctl -u thermograph"

  /// - Parameter reason: why nobody answered.
  package static func findings(withoutService reason: String) -> [Finding] {
    [Finding(.service, .fail, reason, remedy: journal)]
      + Check.allCases.dropFirst().map { Finding($0, .skip, "follows from service") }
  }

  /// - Parameters:
  ///   - report: of the running service.
  ///   - installed: the release of the program that asks.
  package static func findings(_ report: DeviceReport, installed: String) -> [Finding] {
    let service = service(report, installed: installed)
    guard report.mode == .running else {
      return [service] + Check.allCases.dropFirst().map { Finding($0, .skip, "follows from service") }
    }
    return [service, ready(report), camera(report.camera), outbox(report), line(report)]
  }

  private static func service(_ report: DeviceReport, installed: String) -> Finding {
    if report.mode == .safe {
      return Finding(
        .service, .fail, "safe mode: \(report.configuration.faults.first ?? "the configuration is not usable")",
        remedy: "thermograph check names every mistake; then: systemctl restart thermograph")
    }
    guard report.firmware == installed else {
      return Finding(
        .service, .fail, "\(report.firmware) still runs, and \(installed) is installed",
        remedy: "thermograph update hold -- systemctl restart thermograph")
    }
    return Finding(.service, .pass, "\(report.firmware) runs")
  }

  private static func ready(_ report: DeviceReport) -> Finding {
    report.isReady == true
      ? Finding(.ready, .pass, "every part has started")
      : Finding(.ready, .fail, "the service is still starting", remedy: journal)
  }

  private static func camera(_ camera: DeviceReport.Camera) -> Finding {
    switch camera.health {
    case .good: Finding(.camera, .pass, "\(camera.serial) delivers pictures")
    case .starting: Finding(.camera, .fail, "no picture has come yet", remedy: "thermograph doctor --part camera")
    case .lost: Finding(.camera, .fail, "lost: \(camera.reason ?? "")", remedy: "thermograph doctor --part camera")
    }
  }

  private static func outbox(_ report: DeviceReport) -> Finding {
    let what = DeviceReport.backlog(
      captures: report.outbox.waiting["capture", default: 0], oldestSeconds: report.outbox.oldestSeconds)
    if let fault = report.configuration.faults.first(where: { $0.hasPrefix("the outbox") }) {
      return Finding(.outbox, .fail, fault, remedy: "thermograph doctor --part outbox")
    }
    if report.session?.storageIsFull == true {
      return Finding(.outbox, .fail, "open, and full: captures are refused; \(what)", remedy: "thermograph outbox list")
    }
    return Finding(.outbox, .pass, "open; \(what)")
  }

  /// A line that there was before must be there again. One that there was not proves nothing against the update.
  private static func line(_ report: DeviceReport) -> Finding {
    if report.line.state == "connected" { return Finding(.line, .pass, "connected to \(report.line.broker ?? "?")") }
    if report.line.state == "unconfigured" { return Finding(.line, .skip, "no broker is configured") }
    let now = "\(report.line.state)\(report.line.lastFailure.map { ": \($0)" } ?? "")"
    guard let before = report.release?.before else {
      return Finding(
        .line, .warn, "\(now); whether there was a line before is not known",
        remedy: "if there was: thermograph doctor --part name --part tls --part receipt")
    }
    guard before.line == .connected else {
      return Finding(.line, .skip, "\(now); release \(before.firmware) had no line at its end either")
    }
    return Finding(
      .line, .fail, "\(now); release \(before.firmware) had a line",
      remedy: "thermograph doctor --part name --part tls --part receipt")
  }
}
