import Forwarding
import Sentinel
import Synchronization

/// Where the sentinel's thread leaves what it knows; status, doctor, captures and the control socket read it.
final class SentinelWatch: Sendable {
  private struct State {
    var window = CounterWindow()
    var report: SentinelReport
  }

  private let state: Mutex<State>
  let stepMilliseconds: Int

  init(stepMilliseconds: Int) {
    self.stepMilliseconds = stepMilliseconds
    var report = SentinelReport(stepSeconds: Double(stepMilliseconds) / 1000)
    report.firmware = DeviceRuntime.firmware
    state = Mutex(State(report: report))
  }

  /// What it knows, without the steps.
  var report: SentinelReport { state.withLock { $0.report } }

  /// Whether a technician is wanted.
  var isAlarmed: Bool {
    let report = report
    return [.uncertain, .sensing, .attack].contains(report.state) || report.power?.underVoltage == true
  }

  /// What a capture that is taken now says of it.
  var standing: CaptureStanding {
    let (report, newest) = state.withLock { ($0.report, $0.window.newest) }
    var standing = CaptureStanding()
    if let state = CaptureRecord.SentinelState.State(report.state), state != .normal {
      standing.sentinel = .init(
        state: state, healthProbability: report.healthProbability ?? 0, cyberProbability: report.cyberProbability ?? 0,
        delta: report.delta ?? 0, windowID: "\(newest ?? 0)")
    }
    if let power = report.power, power.underVoltage || power.throttled || power.brownOuts + power.throttlings > 0 {
      standing.power = .init(
        underVoltage: power.underVoltage, throttled: power.throttled, brownOuts: power.brownOuts,
        throttlings: power.throttlings)
    }
    return standing
  }

  /// The number of the newest step; nil before the first.
  var newest: Int? { state.withLock { $0.window.newest } }

  /// With the steps behind `after`; nil: all of the window.
  func report(after: Int?) -> SentinelReport {
    let (window, known) = state.withLock { ($0.window, $0.report) }
    var report = known
    let first = window.added - window.count
    report.steps = (0..<window.count).filter { first + $0 > after ?? -1 }.map {
      CounterRecording.Line(step: first + $0, window[$0])
    }
    return report
  }

  /// The window that a restart left.
  func begin(_ window: CounterWindow) { state.withLock { $0.window = window } }

  func add(_ step: CounterStep) { state.withLock { $0.window.add(step) } }

  func addMissing(_ steps: Int) { state.withLock { $0.window.addMissing(steps) } }

  /// Looks at the window; nothing is copied.
  func withWindow<Result>(_ body: (borrowing CounterWindow) -> Result) -> Result {
    state.withLock { body($0.window) }
  }

  func change(_ change: (inout SentinelReport) -> Void) { state.withLock { change(&$0.report) } }

  /// Longest conversation with somebody who follows; he comes again. A tool reads at most so much of one answer.
  private static let mostLines = 360

  /// Tells of the window, and then of each step that comes.
  ///
  /// - Parameter line: false when nobody listens any more.
  func tell(after: Int?, follows: Bool, _ line: @Sendable (SentinelReport) -> Bool) async throws {
    var told = after
    // A recorder that comes again after another start of the device, whose steps were counted anew.
    if let after, after > newest ?? -1 { told = nil }
    var report = report(after: told)
    guard line(report), follows else { return }
    told = report.steps.last?.step ?? told
    let pause = Duration.milliseconds(min(max(stepMilliseconds / 8, 20), 500))
    for _ in 0..<Self.mostLines {
      while newest == told { try await Task.sleep(for: pause) }
      report = self.report(after: told)
      told = report.steps.last?.step ?? newest
      guard line(report) else { return }
    }
  }
}

/// How the device stands while a capture is taken, as its record tells it; nothing where all is well.
struct CaptureStanding: Sendable, Equatable {
  var sentinel: CaptureRecord.SentinelState?
  var power: CaptureRecord.PowerState?

  var isSensingIll: Bool { sentinel?.state == .sensing }
}

extension CaptureRecord.SentinelState.State {
  /// nil where nobody judges.
  init?(_ state: SentinelReport.State) {
    switch state {
    case .unjudged, .filling: return nil
    case .normal: self = .normal
    case .uncertain: self = .uncertain
    case .sensing: self = .sensing
    case .attack: self = .attack
    }
  }
}
