/// Whether the way back from the receiver works, and what to do when it does not.
///
/// Receipts that do not come may mean that the broker has lost our subscription: after two rounds without one the
/// connection is made anew, at most once in ten minutes, so that a receiver that is down makes no churn. A message that
/// is too large to take ends a connection, and a broker that keeps it retained sends it again to every subscription:
/// after the second connection in a row that ends so, the device connects without one for ten minutes, so that at least
/// the way up is open. One such end alone may be noise.
///
/// Instants are monotonic nanoseconds.
struct DownlinkWatch: Sendable {
  static let pauseNanoseconds: UInt64 = 600 * 1_000_000_000
  static let alertNanoseconds: UInt64 = 86_400 * 1_000_000_000
  private static let silentRoundsAtMost = 2
  private static let oversizeEndsAtMost = 2

  /// Until then nothing is subscribed to; nil: it is.
  private(set) var deafUntilNanoseconds: UInt64?
  /// Connections in a row that a message too large has ended.
  private var oversizeEnds = 0
  private var silentRounds = 0
  private var nextReconnectNanoseconds: UInt64 = 0
  private var nextAlertNanoseconds: UInt64 = 0

  /// A message came that is too large. Returns whether an alert is due: one a day.
  mutating func oversize(now: UInt64) -> Bool {
    oversizeEnds = min(oversizeEnds + 1, Self.oversizeEndsAtMost)
    guard oversizeEnds == Self.oversizeEndsAtMost else { return false }
    deafUntilNanoseconds = now + Self.pauseNanoseconds
    guard now >= nextAlertNanoseconds else { return false }
    nextAlertNanoseconds = now + Self.alertNanoseconds
    return true
  }

  /// A connection with subscriptions ended for another reason.
  mutating func endedOtherwise() {
    if deafUntilNanoseconds == nil { oversizeEnds = 0 }
  }

  /// Whether the time without subscriptions has just ended. One more message too large begins it again.
  mutating func listensAgain(now: UInt64) -> Bool {
    guard let deafUntilNanoseconds, deafUntilNanoseconds <= now else { return false }
    self.deafUntilNanoseconds = nil
    return true
  }

  /// A receipt came.
  mutating func heard() { silentRounds = 0 }

  /// Messages without a receipt are sent again. Returns whether to connect anew.
  mutating func roundWithoutReceipts(now: UInt64) -> Bool {
    silentRounds = min(silentRounds + 1, Self.silentRoundsAtMost)
    guard silentRounds == Self.silentRoundsAtMost, now >= nextReconnectNanoseconds else { return false }
    silentRounds = 0
    nextReconnectNanoseconds = now + Self.pauseNanoseconds
    return true
  }
}
