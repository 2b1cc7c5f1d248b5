import Screening

/// Something that may be worth an alert.
package enum AlertOccasion: Sendable, Hashable {
  /// A verdict of a capture.
  case outcome(Verdict.Outcome)
  /// A gate that a capture did not pass.
  case gateFailed(QualityGate.Code)
  case cameraLost
  case readerLost
  /// The outbox passed a watermark on the way up.
  case outboxFilling(percent: Int)
  /// A tag that the roster does not name.
  case unknownTag
  /// A capture was dated by a clock that nobody has set.
  case clockUnsynchronised
  /// A capture is unlike the person's earlier ones: the tag may be another's.
  case unlikeEarlier
  /// What the comparison over time keeps of a patient was damaged and set aside.
  case baselineDamaged
}

/// One row of the table of alerts: which occasion, how urgent, and for how long it is not told again.
package struct AlertRule: Sendable, Hashable {
  package enum Trigger: RawRepresentable, Sendable, Hashable, CaseIterable {
    /// nil: any outcome.
    case outcome(Verdict.Outcome?)
    /// nil: any gate.
    case gate(QualityGate.Code?)
    case cameraLost
    case readerLost
    /// At this level or above.
    case outboxFilling(percent: Int)
    case unknownTag
    case clockUnsynchronised
    case unlikeEarlier
    case baselineDamaged

    /// Everything that a table can name.
    package static let allCases: [Trigger] = {
      // One after the other: as one expression it is too much for the type checker of Swift 6.2.
      var all: [Trigger] = [.outcome(nil)]
      for outcome in Verdict.Outcome.allCases { all.append(.outcome(outcome)) }
      all.append(.gate(nil))
      for gate in QualityGate.Code.allCases { all.append(.gate(gate)) }
      all += [.cameraLost, .readerLost]
      for level in QuotaWatermarks.levels { all.append(.outboxFilling(percent: level)) }
      return all + [.unknownTag, .clockUnsynchronised, .unlikeEarlier, .baselineDamaged]
    }()

    /// As configurations write it.
    package var rawValue: String {
      switch self {
      case .outcome(nil): "outcome"
      case .outcome(let outcome?): "outcome-\(outcome.rawValue)"
      case .gate(nil): "gate"
      case .gate(let code?): "gate-\(code.rawValue)"
      case .cameraLost: "camera-lost"
      case .readerLost: "reader-lost"
      case .outboxFilling(let percent): "outbox-\(percent)"
      case .unknownTag: "unknown-tag"
      case .clockUnsynchronised: "clock-unsynchronised"
      case .unlikeEarlier: "unlike-earlier"
      case .baselineDamaged: "baseline-damaged"
      }
    }

    package init?(rawValue: String) {
      guard let trigger = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
      self = trigger
    }
  }

  /// What a person is alerted to unless the configuration says otherwise.
  package static let standard = [
    AlertRule(.cameraLost, severity: .critical, holdOffSeconds: 600),
    AlertRule(.readerLost, severity: .warning, holdOffSeconds: 600),
    AlertRule(.outboxFilling(percent: 95), severity: .critical, holdOffSeconds: 3600),
    AlertRule(.outboxFilling(percent: 80), severity: .warning, holdOffSeconds: 3600),
    AlertRule(.unknownTag, severity: .warning, holdOffSeconds: 3600),
    AlertRule(.clockUnsynchronised, severity: .warning, holdOffSeconds: 86_400),
    AlertRule(.unlikeEarlier, severity: .warning, holdOffSeconds: 0),
    AlertRule(.baselineDamaged, severity: .warning, holdOffSeconds: 0),
    AlertRule(.gate(.deadPixels), severity: .warning, holdOffSeconds: 86_400),
    AlertRule(.gate(.checkerboard), severity: .warning, holdOffSeconds: 86_400),
  ]

  package var trigger: Trigger
  package var severity: AlertMessage.Severity
  /// 0...604_800; 0 tells it each time.
  package var holdOffSeconds: Int

  package init(_ trigger: Trigger, severity: AlertMessage.Severity, holdOffSeconds: Int) {
    self.trigger = trigger
    self.severity = severity
    self.holdOffSeconds = holdOffSeconds
  }

  func applies(to occasion: AlertOccasion) -> Bool {
    switch (trigger, occasion) {
    case (.outcome(let wanted), .outcome(let outcome)): wanted == nil || wanted == outcome
    case (.gate(let wanted), .gateFailed(let code)): wanted == nil || wanted == code
    case (.outboxFilling(let level), .outboxFilling(let percent)): percent >= level
    case (.cameraLost, .cameraLost), (.readerLost, .readerLost), (.unknownTag, .unknownTag),
      (.clockUnsynchronised, .clockUnsynchronised), (.unlikeEarlier, .unlikeEarlier),
      (.baselineDamaged, .baselineDamaged):
      true
    default: false
    }
  }
}

extension AlertOccasion {
  /// The alert's code: what rules and dashboards go by.
  package var code: String {
    switch self {
    case .outcome(let outcome): "outcome-\(outcome.rawValue)"
    case .gateFailed(let code): "gate-\(code.rawValue)"
    case .cameraLost: "camera-lost"
    case .readerLost: "reader-lost"
    case .outboxFilling: "outbox-filling"
    case .unknownTag: "unknown-tag"
    case .clockUnsynchronised: "clock-unsynchronised"
    case .unlikeEarlier: "unlike-earlier"
    case .baselineDamaged: "baseline-damaged"
    }
  }
}

/// Applies the table of alerts to what happens. Time is a parameter: monotonic nanoseconds that never decrease.
///
/// The first rule that applies decides, so that a particular row stands above a general one. Its hold-off counts for
/// each occasion apart: a rule for any gate tells `clothed` although it has just told `motion`.
package struct AlertTable: Sendable {
  package var rules: [AlertRule]
  private var toldUntil: [AlertOccasion: UInt64] = [:]

  package init(rules: [AlertRule]) {
    self.rules = rules
  }

  /// How urgent an alert for this occasion is; nil when no rule asks for one, or it was told a short while ago.
  package mutating func severity(
    of occasion: AlertOccasion, atNanoseconds now: UInt64
  ) -> AlertMessage.Severity? {
    guard let rule = rules.first(where: { $0.applies(to: occasion) }) else { return nil }
    if let until = toldUntil[occasion], now < until { return nil }
    toldUntil[occasion] = now + UInt64(max(rule.holdOffSeconds, 0)) * 1_000_000_000
    return rule.severity
  }
}
