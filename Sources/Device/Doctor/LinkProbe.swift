import CloudLink
import Forwarding
import Provenance

/// One connection of doctor's own: handshake, and when asked a message that comes back as a receipt. Only while the service
/// does not run: a broker knows a device by one client id, and a second connection would end the first.
enum LinkProbe {
  struct Question: Sendable {
    var message: ProbeMessage
    var topics: TopicSchema
    var receiptMilliseconds: Int
  }

  private enum News: Sendable {
    case link(LinkEvent)
    case notice(LinkNotice)
    case tooLate
  }

  /// - Throws: why there was no connection.
  static func run(
    _ settings: LinkSettings, probe: Question?, time: any TimeSource, digests: some MessageDigests
  ) async throws(LinkFailure) -> LinkProbeResult {
    let (news, continuation) = AsyncStream.makeStream(of: News.self, bufferingPolicy: .bufferingOldest(256))
    let client = try MQTTClient(
      time: time, events: { continuation.yield(.link($0)) }, notices: { continuation.yield(.notice($0)) })
    var link = settings
    if let probe { link.subscriptions = [probe.topics.receipts] }
    client.connect(link)
    let alarm = Task {
      let limit = settings.connectTimeoutMilliseconds + (probe?.receiptMilliseconds ?? 0) + 1000
      try? await Task.sleep(for: .milliseconds(limit))
      continuation.yield(.tooLate)
    }
    defer { alarm.cancel() }
    var conversation = Conversation(probe: probe, digest: { digests.sha256($0) }, time: time)
    var failure: LinkFailure?
    for await event in news {
      if case .notice(.secured(let name)) = event { conversation.result.protection = name }
      if case .tooLate = event { break }
      guard case .link(let event) = event else { continue }
      if case .connectionFailed(let reason) = event { failure = reason }
      if conversation.isOver(after: event, client) { break }
    }
    await client.stop()
    if let failure { throw failure }
    return conversation.result
  }

  private struct Conversation {
    let probe: Question?
    let digest: ([UInt8]) -> [UInt8]
    let time: any TimeSource
    var result = LinkProbeResult()
    private var sent: UInt64 = 0
    private var expected: String = ""

    init(probe: Question?, digest: @escaping ([UInt8]) -> [UInt8], time: any TimeSource) {
      self.probe = probe
      self.digest = digest
      self.time = time
    }

    private var elapsed: Int { Int((time.now().monotonicNanoseconds - sent) / 1_000_000) }

    mutating func isOver(after event: LinkEvent, _ client: MQTTClient) -> Bool {
      switch event {
      case .connected:
        guard let probe else { return true }
        do {
          let payload = try probe.message.encoded()
          expected = Hexadecimal.text(of: digest(payload))
          sent = time.now().monotonicNanoseconds
          client.publish(
            OutgoingMessage(topic: probe.topics.up("event"), payload: payload, contentType: "application/json"),
            token: PublishToken(rawValue: 1))
          return false
        } catch {
          result.refusal = "\(error)"
          return true
        }
      case .published(_, let outcome):
        switch outcome {
        case .acknowledged: result.acknowledgedMilliseconds = elapsed
        default: result.refusal = "\(outcome)"
        }
        return result.refusal != nil
      case .received(let message):
        guard let probe, message.topic == probe.topics.receipts else { return false }
        do throws(ReceiptError) {
          let receipt = try Receipt(decoding: message.payload)
          guard receipt.entries.contains(where: { $0.captureID == probe.message.id && $0.sha256 == expected }) else {
            return false
          }
          result.receiver = receipt.receiver
          result.receiptMilliseconds = elapsed
          // A receipt can overtake the broker's acknowledgement.
          if result.acknowledgedMilliseconds == nil { result.acknowledgedMilliseconds = result.receiptMilliseconds }
          return true
        } catch {
          return false
        }
      case .moving: return false
      case .connectionFailed, .disconnected: return true
      }
    }
  }
}
