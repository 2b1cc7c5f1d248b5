import LinuxIO
import LocalFiles
import Sentinel

extension SentinelReport {
  static func supplyFinding(_ power: Power?) -> DoctorFinding {
    guard let power else { return .skip(.supply, "this board tells nothing of its supply") }
    let counts = "\(power.brownOuts) brown-outs, \(power.throttlings) throttlings since the start"
    let remedy = "use the supply that the board's maker names, a short cable, and look at the cooling"
    if power.underVoltage { return .fail(.supply, "the supply is too weak now; \(counts)", remedy: remedy) }
    guard !power.throttled, power.brownOuts + power.throttlings == 0 else {
      return .warn(.supply, (power.throttled ? "the board slows itself down; " : "") + counts, remedy: remedy)
    }
    return .pass(.supply, "no under-voltage and no throttling since the start")
  }

  /// Names the part that a technician looks at.
  var finding: DoctorFinding {
    let parts = (self.parts ?? []).joined(separator: ", ")
    let named = parts.isEmpty ? "no counter alone made the difference" : parts
    let remedy = "thermograph sentinel show; Docs/sentinel.md says what each channel is"
    if let problem { return .warn(.sentinel, problem, remedy: "name a sentinel model that is installed") }
    switch state {
    case .unjudged: return .skip(.sentinel, "no model judges the counters (sentinel.model)")
    case .filling:
      return .skip(
        .sentinel, "gathers its first window; ask again in \(Int(stepSeconds * Double(CounterWindow.steps))) s")
    case .normal: return .pass(.sentinel, "normal")
    case .uncertain: return .warn(.sentinel, "something is amiss, sensing or attack: \(named)", remedy: remedy)
    case .sensing: return .fail(.sentinel, "the sensing is ill: \(named)", remedy: remedy)
    case .attack: return .fail(.sentinel, "somebody attacks this device: \(named)", remedy: remedy)
    }
  }
}

extension DoctorBench {
  /// The board's own word, while no service runs: what it remembers since it was started counts too.
  static func supplyFinding(_ gauges: BoardGauges) -> DoctorFinding {
    do throws(FileError) {
      guard let supply = try gauges.supply() else { return SentinelReport.supplyFinding(nil) }
      var power = SentinelReport.Power()
      power.underVoltage = supply.isUnderVoltage
      power.throttled = supply.isThrottled
      power.brownOuts = supply.wasUnderVoltage ? 1 : 0
      power.throttlings = supply.wasThrottled ? 1 : 0
      return SentinelReport.supplyFinding(power)
    } catch {
      return .warn(.supply, "\(error)", remedy: "journalctl -k; the service runs without this gauge")
    }
  }
}
