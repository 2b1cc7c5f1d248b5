/// The part of the day in which the line may be used, in UTC: where the night is cheap, or the router sleeps by day.
/// Alerts do not wait for it.
package struct SyncWindow: Sendable, Hashable {
  /// Minutes since 00:00 UTC, 0...1439.
  package let startMinute: Int
  /// The first minute that is outside again; before `startMinute` the window goes past midnight.
  package let endMinute: Int

  /// `HH:MM-HH:MM`, e.g. `22:00-05:30`; nil for anything else and for a window of no length.
  package init?(_ text: String) {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let start = Self.minute(ends[0]), let end = Self.minute(ends[1]), start != end else {
      return nil
    }
    startMinute = start
    endMinute = end
  }

  private static func minute(_ text: Substring) -> Int? {
    let digits = Array(text.utf8)
    guard digits.count == 5, digits[2] == UInt8(ascii: ":"),
      [0, 1, 3, 4].allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digits[$0]) }),
      let hour = Int(text.prefix(2)), let minute = Int(text.suffix(2)), hour < 24, minute < 60
    else { return nil }
    return hour * 60 + minute
  }

  /// Whether a wall-clock time (nanoseconds since 1970, UTC) is inside.
  package func contains(utcNanoseconds: Int64) -> Bool {
    let minutes = (utcNanoseconds / 60_000_000_000) % 1440
    let minute = Int(minutes < 0 ? minutes + 1440 : minutes)
    return startMinute < endMinute
      ? (startMinute..<endMinute).contains(minute) : minute >= startMinute || minute < endMinute
  }
}

/// The bytes that a metered line may carry: an allowance that fills up evenly over a day and holds a day's worth at
/// most. It begins full, so a restart grants a new day's worth.
struct ByteBudget: Sendable {
  private let bytesPerDay: UInt64
  private var used: UInt64 = 0
  private var sinceNanoseconds: UInt64?

  private static let dayNanoseconds: UInt64 = 86_400_000_000_000

  /// - Parameter bytesPerDay: at least 1.
  init(bytesPerDay: Int) {
    self.bytesPerDay = UInt64(max(1, bytesPerDay))
  }

  /// Whether anything is left. A message may overdraw what is left; the next waits for it.
  mutating func allows(now: UInt64) -> Bool {
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

  mutating func take(bytes: Int, now: UInt64) {
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
