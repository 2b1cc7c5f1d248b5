import Forwarding

/// The device's report as one screen that a person reads in five seconds: first whether it is well, then what to see to,
/// then a line for each part.
package enum StatusScreen {
  /// - Returns: at most 24 lines of at most about 100 columns.
  package static func text(of report: DeviceReport) -> String {
    var lines = [heading(report)]
    let complaints = report.complaints
    for complaint in complaints.prefix(8) { lines.append("  ! \(complaint)") }
    if complaints.count > 8 { lines.append("  ! and \(complaints.count - 8) more") }
    lines.append("")
    func row(_ name: String, _ text: String) {
      lines.append(name + String(repeating: " ", count: max(1, 10 - name.count)) + text)
    }
    if report.mode == .running {
      row("camera", camera(report.camera))
      row("reader", reader(report.reader))
      if let session = report.session { row("session", self.session(session)) }
      row("outbox", outbox(report.outbox))
      row("line", line(report.line))
      row("models", report.models.isEmpty ? "none" : report.models.map(\.id).joined(separator: ", "))
      if let update = report.update { row("update", update) }
      if let sentinel = report.sentinel, sentinel.model != nil { row("sentinel", self.sentinel(sentinel)) }
      for root in report.trust ?? [] { row("trust", trust(root)) }
      if let audit = report.audit {
        row("audit", "\(audit.entries) entries, \(audit.cosignedEntries.map { "\($0)" } ?? "none") cosigned")
      }
      row("clock", "\(report.clock.now)  \(report.clock.source == "none" ? "not synchronised" : report.clock.source)")
      row(
        "active",
        report.beats.map { "\($0.part) \(rounded($0.secondsAgo)) s" }.joined(separator: ", ") + " ago")
    }
    if let times = report.times { row("times", Self.times(times)) }
    if let remote = report.configuration.remote { row("from afar", remote.sentence) }
    row("config", report.configuration.path + "  " + report.configuration.sha256.prefix(12))
    return lines.joined(separator: "\n") + "\n"
  }

  private static func heading(_ report: DeviceReport) -> String {
    let state =
      if report.mode == .safe {
        "SAFE MODE"
      } else if report.camera.health == .lost || report.session?.storageIsFull == true {
        "CANNOT CAPTURE"
      } else {
        report.complaints.isEmpty ? "OK" : "OK, but"
      }
    let name = report.device.isEmpty ? "thermograph" : "\(report.site)/\(report.device)"
    return "\(state)  \(name)  \(report.firmware)  up \(duration(report.uptimeSeconds))"
  }

  private static func camera(_ camera: DeviceReport.Camera) -> String {
    guard camera.health == .good else { return camera.health.rawValue + "  " + camera.bus }
    var text = "good  \(camera.serial)  \(rounded(camera.subPagesPerSecond)) sub-pages/s"
    if let ambient = camera.ambientCelsius { text += "  \(rounded(ambient)) degC" }
    if let supply = camera.supplyVolts { text += "  \(rounded(supply)) V" }
    if camera.isSettling { text += "  warming up" }
    if camera.defectivePixels > 0 { text += "  \(camera.defectivePixels) pixels interpolated" }
    return text
  }

  private static func reader(_ reader: DeviceReport.Reader) -> String {
    "\(reader.health.rawValue)  \(reader.kind) at \(reader.baud) on \(reader.device)  \(reader.presentations) tags"
  }

  private static func session(_ session: DeviceReport.Session) -> String {
    [session.state, session.view ?? "", session.sentence].filter { !$0.isEmpty }.joined(separator: "  ")
  }

  private static func outbox(_ outbox: DeviceReport.Outbox) -> String {
    let others = outbox.waiting.filter { $0.value > 0 && $0.key != DeliveryClass.capture.name }
      .sorted { $0.key < $1.key }.map {
        "\($0.value) \($0.key)\($0.value == 1 || $0.key == DeliveryClass.health.name ? "" : "s")"
      }
    let captures = outbox.waiting[DeliveryClass.capture.name, default: 0]
    var text =
      captures == 0 && !others.isEmpty
      ? "no capture waits" : DeviceReport.backlog(captures: captures, oldestSeconds: outbox.oldestSeconds)
    if !others.isEmpty { text += "; also " + others.joined(separator: ", ") }
    let percent = outbox.quotaBytes > 0 ? outbox.storedBytes * 100 / outbox.quotaBytes : 0
    return text + "  \(size(outbox.storedBytes)) stored, \(percent) % of the quota"
  }

  /// Of each term the median and the 95th percentile in seconds, and how many no clock proves.
  private static func times(_ figures: [String: TimesDistribution.Figures]) -> String {
    func seconds(_ milliseconds: Int64?) -> String { milliseconds.map { "\($0 / 1000).\($0 / 100 % 10)" } ?? "-" }
    return CaptureTimes.Term.allCases.compactMap { term in
      figures[term.rawValue].map { figure in
        "\(term.rawValue) \(seconds(figure.medianMilliseconds))/\(seconds(figure.p95Milliseconds)) s"
          + (figure.unknown > 0 ? " (\(figure.unknown) unknown)" : "")
      }
    }.joined(separator: ", ")
  }

  private static func trust(_ root: TrustReport) -> String {
    let keys = (root.keys ?? [:]).filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    let counted = root.keys == nil ? "" : "  keys: \(keys.isEmpty ? "none" : keys.joined(separator: ", ")), no others"
    return "\(root.root) root  \((root.fingerprint ?? "").prefix(12))  \(root.freshness ?? "not usable")\(counted)"
  }

  private static func sentinel(_ report: SentinelReport) -> String {
    guard let health = report.healthProbability, let cyber = report.cyberProbability else {
      return report.problem == nil ? "\(report.state.rawValue)  gathers its first window" : "does not judge"
    }
    func thousandths(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
    return "\(report.state.rawValue)  sensing ill \(thousandths(health))  attack \(thousandths(cyber))"
  }

  private static func line(_ line: DeviceReport.Line) -> String {
    var text = line.state
    if let broker = line.broker { text += "  \(broker)" }
    if line.state == "connected" {
      text += "  \(line.protection == "none" ? "not encrypted" : line.protection)"
      if let seconds = line.seconds { text += "  for \(duration(seconds))" }
    } else if let failure = line.lastFailure {
      text += "  \(failure)"
    }
    if let days = line.certificateDays { text += "  certificate \(days) days" }
    return text
  }

  /// `3 d 4 h`, `2 h 5 min`, `42 s`: the two largest units.
  static func duration(_ seconds: Int) -> String {
    switch seconds {
    case ..<60: "\(seconds) s"
    case ..<3600: "\(seconds / 60) min"
    case ..<86_400: "\(seconds / 3600) h \(seconds % 3600 / 60) min"
    default: "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
    }
  }

  private static func size(_ bytes: Int) -> String {
    bytes < 10_000_000 ? "\(bytes / 1000) kB" : "\(bytes / 1_000_000) MB"
  }

  private static func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}
