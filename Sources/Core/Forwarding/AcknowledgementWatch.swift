/// When the lack of a PUBACK means that the connection is dead.
///
/// On a slow line a window of large publishes waits for minutes while the line carries as much as it can, so the age of
/// the oldest says nothing. Dead is a connection on which nothing moves: no outcome of any publish, and no bytes that
/// the peer's TCP takes. A publish that later ones have overtaken is given the same time, then its PUBACK is not
/// expected any more (MQTT 5 section 4.6 wants them in order).
///
/// Instants are monotonic nanoseconds.
struct AcknowledgementWatch: Sendable {
  private var lastMovedNanoseconds: UInt64 = 0
  private var overtaken: (order: UInt64, sinceNanoseconds: UInt64)?

  /// The peer takes what is sent.
  mutating func moved(now: UInt64) { lastMovedNanoseconds = now }

  /// The publish of this `order` has its outcome, while `oldest` has none.
  mutating func answered(order: UInt64, oldest: UInt64?, now: UInt64) {
    lastMovedNanoseconds = now
    guard let oldest, oldest < order, overtaken?.order != oldest else { return }
    overtaken = (oldest, now)
  }

  /// Since when the oldest publish without an outcome waits in vain; the connection is dead a timeout later.
  func waitsSinceNanoseconds(oldest: UInt64, sentNanoseconds: UInt64) -> UInt64 {
    let still = max(sentNanoseconds, lastMovedNanoseconds)
    guard let overtaken, overtaken.order == oldest else { return still }
    return min(still, max(overtaken.sinceNanoseconds, sentNanoseconds))
  }
}
