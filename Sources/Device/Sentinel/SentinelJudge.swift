import Forwarding
import Screening
import Sentinel

/// Runs the network over each window and keeps what becomes of it. The sentinel's thread alone has it.
final class SentinelJudge {
  private let network: SentinelNetwork
  private var machine: SentinelMachine

  init(_ network: SentinelNetwork, deltaPerMille: Int?, evidence: StoredEvidence) {
    self.network = network
    machine = SentinelMachine(
      network.decision, deltaPerMille: deltaPerMille, health: evidence.health, cyber: evidence.cyber)
  }

  var evidence: StoredEvidence { StoredEvidence(health: machine.health, cyber: machine.cyber) }

  /// What a window led to, for whoever tells it.
  struct Outcome {
    var judgement: SentinelMachine.Judgement
    var state: SentinelMachine.State
    var actions: [SentinelMachine.Action]
    /// Which channels spoke; only where an alert begins.
    var groups: [CounterGroup] = []
    var channels: [CounterChannel] = []
  }

  /// - Precondition: the window is full.
  func judge(_ window: borrowing CounterWindow) -> Outcome {
    let judgement = network.judge(window)
    let actions = machine.add(judgement)
    var outcome = Outcome(judgement: judgement, state: machine.state, actions: actions)
    guard !actions.isEmpty, machine.state != .normal else { return outcome }
    let ofHealth = machine.state == .sensing || (machine.state == .uncertain && judgement.health >= judgement.cyber)
    outcome.groups = network.groups(ofHealth: ofHealth)
    outcome.channels = network.channels(ofHealth: ofHealth, in: outcome.groups)
    return outcome
  }

  var delta: Double { Double(machine.delta) / 1_000_000 }
}

extension CounterChannel {
  /// The part that a technician looks at.
  var part: String {
    switch self {
    case .connections, .refused: "control socket"
    case .bytesIn, .publishLatency, .reconnects: "line"
    case .commandsReceived, .commandsMalformed, .commandsBadlySigned, .commandsReplayed: "commands"
    case .loginsFailed: "logins"
    case .processor: "processor"
    case .temperature: "temperature"
    case .caseOpened: "case"
    case .busErrors: "camera bus"
    case .noise: "camera noise"
    case .ambient: "camera temperature"
    }
  }
}

extension SentinelMachine.State {
  /// What the alert says; the code is `sentinel-` and the state's name.
  func alert(_ outcome: SentinelJudge.Outcome) -> (severity: AlertMessage.Severity, detail: String) {
    func percent(_ partsPerMillion: Int) -> String { "\(partsPerMillion / 10_000) %" }
    let probabilities = "sensing ill \(percent(outcome.judgement.health)), attack \(percent(outcome.judgement.cyber))"
    let spoke =
      outcome.groups.isEmpty
      ? "no group of counters alone made the difference"
      : "what spoke: " + outcome.groups.map(\.sentence).joined(separator: "; ")
        + " (" + Self.unique(outcome.channels.map(\.part)).joined(separator: ", ") + ")"
    return switch self {
    case .attack: (.critical, "somebody attacks this device: \(probabilities); \(spoke)")
    case .sensing:
      (.critical, "the device's sensing is ill, outcomes are withheld: \(probabilities); \(spoke); thermograph doctor")
    case .uncertain, .normal:
      (.warning, "something is amiss, sensing or attack cannot be told: \(probabilities); \(spoke)")
    }
  }

  static func unique(_ texts: [String]) -> [String] {
    texts.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}
