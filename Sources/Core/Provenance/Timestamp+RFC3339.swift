extension Timestamp {
  /// The wall-clock instant as RFC 3339 text in UTC with milliseconds, e.g. `2026-03-01T09:30:00.125Z`.
  package var rfc3339: String {
    let civil = civil
    return "\(padded(civil.date.year, 4))-\(padded(civil.date.month, 2))-\(padded(civil.date.day, 2))T"
      + "\(padded(civil.hour, 2)):\(padded(civil.minute, 2)):\(padded(civil.second, 2))"
      + ".\(padded(civil.millisecond, 3))Z"
  }

  /// The wall-clock instant in UTC by the civil calendar, rounded down to the millisecond.
  package var civil: (date: CivilDate, hour: Int64, minute: Int64, second: Int64, millisecond: Int64) {
    let (milliseconds, _) = utcNanoseconds.flooredDivision(by: 1_000_000)
    let (seconds, millisecond) = milliseconds.flooredDivision(by: 1000)
    let (days, secondOfDay) = seconds.flooredDivision(by: 86_400)
    return (
      CivilDate(daysSinceEpoch: days), secondOfDay / 3600, secondOfDay / 60 % 60, secondOfDay % 60, millisecond
    )
  }
}

/// A date of the proleptic Gregorian calendar.
package struct CivilDate: Sendable, Hashable {
  package var year: Int64
  /// 1...12
  package var month: Int64
  /// 1...31
  package var day: Int64

  /// 9999-12-31T23:59:59Z: by RFC 5280 section 4.1.2.5 a certificate without an end says so.
  package static let lastSecond: Int64 = 253_402_300_799

  /// The date of an instant; one beyond the years 1 to 9999 becomes the nearest in them.
  package init(secondsSinceEpoch seconds: Int64) {
    let bounded = Swift.min(Swift.max(seconds, -62_135_596_800), Self.lastSecond)
    self.init(daysSinceEpoch: bounded.flooredDivision(by: 86_400).quotient)
  }

  /// e.g. `2026-03-01`.
  package var text: String { "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))" }

  /// The date `daysSinceEpoch` days after 1970-01-01, by Hinnant's `civil_from_days`.
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
