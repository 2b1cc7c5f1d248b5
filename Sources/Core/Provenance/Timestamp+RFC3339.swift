extension Timestamp {
  /// The wall-clock instant as RFC 3339 text in UTC with milliseconds, e.g. `2026-03-01T09:30:00.125Z`.
  ///
  /// Days are turned into a civil date by Hinnant's `civil_from_days` (proleptic Gregorian, any Int64 nanosecond).
  package var rfc3339: String {
    let (milliseconds, _) = utcNanoseconds.flooredDivision(by: 1_000_000)
    let (seconds, millisecond) = milliseconds.flooredDivision(by: 1000)
    let (days, secondOfDay) = seconds.flooredDivision(by: 86_400)
    let date = CivilDate(daysSinceEpoch: days)
    let hour = secondOfDay / 3600
    let minute = secondOfDay / 60 % 60
    let second = secondOfDay % 60
    return "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))T"
      + "\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2)).\(padded(millisecond, 3))Z"
  }
}

/// A date of the proleptic Gregorian calendar.
package struct CivilDate: Sendable, Hashable {
  package var year: Int64
  /// 1...12
  package var month: Int64
  /// 1...31
  package var day: Int64

  /// The date `daysSinceEpoch` days after 1970-01-01.
  package init(daysSinceEpoch: Int64) {
    let shifted = daysSinceEpoch + 719_468  // days since 0000-03-01
    let (era, dayOfEra) = shifted.flooredDivision(by: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }
}

extension Int64 {
  /// Quotient rounded towards minus infinity and the remainder in `0..<divisor`. `divisor` must be positive.
  fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}

private func padded(_ value: Int64, _ width: Int) -> String {
  let digits = String(value)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
