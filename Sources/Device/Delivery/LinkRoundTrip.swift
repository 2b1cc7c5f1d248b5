import Forwarding
import Synchronization

/// A probe on its way over the service's own connection.
final class LinkRoundTrip: Sendable {
  let token: PublishToken
  /// Ends when there is nothing more to wait for.
  let finished: AsyncStream<Never>
  private let end: AsyncStream<Never>.Continuation
  private let entry: Receipt.Entry
  private let sent: UInt64
  private let state: Mutex<LinkProbeResult>

  init(entry: Receipt.Entry, token: PublishToken, sent: UInt64, protection: String) {
    self.entry = entry
    self.token = token
    self.sent = sent
    var result = LinkProbeResult()
    result.protection = protection
    state = Mutex(result)
    (finished, end) = AsyncStream.makeStream()
  }

  var result: LinkProbeResult { state.withLock { $0 } }

  func finish() { end.finish() }

  func settled(_ outcome: PublishOutcome, at now: UInt64) {
    switch outcome {
    case .acknowledged: state.withLock { $0.acknowledgedMilliseconds = milliseconds(to: now) }
    case .refused(let reason):
      state.withLock { $0.refusal = "reason code \(reason)" }
      finish()
    case .notSent(let detail):
      state.withLock { $0.refusal = detail }
      finish()
    }
  }

  func heard(_ receipt: Receipt, at now: UInt64) {
    guard receipt.entries.contains(entry) else { return }
    state.withLock { result in
      result.receiver = receipt.receiver
      result.receiptMilliseconds = milliseconds(to: now)
      // A receipt can overtake the broker's acknowledgement.
      if result.acknowledgedMilliseconds == nil { result.acknowledgedMilliseconds = result.receiptMilliseconds }
    }
    finish()
  }

  private func milliseconds(to now: UInt64) -> Int { Int((now - sent) / 1_000_000) }
}
