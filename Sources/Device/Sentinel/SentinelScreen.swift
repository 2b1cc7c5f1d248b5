import Sentinel

/// The sentinel's report for a terminal: how it stands, then a line for each channel with its newest number and a small bar
/// for each step.
package enum SentinelScreen {
  private static let bars: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
  /// Channels that are a level: their bars show where they lie between their least and largest. The others are counts.
  private static let levels: Set<CounterChannel> = [.processor, .temperature, .noise, .ambient]

  package static func text(of report: SentinelReport) -> String {
    var lines = [heading(report)]
    if let problem = report.problem { lines.append("  ! \(problem)") }
    if let at = report.lockedDownAt {
      lines.append("  ! locked down since \(at): remote actions are refused until 'thermograph sentinel release'")
    }
    if let groups = report.groups, !groups.isEmpty {
      let parts = report.parts.map { " (" + $0.joined(separator: ", ") + ")" } ?? ""
      lines.append("  ! what spoke: " + groups.map(\.sentence).joined(separator: "; ") + parts)
    }
    if let power = report.power { lines.append("power     " + self.power(power)) }
    lines.append("")
    for channel in CounterChannel.allCases {
      let values = report.steps.map { $0.counters[channel] }
      let newest = values.last.flatMap { $0 }.map { "\($0)" } ?? "missing"
      lines.append(padded(channel.name, 25) + leftPadded(newest, 9) + "  " + bars(values, of: channel))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func heading(_ report: SentinelReport) -> String {
    let state =
      switch report.state {
      case .unjudged: "COUNTS ONLY  no model judges them"
      case .filling: "FILLING  \(report.steps.count) of \(CounterWindow.steps) steps"
      case .normal: "NORMAL"
      case .uncertain: "UNCERTAIN  something is amiss, sensing or attack cannot be told"
      case .sensing: "SENSING IS ILL"
      case .attack: "ATTACK"
      }
    var text = state
    if let health = report.healthProbability, let cyber = report.cyberProbability {
      text += "  P_h \(rounded(health))  P_c \(rounded(cyber))"
      if let delta = report.delta { text += "  delta \(rounded(delta))" }
    }
    if let step = report.steps.last?.step { text += "  step \(step), one every \(seconds(report.stepSeconds)) s" }
    return text
  }

  private static func power(_ power: SentinelReport.Power) -> String {
    let now = power.underVoltage ? "UNDER-VOLTAGE" : power.throttled ? "THROTTLED" : "good"
    return "\(now)  \(power.brownOuts) brown-outs, \(power.throttlings) throttlings since the start"
  }

  private static func bars(_ values: [Int?], of channel: CounterChannel) -> String {
    let known = values.compactMap { $0 }
    guard let most = known.max(), let least = known.min() else { return String(values.map { _ in "-" }) }
    let isLevel = levels.contains(channel)
    return String(
      values.map { value in
        guard let value else { return "-" }
        if isLevel {
          return most == least ? bars[3] : bars[min(7, (value - least) * 8 / (most - least))]
        }
        if value == 0 { return "." }
        return bars[min(7, max(0, 8 * bits(value) / bits(most) - 1))]
      })
  }

  /// Binary digits of `value` + 1.
  private static func bits(_ value: Int) -> Int { Int.bitWidth - (value + 1).leadingZeroBitCount }

  private static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

  private static func seconds(_ value: Double) -> String {
    value == value.rounded() ? "\(Int(value))" : "\(value)"
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }

  private static func leftPadded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
