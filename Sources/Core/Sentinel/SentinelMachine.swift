import Screening

/// What the sentinel makes of its windows, one after another: a value; a window in, what is to be done out.
package struct SentinelMachine: Sendable, Equatable {
  package enum State: String, Sendable, Codable, CaseIterable {
    case normal, uncertain
    /// The sensing is ill.
    case sensing
    /// Somebody attacks.
    case attack
  }

  package enum Action: Sendable, Equatable {
    /// The state is another than before.
    case changed(State)
    /// Tell a person. Once for each kind until all is normal again.
    case alert(State)
    /// Tell that it is over.
    case over
  }

  /// What the network says of a window, calibrated.
  package struct Judgement: Sendable, Equatable {
    /// P(normal) of each head in parts per million, 0...1000000.
    package var healthNormal: Int
    package var cyberNormal: Int

    package init(healthNormal: Int, cyberNormal: Int) {
      self.healthNormal = healthNormal
      self.cyberNormal = cyberNormal
    }

    /// P_h and P_c in parts per million.
    package var health: Int { 1_000_000 - healthNormal }
    package var cyber: Int { 1_000_000 - cyberNormal }
  }

  package let decision: WatchDecision
  /// In parts per million.
  package let delta: Int
  package private(set) var state = State.normal
  package private(set) var health: Evidence
  package private(set) var cyber: Evidence
  private var told: Set<State> = []

  /// - Parameters:
  ///   - deltaPerMille: 0...1000; nil: the model's.
  ///   - health, cyber: as a restart found them.
  package init(
    _ decision: WatchDecision, deltaPerMille: Int? = nil, health: Evidence = Evidence(), cyber: Evidence = Evidence()
  ) {
    self.decision = decision
    delta = min(max(deltaPerMille ?? decision.deltaPerMille, 0), 1000) * 1000
    self.health = health
    self.cyber = cyber
  }

  package mutating func add(_ judgement: Judgement) -> [Action] {
    health.add(normal: judgement.healthNormal, decision.health, releaseWindows: decision.releaseWindows)
    cyber.add(normal: judgement.cyberNormal, decision.cyber, releaseWindows: decision.releaseWindows)
    let before = state
    state = fused(judgement)
    guard state != before else { return [] }
    var actions = [Action.changed(state)]
    if state == .normal {
      told = []
      actions.append(.over)
    } else if state == .uncertain ? told.isEmpty : !told.contains(state) {
      // Whoever was told what it is need not hear that it is no longer sure.
      told.insert(state)
      actions.append(.alert(state))
    }
    return actions
  }

  /// The rule of Sharma et al.: the surer of the two, or nobody can tell.
  private func fused(_ judgement: Judgement) -> State {
    if health.isSpeaking, judgement.health > judgement.cyber + delta { return .sensing }
    if cyber.isSpeaking, judgement.cyber > judgement.health + delta { return .attack }
    return health.isSpeaking || cyber.isSpeaking ? .uncertain : .normal
  }
}
