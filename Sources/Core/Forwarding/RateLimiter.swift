/// A token bucket: `perSecond` on average, `burst` at once.
struct RateLimiter: Sendable {
  private let intervalNanoseconds: UInt64
  private let burstNanoseconds: UInt64
  /// The time up to which the allowance is used.
  private var usedUntilNanoseconds: UInt64 = 0

  init(perSecond: Int, burst: Int) {
    intervalNanoseconds = 1_000_000_000 / UInt64(max(1, perSecond))
    burstNanoseconds = intervalNanoseconds * UInt64(max(0, burst - 1))
  }

  func allows(now: UInt64) -> Bool { usedUntilNanoseconds <= now + burstNanoseconds }

  /// When `allows` will be true.
  func nextNanoseconds(now: UInt64) -> UInt64 {
    usedUntilNanoseconds > burstNanoseconds ? max(now, usedUntilNanoseconds - burstNanoseconds) : now
  }

  mutating func take(now: UInt64) {
    usedUntilNanoseconds = max(usedUntilNanoseconds, now) + intervalNanoseconds
  }
}
