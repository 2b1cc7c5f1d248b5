import CloudLink
import Forwarding
import Provenance
import Receiving
import Synchronization
import Trust
import UnixSignals

/// Joins the client and the receiver: messages in, receipts out, connected again after every loss.
final class ReceivingLink: Sendable {
  enum Progress: Sendable {
    case ready(filter: String, place: String)
    case completed(Receiver.CompletedCapture)
    case note(String)
    case down(LinkFailure, nextAttemptMilliseconds: Int)
  }

  /// What the client's thread tells the task that runs the receiver.
  private enum Moment: Sendable {
    /// `stood`: it was a connection, not an attempt.
    case connectionEnded(LinkFailure, stood: Bool)
    case finished(success: Bool)
  }

  private struct State: ~Copyable {
    let receiver: Receiver
    var completed = 0
    var receipts: ReceiptQueue
  }

  /// Shorter than a device's: a receiver that is away costs every device a second delivery.
  private static let backoff = ReconnectBackoff.Configuration(
    minimumMilliseconds: 200, maximumMilliseconds: 30_000, lossSpreadMilliseconds: 2000, refusedFloorMilliseconds: 5000)

  private let settings: LinkSettings
  private let until: Int?
  private let report: @Sendable (Progress) -> Void
  private let state: Mutex<State>
  private let moments: AsyncStream<Moment>
  private let moment: AsyncStream<Moment>.Continuation
  private let client = Mutex<MQTTClient?>(nil)

  init(
    settings: LinkSettings, receiver: sending Receiver, signer: (any SignatureSigner)?, time: any TimeSource,
    until: Int?,
    report: @escaping @Sendable (Progress) -> Void
  ) throws {
    self.settings = settings
    self.until = until
    self.report = report
    state = Mutex(State(receiver: receiver, receipts: ReceiptQueue(signer: signer)))
    (moments, moment) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(64))
    let started = try MQTTClient(time: time, events: { [weak self] in self?.hear($0) })
    client.withLock { $0 = started }
  }

  /// Runs until a signal comes, the wanted captures are complete, or the disk fails. Returns whether all is well.
  func run(until signals: UnixSignalsSequence) async -> Bool {
    guard let client = client.withLock({ $0 }) else { return false }
    let trap = Task { [moment] in
      for await _ in signals {
        moment.yield(.finished(success: true))
        return
      }
    }
    var backoff = ReconnectBackoff(Self.backoff)
    var generator = SystemRandomNumberGenerator()
    var pause: Task<Void, Never>?
    var success = true
    client.connect(settings)
    waiting: for await moment in moments {
      switch moment {
      case .connectionEnded(let failure, let stood):
        if stood { backoff = ReconnectBackoff(Self.backoff) }
        let milliseconds = backoff.afterFailure(failure.kind, using: &generator)
        report(.down(failure, nextAttemptMilliseconds: milliseconds))
        pause?.cancel()
        pause = Task { [settings] in
          try? await Task.sleep(for: .milliseconds(milliseconds))
          if !Task.isCancelled { client.connect(settings) }
        }
      case .finished(let isWell):
        success = isWell
        break waiting
      }
    }
    pause?.cancel()
    trap.cancel()
    await client.stop()
    return success
  }

  // MARK: On the client's thread

  private func hear(_ event: LinkEvent) {
    switch event {
    case .moving, .secured, .oversize: break
    case .connected(let limits):
      state.withLock { $0.receipts.connectionBegan(maximumPacketBytes: limits.maximumPacketBytes) }
      publishReceipts()
    case .connectionFailed(let failure): moment.yield(.connectionEnded(failure, stood: false))
    case .disconnected(let failure):
      state.withLock { $0.receipts.connectionEnded() }
      if failure.kind != .requested { moment.yield(.connectionEnded(failure, stood: true)) }
    case .published(let token, _):
      state.withLock { $0.receipts.settled(token) }
      publishReceipts()
      finishIfDone()
    case .subscribed(let filter, let reason): subscribed(filter, reason)
    case .received(let message): take(message)
    }
  }

  private func subscribed(_ filter: String, _ reason: UInt8) {
    guard reason < 0x80 else {
      report(
        .note("receive: the broker refuses the subscription to \(filter) with reason 0x\(String(reason, radix: 16))"))
      moment.yield(.finished(success: false))
      return
    }
    report(.ready(filter: filter, place: "\(settings.host):\(settings.port)"))
  }

  private func take(_ message: IncomingMessage) {
    do {
      let (reaction, isComplete) = try state.withLock { state in
        let reaction = try state.receiver.take(message)
        if reaction.completed != nil { state.completed += 1 }
        // No short-circuit: each is to be added.
        let added = reaction.receipts.map { state.receipts.add($0) }
        return (reaction, !added.contains(false))
      }
      publishReceipts()
      if !isComplete {
        report(.note("receive: \(ReceiptQueue.maximumWaiting) receipts wait for the broker; devices will ask again"))
      }
      for note in reaction.notes { report(.note(note)) }
      if let completed = reaction.completed { report(.completed(completed)) }
    } catch {
      report(.note("receive: \(error)"))
      moment.yield(.finished(success: false))
    }
  }

  private func publishReceipts() {
    do {
      let ready = try state.withLock { try $0.receipts.takeReady() }
      client.withLock { $0 }?.publish(ready)
    } catch {
      report(.note("receive: \(error)"))
      moment.yield(.finished(success: false))
    }
  }

  private func finishIfDone() {
    guard let until else { return }
    let isDone = state.withLock { $0.completed >= until && $0.receipts.isEmpty }
    if isDone { moment.yield(.finished(success: true)) }
  }
}
