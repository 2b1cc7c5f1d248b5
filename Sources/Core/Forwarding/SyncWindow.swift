/// The part of the day in which the line may be used, in UTC: where the night is cheap, or the router sleeps by day.
/// Alerts do not wait for it.
package struct SyncWindow: Sendable, Hashable {
  /// Minutes since 00:00 UTC, 0...1439.
  package let startMinute: Int
  /// The first minute that is outside again; before `startMinute` the window goes past midnight.
  package let endMinute: Int

  /// `HH:MM-HH:MM`, e.g. `22:00-05:30`; nil for anything else and for a window of no length.
  package init?(_ text: String) {
    guard let (start, end) = Self.minutes(of: text), start != end else { return nil }
    startMinute = start
    endMinute = end
  }

  /// The two times of `HH:MM-HH:MM`, which may be the same.
  package static func minutes(of text: String) -> (start: Int, end: Int)? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let start = minute(ends[0]), let end = minute(ends[1]) else { return nil }
    return (start, end)
  }

  /// `HH:MM-HH:MM`: `init(_:)` makes the same window of it.
  package var text: String { "\(Self.text(startMinute))-\(Self.text(endMinute))" }

  private static func text(_ minute: Int) -> String {
    [minute / 60, minute % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
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
