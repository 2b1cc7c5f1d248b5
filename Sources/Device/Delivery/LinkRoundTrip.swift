import Forwarding
import Provenance
import Synchronization

/// A probe on its way over a connection, the service's or doctor's own: publish `message` under `token`, tell it what
/// became of that and what receipts came.
final class LinkRoundTrip: Sendable {
  let message: OutgoingMessage
  let token: PublishToken
  /// Ends when there is nothing more to wait for.
  private let finished: AsyncStream<Never>
  private let end: AsyncStream<Never>.Continuation
  private let entry: Receipt.Entry
  private let sent: UInt64
  private let state = Mutex((result: LinkProbeResult(), isFinished: false))

  /// - Parameter sent: monotonic nanoseconds.
  init(
    _ probe: ProbeMessage, topics: TopicSchema, token: PublishToken, sent: UInt64, digests: some MessageDigests
  ) throws {
    let payload = try probe.encoded()
    message = OutgoingMessage(topic: topics.up("event"), payload: payload, contentType: "application/json")
    entry = probe.receipt(payload: payload, digests: digests)
    self.token = token
    self.sent = sent
    (finished, end) = AsyncStream.makeStream()
  }

  var result: LinkProbeResult { state.withLock { $0.result } }
  var isFinished: Bool { state.withLock { $0.isFinished } }

  /// Waits for the end, at most so long.
  func wait(milliseconds: Int) async {
    let alarm = Task {
      try? await Task.sleep(for: .milliseconds(milliseconds))
      finish()
    }
    for await _ in finished {}
    alarm.cancel()
  }

  func settled(_ outcome: PublishOutcome, at now: UInt64) {
    switch outcome {
    case .acknowledged: state.withLock { $0.result.acknowledgedMilliseconds = milliseconds(to: now) }
    case .refused(let reason): refuse("reason code \(reason)")
    case .notSent(let detail): refuse(detail)
    }
  }

  func heard(_ receipt: Receipt, at now: UInt64) {
    guard receipt.entries.contains(entry) else { return }
    state.withLock { state in
      state.result.receiver = receipt.receiver
      state.result.receiptMilliseconds = milliseconds(to: now)
      // A receipt can overtake the broker's acknowledgement.
      state.result.acknowledgedMilliseconds = state.result.acknowledgedMilliseconds ?? milliseconds(to: now)
    }
    finish()
  }

  private func refuse(_ reason: String) {
    state.withLock { $0.result.refusal = reason }
    finish()
  }

  private func finish() {
    state.withLock { $0.isFinished = true }
    end.finish()
  }

  private func milliseconds(to now: UInt64) -> Int { Int((now - sent) / 1_000_000) }
}
