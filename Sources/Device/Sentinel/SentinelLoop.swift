import Forwarding
import LinuxIO
import LocalFiles
import Logging
import Provenance
import Sentinel

/// What the sentinel's thread does at each step and each second. It knows no clock: whoever drives it says when it is.
final class SentinelLoop {
  /// The window is written down so often, in steps, and at the end: an SD card bears few writes.
  private static let saveSteps = CounterWindow.steps

  private let watch: SentinelWatch
  private let sampler: StepSampler
  private let gauges: BoardGauges
  private let judge: SentinelJudge?
  private let lockDown: LockDown?
  private let file: WindowFile
  private let post: (AlertMessage) -> Void
  private let logger: Logger
  private var window: CounterWindow
  private var power = PowerWatch()
  private var hasToldSupply = false
  /// Of a device without a judge it is kept for when there is one again.
  private let evidence: StoredEvidence

  /// - Parameters:
  ///   - start: what an earlier run left.
  ///   - judge: nil where nobody judges.
  ///   - lockDown: nil where the technician does not allow it.
  ///   - post: takes an alert; it must not wait.
  init(
    _ start: (window: CounterWindow, evidence: StoredEvidence), watch: SentinelWatch, sampler: StepSampler,
    gauges: BoardGauges, judge: SentinelJudge?, lockDown: LockDown?, file: WindowFile, logger: Logger,
    post: @escaping (AlertMessage) -> Void
  ) {
    self.watch = watch
    self.sampler = sampler
    self.gauges = gauges
    self.judge = judge
    self.lockDown = lockDown
    self.file = file
    self.logger = logger
    self.post = post
    window = start.window
    evidence = start.evidence
    watch.begin(window)
    if judge != nil { watch.change { $0.state = .filling } }
  }

  /// Every second: what passes too quickly for a step.
  func look(at now: Timestamp) {
    sampler.lookAtCase()
    do throws(FileError) {
      guard let supply = try gauges.supply() else { return }
      let alerts = power.read(
        .init(
          isUnderVoltage: supply.isUnderVoltage, isThrottled: supply.isThrottled,
          wasUnderVoltage: supply.wasUnderVoltage, wasThrottled: supply.wasThrottled),
        at: now.monotonicNanoseconds)
      watch.change { [power] report in report.power = SentinelReport.Power(power) }
      for alert in alerts { tell(alert.message(at: now)) }
    } catch {
      if !hasToldSupply { logger.warning("the supply cannot be read", metadata: ["reason": "\(error)"]) }
      hasToldSupply = true
    }
  }

  /// - Parameter late: steps before this one that were missed.
  func step(at now: Timestamp, late: Int = 0) {
    if late > 0 {
      window.addMissing(late)
      watch.addMissing(late)
    }
    let step = sampler.step(at: now.monotonicNanoseconds)
    window.add(step)
    watch.add(step)
    if let judge, window.isFull { follow(judge.judge(window), judge.delta, at: now) }
    if window.added.isMultiple(of: Self.saveSteps) { save(at: now) }
  }

  func save(at now: Timestamp) { file.save(window, judge?.evidence ?? evidence, at: now) }

  private func follow(_ outcome: SentinelJudge.Outcome, _ delta: Double, at now: Timestamp) {
    let step = window.newest
    watch.change { report in
      report.healthProbability = Double(outcome.judgement.health) / 1_000_000
      report.cyberProbability = Double(outcome.judgement.cyber) / 1_000_000
      report.delta = delta
      let state = SentinelReport.State(outcome.state)
      guard report.state != state else { return }
      report.state = state
      report.sinceStep = step
      report.groups = state == .normal ? nil : outcome.groups
      report.parts = state == .normal ? nil : SentinelMachine.State.unique(outcome.channels.map(\.part))
    }
    for action in outcome.actions {
      switch action {
      case .changed(let state): logger.notice("sentinel", metadata: ["state": "\(state.rawValue)"])
      case .alert(let state):
        let (severity, detail) = state.alert(outcome)
        tell(AlertMessage(code: "sentinel-\(state.rawValue)", severity: severity, detail: detail, at: now))
        if state == .attack { lockDown?.enter(detail, at: now) }
      case .over: logger.notice("what the sentinel told of is over")
      }
    }
  }

  private func tell(_ alert: AlertMessage) {
    logger.error("alert", metadata: ["code": "\(alert.code)", "reason": "\(alert.detail)"])
    post(alert)
  }
}

extension SentinelReport.State {
  init(_ state: SentinelMachine.State) {
    switch state {
    case .normal: self = .normal
    case .uncertain: self = .uncertain
    case .sensing: self = .sensing
    case .attack: self = .attack
    }
  }
}

extension SentinelReport.Power {
  init(_ watch: PowerWatch) {
    underVoltage = watch.isUnderVoltage
    throttled = watch.isThrottled
    brownOuts = watch.brownOuts
    throttlings = watch.throttlings
  }
}

extension PowerWatch.Alert {
  func message(at now: Timestamp) -> AlertMessage {
    switch self {
    case .underVoltage:
      AlertMessage(
        code: rawValue, severity: .critical,
        detail:
          "the board's supply fell below its limit: use the supply that the board's maker names, and a short cable",
        at: now)
    case .throttled:
      AlertMessage(
        code: rawValue, severity: .warning,
        detail: "the board slows itself down, for heat or a weak supply: look at its cooling and its supply", at: now)
    }
  }
}
