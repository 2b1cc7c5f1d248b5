/// When the next sub-page is due: a small phase-locked loop, since the sensor's oscillator and the host's differ.
struct DataReadyPhase: Sendable {
  let nominalPeriodMicroseconds: UInt64
  /// The period as measured, within 15 % of the nominal one.
  private(set) var periodMicroseconds: UInt64
  /// When data were ready last, as well as polling can tell.
  private(set) var lastReadyMicroseconds: UInt64 = 0
  private(set) var isKnown = false
  /// Periods since then in which no data were found.
  private var skipped: UInt64 = 0
  private var early = 0

  static let pollCount = 3

  init(nominalPeriodMicroseconds: UInt64) {
    self.nominalPeriodMicroseconds = nominalPeriodMicroseconds
    periodMicroseconds = nominalPeriodMicroseconds
  }

  mutating func begin(nowMicroseconds: UInt64) { lastReadyMicroseconds = nowMicroseconds }

  mutating func acquired(atMicroseconds time: UInt64) {
    lastReadyMicroseconds = time
    isKnown = true
    skipped = 0
    early = 0
  }

  mutating func skipPeriod() { skipped += 1 }

  /// When to poll: just before the expected instant, just after, and once more at a third of the period.
  func pollMicroseconds(_ poll: Int) -> UInt64 {
    let due = lastReadyMicroseconds + (skipped + 1) * periodMicroseconds
    switch poll {
    case 0: return due - periodMicroseconds * 3 / 100
    case 1: return due + periodMicroseconds * 5 / 100
    default: return due + periodMicroseconds * 30 / 100
    }
  }

  /// Takes in that poll number `poll` found data at `now`.
  ///
  /// - Returns: how many sub-pages passed unseen.
  mutating func ready(poll: Int, atMicroseconds now: UInt64) -> Int {
    let planned = pollMicroseconds(poll)
    let late = now - min(planned, now)
    var estimate: UInt64
    if late > periodMicroseconds / 10 {
      // The host slept too long to learn anything about the phase: coast.
      let periods = (now - min(lastReadyMicroseconds, now)) / periodMicroseconds
      estimate = lastReadyMicroseconds + max(periods, 1) * periodMicroseconds
      estimate = min(estimate, now)
    } else if poll == 0 {
      // Data were there before the first look: look earlier and earlier until they are not.
      early = min(early + 1, 4)
      estimate = now - periodMicroseconds * UInt64(1 << early) / 100
    } else {
      early = 0
      estimate = (pollMicroseconds(poll - 1) + now) / 2
    }
    let elapsed = estimate - min(lastReadyMicroseconds, estimate)
    let periods = (elapsed + periodMicroseconds / 2) / periodMicroseconds
    if periods == 1, late <= periodMicroseconds / 10 { track(interval: elapsed) }
    lastReadyMicroseconds = estimate
    skipped = 0
    return periods > 1 ? Int(periods - 1) : 0
  }

  private mutating func track(interval: UInt64) {
    let smoothed = (periodMicroseconds * 15 + interval) / 16
    let slack = nominalPeriodMicroseconds * 15 / 100
    periodMicroseconds = min(
      max(smoothed, nominalPeriodMicroseconds - slack), nominalPeriodMicroseconds + slack)
  }
}
