/// A token bucket: `perSecond` on average, `burst` at once.
package struct RateLimiter: Sendable {
  private let intervalNanoseconds: UInt64
  private let burstNanoseconds: UInt64
  /// The time up to which the allowance is used.
  private var usedUntilNanoseconds: UInt64 = 0

  init(perSecond: Int, burst: Int) {
    self.init(intervalNanoseconds: 1_000_000_000 / UInt64(max(1, perSecond)), burst: burst)
  }

  /// - Parameters:
  ///   - intervalNanoseconds: from one to the next in the long run, at most a day.
  ///   - burst: so many at once after a rest, at most 1,000.
  package init(intervalNanoseconds: UInt64, burst: Int) {
    self.intervalNanoseconds = intervalNanoseconds
    burstNanoseconds = intervalNanoseconds * UInt64(max(0, burst - 1))
  }

  package func allows(now: UInt64) -> Bool { usedUntilNanoseconds <= now + burstNanoseconds }

  /// When `allows` will be true.
  func nextNanoseconds(now: UInt64) -> UInt64 {
    usedUntilNanoseconds > burstNanoseconds ? max(now, usedUntilNanoseconds - burstNanoseconds) : now
  }

  package mutating func take(now: UInt64) {
    usedUntilNanoseconds = max(usedUntilNanoseconds, now) + intervalNanoseconds
  }
}
