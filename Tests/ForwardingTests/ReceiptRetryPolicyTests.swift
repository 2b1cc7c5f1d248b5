import Testing

@testable import Forwarding

@Suite struct ReceiptRetryPolicyTests {
  private let second: UInt64 = 1_000_000_000
  private let timeout = 600

  private func overdue(_ patience: ReceiptRetryPolicy, at seconds: UInt64) -> UInt64? {
    patience.overdueNanoseconds(timeoutSeconds: timeout, now: seconds * second)
  }

  @Test func waitsForTheTimeoutFirst() {
    #expect(overdue(ReceiptRetryPolicy(), at: 599) == nil)
    #expect(overdue(ReceiptRetryPolicy(), at: 1000) == 400 * second)
  }

  /// A receiver that works through a long queue: nothing it has not reached yet is sent again, however old.
  @Test func leavesTheQueueOfASlowReceiverAlone() {
    var patience = ReceiptRetryPolicy()
    for now in stride(from: UInt64(1000), to: 20_000, by: 100) {
      // It is at what the broker acknowledged in the first quarter of an hour.
      patience.received(acknowledgedNanoseconds: now / 20 * second, now: now * second)
      #expect(overdue(patience, at: now + 99) == now / 20 * second - 1)
    }
  }

  @Test func sendsAgainWhatALaterMessageHasOvertaken() throws {
    var patience = ReceiptRetryPolicy()
    patience.received(acknowledgedNanoseconds: 350 * second, now: 990 * second)
    let limit = try #require(overdue(patience, at: 1000))
    #expect(limit >= 300 * second && limit < 350 * second)
    // Overtaken, but not for long enough.
    patience.received(acknowledgedNanoseconds: 980 * second, now: 995 * second)
    #expect(overdue(patience, at: 1000) == 400 * second)
  }

  @Test func doublesTheWaitForASilentReceiverAndForgivesAtOnce() {
    var patience = ReceiptRetryPolicy()
    var now: UInt64 = 100_000
    for doublings in 0..<10 {
      let wait = UInt64(timeout) << UInt64(min(doublings, 6))
      #expect(overdue(patience, at: now) == (now - wait) * second)
      patience.sentAgain(5, timeoutSeconds: timeout, now: now * second)
      now += wait
    }
    patience.received(acknowledgedNanoseconds: nil, now: now * second)
    #expect(overdue(patience, at: now + 600) == now * second)
  }

  @Test func countsNoRoundThatSentNothingOrHadAnAnswer() {
    var patience = ReceiptRetryPolicy()
    patience.sentAgain(0, timeoutSeconds: timeout, now: 1000 * second)
    #expect(overdue(patience, at: 1000) == 400 * second)
    patience.received(acknowledgedNanoseconds: 900 * second, now: 1000 * second)
    patience.sentAgain(5, timeoutSeconds: timeout, now: 1001 * second)
    #expect(overdue(patience, at: 2000) == 1400 * second)
  }

  @Test func aReceiptOfAnotherBootOvertakesNothing() {
    var patience = ReceiptRetryPolicy()
    patience.received(acknowledgedNanoseconds: nil, now: 990 * second)
    #expect(overdue(patience, at: 1000) == nil)
  }

  @Test func survivesTimeoutsBeyondTheClock() {
    var patience = ReceiptRetryPolicy()
    #expect(patience.overdueNanoseconds(timeoutSeconds: .max, now: .max) == nil)
    #expect(patience.overdueNanoseconds(timeoutSeconds: -1, now: 5) == 5)
    patience.sentAgain(1, timeoutSeconds: .max, now: .max)
  }
}
