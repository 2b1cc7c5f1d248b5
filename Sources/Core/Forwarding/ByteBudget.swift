/// The bytes that a metered line may carry: an allowance that fills up evenly over a day and holds a day's worth at
/// most. It begins full, so a restart grants a new day's worth unless what was used is kept and given back.
package struct ByteBudget: Sendable {
  private let bytesPerDay: UInt64
  private var used: UInt64 = 0
  private var sinceNanoseconds: UInt64?

  private static let dayNanoseconds: UInt64 = 86_400_000_000_000

  /// - Parameters:
  ///   - bytesPerDay: at least 1.
  ///   - used: what a budget before this one had used; a day later nothing is left of it.
  package init(bytesPerDay: Int, used: Int64 = 0) {
    self.bytesPerDay = UInt64(max(1, bytesPerDay))
    self.used = UInt64(max(0, used))
  }

  /// What is used now, to be kept.
  package mutating func usedBytes(now: UInt64) -> Int64 {
    refill(now)
    return Int64(clamping: used)
  }

  /// Whether anything is left. A message may overdraw what is left; the next waits for it.
  package mutating func allows(now: UInt64) -> Bool {
    refill(now)
    return used < bytesPerDay
  }

  /// When `allows` will be true.
  mutating func nextNanoseconds(now: UInt64) -> UInt64 {
    refill(now)
    guard used >= bytesPerDay else { return now }
    let missing = used - bytesPerDay + 1
    return now + Self.scaled(missing, by: Self.dayNanoseconds, over: bytesPerDay) + 1
  }

  package mutating func take(bytes: Int, now: UInt64) {
    refill(now)
    used += UInt64(max(0, bytes))
  }

  private mutating func refill(_ now: UInt64) {
    guard let since = sinceNanoseconds, now > since else {
      sinceNanoseconds = sinceNanoseconds ?? now
      return
    }
    let gained = Self.scaled(now - since, by: bytesPerDay, over: Self.dayNanoseconds)
    used -= min(used, gained)
    // Less than a byte's time is kept for the next look.
    sinceNanoseconds = min(now, since + Self.scaled(gained, by: Self.dayNanoseconds, over: bytesPerDay))
  }

  /// `value * factor / divisor`, at most what fits half of 64 bits so that sums of it do.
  private static func scaled(_ value: UInt64, by factor: UInt64, over divisor: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: factor)
    guard product.high < divisor else { return UInt64.max / 2 }
    return min(divisor.dividingFullWidth(product).quotient, UInt64.max / 2)
  }
}
