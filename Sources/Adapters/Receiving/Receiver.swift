import Audit
import Forwarding
import LocalFiles
import Provenance

/// The receiver's rules: judges what devices send, has a store keep it, and says with receipts what is safe there.
///
/// A receipt for a capture is made only when the store has the record **and all its images**; one that may have been
/// lost is made again when the device sends again. Not thread-safe: one owner.
package final class Receiver {
  /// What one message led to.
  package struct Reaction: Sendable, Equatable {
    /// To be published through a `ReceiptQueue`.
    package var receipts: [AddressedReceipt] = []
    /// The capture that became complete with this message.
    package var completed: CompletedCapture?
    /// For a person: what was not stored, and why; what is missing.
    package var notes: [String] = []

    package init() {}
  }

  /// A capture of which everything is on durable storage.
  package struct CompletedCapture: Sendable, Equatable {
    package var site: String
    package var device: String
    package var captureID: RandomIdentifier
    package var outboxID: RandomIdentifier
    package var sequence: Int64
    package var replayed: Bool?
    /// Folder with the files; nil where the store has none.
    package var path: String?
    /// Names of the images.
    package var images: [String]
    /// The record as it came.
    package var record: [UInt8]
    /// What the receipt vouches for, the record first.
    package var entries: [Receipt.Entry]
    /// Bytes of each image, in the order of `images`.
    package var imageBytes: [Int]

    package init(
      site: String, device: String, captureID: RandomIdentifier, outboxID: RandomIdentifier, sequence: Int64,
      replayed: Bool?, path: String?, images: [String], record: [UInt8], entries: [Receipt.Entry], imageBytes: [Int]
    ) {
      self.site = site
      self.device = device
      self.captureID = captureID
      self.outboxID = outboxID
      self.sequence = sequence
      self.replayed = replayed
      self.path = path
      self.images = images
      self.record = record
      self.entries = entries
      self.imageBytes = imageBytes
    }
  }

  private let store: any CaptureStore
  private let name: String
  private let digests: any MessageDigests
  private let time: any TimeSource

  /// - Parameter name: this receiver's name in receipts, `[A-Za-z0-9._-]{1,64}`.
  package init(
    store: any CaptureStore, name: String, digests: any MessageDigests, time: any TimeSource
  ) throws(ReceiverError) {
    let isUsable = (1...64).contains(name.utf8.count) && name.utf8.allSatisfy(\.isNameCharacter)
    guard isUsable else {
      throw ReceiverError("use the name", "'\(name)'", reason: "expected 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
    }
    self.store = store
    self.name = name
    self.digests = digests
    self.time = time
  }

  /// A receiver into a folder; see `ReceivedFolder`.
  package convenience init(
    folder: String, name: String, digests: any MessageDigests, time: any TimeSource,
    register: @escaping (CompletedCapture) throws -> Void = { _ in }
  ) throws(ReceiverError) {
    let store = try ReceivedFolder(folder, name: name, digests: digests, time: time, register: register)
    try self.init(store: store, name: name, digests: digests, time: time)
  }

  /// Stores what `message` carries. Throws when the storage does not take it; nothing is then acknowledged, and the
  /// device sends it again.
  package func take(_ message: IncomingMessage) throws(ReceiverError) -> Reaction {
    try take([message]).first ?? Reaction()
  }

  /// The same for several messages at once, which a database likes better; one reaction each, in their order.
  package func take(_ messages: [IncomingMessage]) throws(ReceiverError) -> [Reaction] {
    let now = time.now()
    let deliveries = messages.map { judge($0, at: now) }
    let outcomes = try store.keep(deliveries)
    return zip(deliveries, outcomes).map(reaction)
  }

  // MARK: Judging a message by itself

  private func judge(_ message: IncomingMessage, at now: Timestamp) -> Delivery {
    let topic = UplinkTopic(message.topic)
    let sha256 = digests.sha256(message.payload)
    let content: Delivery.Content
    do throws(Rejection) {
      content = try judge(message, topic, sha256)
    } catch {
      content = .rejected(error)
    }
    return Delivery(message: message, topics: topic?.schema, content: content, arrivedAt: now, sha256: sha256)
  }

  private func judge(
    _ message: IncomingMessage, _ topic: UplinkTopic?, _ sha256: [UInt8]
  ) throws(Rejection) -> Delivery.Content {
    guard let topic else { throw Rejection("no topic of a device's uplink") }
    switch topic.kind {
    case .capture:
      let record = try RecordEnvelope(decoding: message.payload, from: topic.schema)
      try Self.checkDigest(of: message, is: sha256)
      return .record(record)
    case .image(let captureID, let name, let part):
      guard RecordEnvelope.isImageName(name) else { throw Rejection("'\(name)' cannot name an image") }
      if part == nil { try Self.checkDigest(of: message, is: sha256) }
      return .image(captureID: captureID, name: name, part: part)
    case .status: return .latest(.status)
    case .health: return .latest(.health)
    case .alert: return .message(.alert)
    case .event: return .message(.event)
    case .reply: return .message(.reply)
    }
  }

  /// The digest that travels beside a message must be that of the whole content.
  static func checkDigest(of message: IncomingMessage, is digest: [UInt8]) throws(Rejection) {
    guard let announced = message.property(MessageComposer.Name.sha256) else { return }
    guard announced == Hexadecimal.text(of: digest) else { throw Rejection("SHA-256 differs from the announced one") }
  }

  // MARK: Receipts

  private func reaction(_ delivery: Delivery, _ outcome: StoreOutcome) -> Reaction {
    var reaction = Reaction()
    reaction.completed = outcome.completed
    reaction.notes = outcome.notes
    guard let topics = delivery.topics else { return reaction }
    reaction.receipts =
      outcome.vouched.map {
        receipt(to: topics, outboxID: $0.outboxID, entries: $0.entries, cosignature: $0.cosignature)
      }
      + outcome.refused.map { receipt(to: topics, outboxID: $0.outboxID, refused: [$0.refusal]) }
    if case .message(.event) = delivery.content, outcome.isKept,
      let probe = ProbeMessage(decoding: delivery.message.payload)
    {
      let entry = probe.receipt(payload: delivery.message.payload, digests: digests)
      reaction.receipts.append(receipt(to: topics, outboxID: nil, entries: [entry]))
    }
    return reaction
  }

  /// The one place where a receipt is made.
  ///
  /// - Parameter outboxID: where the contents came from; nil for a probe, which lies in no outbox.
  private func receipt(
    to topics: TopicSchema, outboxID: RandomIdentifier?, entries: [Receipt.Entry] = [],
    refused: [Receipt.Refusal] = [], cosignature: AuditHead? = nil
  ) -> AddressedReceipt {
    var receipt = Receipt(
      receiver: name, addressee: Receipt.Addressee(topics, outboxID: outboxID), entries: entries, refused: refused)
    receipt.cosignature = cosignature
    return AddressedReceipt(topic: topics.receipts, receipt: receipt)
  }
}

extension Receipt.Addressee {
  init(_ topics: TopicSchema, outboxID: RandomIdentifier?) {
    self.init(site: topics.site.text, device: topics.device.text, outboxID: outboxID)
  }
}

extension UInt8 {
  /// One of `[A-Za-z0-9._-]`.
  var isNameCharacter: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}
