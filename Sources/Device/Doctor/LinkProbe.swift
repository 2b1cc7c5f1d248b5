import CloudLink
import Forwarding
import Provenance

/// One connection of doctor's own: handshake, and when asked a message that comes back as a receipt. Only while the service
/// does not run: a broker knows a device by one client id, and a second connection would end the first.
enum LinkProbe {
  struct Question: Sendable {
    var message: ProbeMessage
    var topics: TopicSchema
    var receipts: ReceiptReader
    var receiptMilliseconds: Int
  }

  private enum News: Sendable {
    case link(LinkEvent)
    case tooLate
  }

  /// - Throws: why there was no connection.
  static func run(
    _ settings: LinkSettings, probe: Question?, time: any TimeSource, digests: some MessageDigests
  ) async throws(LinkFailure) -> LinkProbeResult {
    let (news, continuation) = AsyncStream.makeStream(of: News.self, bufferingPolicy: .bufferingOldest(256))
    let client = try MQTTClient(time: time, events: { continuation.yield(.link($0)) })
    var link = settings
    if let probe { link.subscriptions = [probe.topics.receipts] }
    client.connect(link)
    let alarm = Task {
      let limit = settings.connectTimeoutMilliseconds + (probe?.receiptMilliseconds ?? 0) + 1000
      try? await Task.sleep(for: .milliseconds(limit))
      continuation.yield(.tooLate)
    }
    defer { alarm.cancel() }
    var protection = LinkProbeResult().protection
    var trip: LinkRoundTrip?
    var failure: LinkFailure?
    conversation: for await event in news {
      guard case .link(let event) = event else { break }
      let now = time.now().monotonicNanoseconds
      switch event {
      case .secured(let name): protection = name
      case .connected:
        guard let probe else { break conversation }
        do {
          let begun = try LinkRoundTrip(
            probe.message, topics: probe.topics, token: PublishToken(rawValue: 1), sent: now, digests: digests)
          client.publish(begun.message, token: begun.token)
          trip = begun
        } catch {
          failure = LinkFailure(kind: .requested, detail: "\(error)")
          break conversation
        }
      case .published(_, let outcome): trip?.settled(outcome, at: now)
      case .received(let message) where message.topic == probe?.topics.receipts:
        // Anybody's receipt may pass by; only the probe's own is waited for.
        do throws(ReceiptError) {
          if let receipt = try probe?.receipts.read(message.payload) { trip?.heard(receipt, at: now) }
        } catch { continue }
      case .received, .subscribed, .oversize, .moving: break
      case .connectionFailed(let reason):
        failure = reason
        break conversation
      case .disconnected: break conversation
      }
      if trip?.isFinished == true { break }
    }
    await client.stop()
    if let failure { throw failure }
    var result = trip?.result ?? LinkProbeResult()
    result.protection = protection
    return result
  }
}
