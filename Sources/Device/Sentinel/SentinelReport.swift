import Forwarding
import Sentinel

/// What the sentinel has to say, over the control socket.
package struct SentinelReport: Sendable, Equatable, Codable {
  package enum State: String, Sendable, Codable {
    /// No model judges the counters.
    case unjudged
    /// A model is there, and there are not yet enough steps for it.
    case filling
    case normal
    case uncertain
    /// The sensing is ill.
    case sensing
    /// Somebody attacks.
    case attack
  }

  package var state = State.unjudged
  /// Since which step.
  package var sinceStep: Int?
  package var firmware = ""
  package var stepSeconds: Double
  package var model: String?
  /// Why nobody judges although a model is configured; nil otherwise.
  package var problem: String?
  /// P_h and P_c of the newest window, 0...1, and by how much one must be above the other.
  package var healthProbability: Double?
  package var cyberProbability: Double?
  package var delta: Double?
  /// Groups of channels that spoke in the present alert.
  package var groups: [CounterGroup]?
  /// The parts that a technician looks at, of those groups.
  package var parts: [String]?
  /// Since when remote actions are refused, RFC 3339; nil while they are not.
  package var lockedDownAt: String?
  /// What the supply says; nil on a board that tells nothing of it.
  package var power: Power?
  /// Oldest first: the whole window, or what is new in it.
  package var steps: [CounterRecording.Line] = []

  package struct Power: Sendable, Equatable, Codable {
    package var underVoltage = false
    package var throttled = false
    /// Since this program started.
    package var brownOuts = 0
    package var throttlings = 0

    package init() {}

    private enum CodingKeys: String, CodingKey {
      case throttled, throttlings
      case underVoltage = "under_voltage"
      case brownOuts = "brown_outs"
    }
  }

  package init(stepSeconds: Double) { self.stepSeconds = stepSeconds }

  /// What spoke, for a sentence; empty where nothing did.
  var spoke: String {
    let parts = parts ?? []
    return parts.isEmpty ? "" : ": " + parts.joined(separator: ", ")
  }

  /// What a technician must see to.
  var complaints: [String] {
    var complaints: [String] = []
    switch state {
    case .unjudged, .filling, .normal: break
    case .attack: complaints.append("somebody attacks this device\(spoke); thermograph sentinel show")
    case .sensing: complaints.append("the sensing is ill, outcomes are withheld\(spoke); thermograph doctor")
    case .uncertain: complaints.append("something is amiss, sensing or attack\(spoke); thermograph sentinel show")
    }
    if let lockedDownAt {
      complaints.append(
        "locked down since \(lockedDownAt), remote actions are refused: thermograph sentinel release")
    }
    if let problem { complaints.append(problem) }
    if power?.underVoltage == true { complaints.append("the board's supply is too weak") }
    if power?.throttled == true { complaints.append("the board slows itself down: heat, or a weak supply") }
    return complaints
  }

  private enum CodingKeys: String, CodingKey {
    case state, firmware, model, problem, delta, groups, parts, power, steps
    case sinceStep = "since_step"
    case stepSeconds = "step_seconds"
    case healthProbability = "p_health"
    case cyberProbability = "p_cyber"
    case lockedDownAt = "locked_down_at"
  }
}

extension HealthMessage.Sentinel {
  init(_ report: SentinelReport, isLockedDown: Bool) {
    self.init(
      state: report.state.rawValue, healthProbability: report.healthProbability,
      cyberProbability: report.cyberProbability, isLockedDown: isLockedDown, brownOuts: report.power?.brownOuts,
      throttlings: report.power?.throttlings)
  }
}
