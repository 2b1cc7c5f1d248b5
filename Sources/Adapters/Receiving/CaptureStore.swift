import Audit
import Forwarding
import Provenance

/// Where a receiver keeps what devices send: a folder (`ReceivedFolder`), or a database.
///
/// The receiver has checked a delivery by itself; the store knows what is there already. Not thread-safe: one owner.
package protocol CaptureStore: AnyObject {
  /// Keeps `deliveries` and says of each, in their order, what became of it. What an outcome vouches for is on durable
  /// storage when this returns. Throws when the storage does not take them: nothing may then be said to any device,
  /// and all of them come again.
  func keep(_ deliveries: [Delivery]) throws(ReceiverError) -> [StoreOutcome]
}

/// One message of a device, judged by itself.
package struct Delivery: Sendable {
  package enum Content: Sendable {
    case record(RecordEnvelope)
    case image(captureID: RandomIdentifier, name: String, part: UplinkTopic.Part?)
    /// An alert, an event or a reply: kept once.
    case message(MessageKind)
    /// A status or a health report: only the newest is kept.
    case latest(LatestKind)
    case rejected(Rejection)
  }

  package enum MessageKind: String, Sendable, CaseIterable {
    case alert, event, reply
  }

  package enum LatestKind: String, Sendable, CaseIterable {
    case status, health
  }

  package let message: IncomingMessage
  /// Nil when the topic names no device; the content is then `rejected`.
  package let topics: TopicSchema?
  package let content: Content
  package let arrivedAt: Timestamp
  /// SHA-256 of the payload.
  package let sha256: [UInt8]

  /// The SHA-256 of the whole content as the sender announced it, 64 hexadecimal digits; nil under MQTT 3.1.1.
  package var announcedSHA256: String? { message.property(MessageComposer.Name.sha256) }

  /// What tells an alert, event or reply from others of its device: the sender's number when it came along (MQTT 5),
  /// otherwise its content. `[A-Za-z0-9._-]{1,100}`.
  package var identity: String {
    let number = message.property(MessageComposer.Name.id).map { $0.replacing(":", with: "-") }
    return number.flatMap { (1...100).contains($0.utf8.count) && $0.utf8.allSatisfy(\.isNameCharacter) ? $0 : nil }
      ?? Hexadecimal.text(of: sha256)
  }
}

/// What became of one delivery.
package struct StoreOutcome: Sendable, Equatable {
  /// Contents of one outbox that are safe.
  package struct Vouched: Sendable, Equatable {
    package var outboxID: RandomIdentifier
    package var entries: [Receipt.Entry]
    /// The greatest head of the device's audit log that is known here, while nothing contradicts it.
    package var cosignature: AuditHead?

    package init(outboxID: RandomIdentifier, entries: [Receipt.Entry], cosignature: AuditHead? = nil) {
      self.outboxID = outboxID
      self.entries = entries
      self.cosignature = cosignature
    }
  }

  /// A content that will never be taken.
  package struct Refused: Sendable, Equatable {
    package var outboxID: RandomIdentifier
    package var refusal: Receipt.Refusal

    package init(outboxID: RandomIdentifier, refusal: Receipt.Refusal) {
      self.outboxID = outboxID
      self.refusal = refusal
    }
  }

  /// One receipt each.
  package var vouched: [Vouched] = []
  package var refused: [Refused] = []
  /// The capture that became complete.
  package var completed: Receiver.CompletedCapture?
  /// For a person: what was not kept, and why; what is missing.
  package var notes: [String] = []
  /// The delivery itself was kept, or was here already.
  package var isKept = true

  package init() {}

  /// Nothing was kept.
  package init(rejected message: IncomingMessage, _ rejection: Rejection) {
    isKept = false
    notes = ["\(message.topic): not stored: \(rejection)"]
  }
}

extension StatusMessage {
  /// Numbers that one birth may ask about: more than an outbox holds by default.
  package static let answeredNumbers: Int64 = 8192

  /// A status that can be read, or nil: one that cannot asks for nothing.
  package init?(reading payload: [UInt8]) {
    guard payload.count <= Receipt.maximumBytes else { return nil }
    do { self = try StatusMessage(decoding: payload) } catch { return nil }
  }

  /// The number from which on a birth has no receipts, or nil when this is none or asks for nothing.
  package var askedNumber: Int64? {
    guard state == .online, let oldest = oldestWithoutReceipt,
      (0..<Int64.max - Self.answeredNumbers).contains(oldest)
    else { return nil }
    return oldest
  }
}
