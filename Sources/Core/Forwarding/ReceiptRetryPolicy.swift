/// When a message that the broker has, but no receipt, is sent again.
///
/// A receiver takes messages in the order of their acknowledgements, so one that is busy with a long queue has lost
/// nothing: sending again what it has not reached yet would only lengthen that queue, the faster the slower it is.
/// While receipts come, only a message that a later one has overtaken is overdue. From a silent receiver everything
/// is overdue after the timeout, and after each such round the wait doubles, up to 64 timeouts.
///
/// Instants are monotonic nanoseconds of one boot.
package struct ReceiptRetryPolicy: Equatable, Sendable {
  private static let mostDoublings = 6

  private var lastReceiptNanoseconds: UInt64?
  private var newestAcknowledgedNanoseconds: UInt64 = 0
  private var silentRounds = 0

  package init() {}

  /// A receipt came for a message that the broker acknowledged at `acknowledgedNanoseconds`; nil: in another boot.
  package mutating func received(acknowledgedNanoseconds: UInt64?, now: UInt64) {
    lastReceiptNanoseconds = now
    silentRounds = 0
    if let acknowledgedNanoseconds {
      newestAcknowledgedNanoseconds = max(newestAcknowledgedNanoseconds, acknowledgedNanoseconds)
    }
  }

  /// Messages that the broker acknowledged up to the result are overdue; nil: none is.
  package func overdueNanoseconds(timeoutSeconds: Int, now: UInt64) -> UInt64? {
    let timeout = UInt64(clamping: timeoutSeconds).multipliedReportingOverflow(by: 1_000_000_000)
    let wait = timeout.partialValue.multipliedReportingOverflow(by: 1 << UInt64(silentRounds))
    guard !timeout.overflow, !wait.overflow, now >= wait.partialValue else { return nil }
    let aged = now - wait.partialValue
    guard let lastReceiptNanoseconds, lastReceiptNanoseconds > aged else { return aged }
    guard newestAcknowledgedNanoseconds > 0 else { return nil }
    return min(aged, newestAcknowledgedNanoseconds - 1)
  }

  /// `count` overdue messages wait again.
  package mutating func sentAgain(_ count: Int, timeoutSeconds: Int, now: UInt64) {
    let timeout = UInt64(clamping: timeoutSeconds).multipliedReportingOverflow(by: 1_000_000_000).partialValue
    let isSilent = lastReceiptNanoseconds.map { now - min($0, now) >= timeout } ?? true
    if count > 0 && isSilent { silentRounds = min(silentRounds + 1, Self.mostDoublings) }
  }
}
