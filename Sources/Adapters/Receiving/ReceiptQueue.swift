import Forwarding
import Provenance
import Trust

/// Receipts on their way to the devices: kept until the broker has them, and put together while they wait.
///
/// A broker may answer a receipt late: mosquitto 2.0.11 puts all that it holds for a subscriber before the PUBACK,
/// whatever the Receive Maximum. The window of receipts is then full for minutes, and one receipt a capture would mean
/// one capture a place and turn. So what waits for one device travels in one receipt of up to
/// `Receipt.maximumEntries` entries. What is under way when the connection ends is sent again on the next.
package struct ReceiptQueue: Sendable {
  /// Receipts without PUBACK; below the 20 that brokers take of a client at a time unless they are told otherwise.
  package static let window = 16
  /// Entries that may wait, of both kinds. Beyond that none is taken: the device asks for what it misses.
  package static let maximumWaiting = 65_536

  /// What an entry takes in a receipt, at most: as JSON, and as the base64 of that.
  private static let entryBytes = 256
  private static let signedEntryBytes = 344

  private let signer: (any SignatureSigner)?
  private var waiting: [AddressedReceipt] = []
  private var waitingEntries: Set<Receipt.Entry> = []
  private var waitingRefusals: Set<Receipt.Refusal> = []
  private var inFlight: [PublishToken: AddressedReceipt] = [:]
  private var nextToken: UInt64 = 1
  /// Entries of one receipt on this connection; nil without one.
  private var bundleEntries: Int?

  /// - Parameter signer: the receiver's key; nil for receipts of version 1, which devices take that ask for no signature.
  package init(signer: (any SignatureSigner)? = nil) {
    self.signer = signer
  }

  /// Nothing waits, and the broker has all that was handed over.
  package var isEmpty: Bool { waiting.isEmpty && inFlight.isEmpty }

  /// From now on receipts may be published, in packets of at most so many bytes.
  package mutating func connectionBegan(maximumPacketBytes: Int?) {
    let room = (maximumPacketBytes ?? .max) / (signer == nil ? Self.entryBytes : Self.signedEntryBytes) - 4
    bundleEntries = max(1, min(room, Receipt.maximumEntries))
  }

  /// The connection is gone: what has no PUBACK is sent again on the next one.
  package mutating func connectionEnded() {
    bundleEntries = nil
    let unanswered = inFlight.sorted { $0.key.rawValue < $1.key.rawValue }.map(\.value)
    inFlight.removeAll()
    waiting.insert(contentsOf: unanswered, at: 0)
    for addressed in unanswered { note(addressed.receipt) }
  }

  /// Takes a receipt; what of it waits already is not sent twice. False when there is no room.
  @discardableResult
  package mutating func add(_ added: AddressedReceipt) -> Bool {
    var added = added
    added.receipt.entries.removeAll { waitingEntries.contains($0) }
    added.receipt.refused.removeAll { waitingRefusals.contains($0) }
    guard added.count > 0 else { return true }
    guard waitingEntries.count + waitingRefusals.count + added.count <= Self.maximumWaiting else { return false }
    note(added.receipt)
    if let index = waiting.lastIndex(where: { $0.addressee == added.addressee }),
      waiting[index].count + added.count <= bundleEntries ?? Receipt.maximumEntries
    {
      waiting[index].receipt.entries += added.receipt.entries
      waiting[index].receipt.refused += added.receipt.refused
      // The log only grows: the greater head stands for the smaller one.
      if let head = added.receipt.cosignature, head.size >= waiting[index].receipt.cosignature?.size ?? 0 {
        waiting[index].receipt.cosignature = head
      }
    } else {
      waiting.append(added)
    }
    return true
  }

  /// The receipts that may be published now, each with the token of its outcome; none without a connection.
  package mutating func takeReady() throws -> [(message: OutgoingMessage, token: PublishToken)] {
    guard bundleEntries != nil else { return [] }
    var ready: [(message: OutgoingMessage, token: PublishToken)] = []
    while inFlight.count < Self.window, !waiting.isEmpty {
      let addressed = waiting.removeFirst()
      waitingEntries.subtract(addressed.receipt.entries)
      waitingRefusals.subtract(addressed.receipt.refused)
      let token = PublishToken(rawValue: nextToken)
      nextToken += 1
      inFlight[token] = addressed
      ready.append((try addressed.message(signedBy: signer), token))
    }
    return ready
  }

  /// A publish has its outcome. What the broker or the client refused is the device's to ask for again: nothing here
  /// would change the answer.
  package mutating func settled(_ token: PublishToken) {
    inFlight[token] = nil
  }

  private mutating func note(_ receipt: Receipt) {
    waitingEntries.formUnion(receipt.entries)
    waitingRefusals.formUnion(receipt.refused)
  }
}

/// A receipt and the device that it is for.
package struct AddressedReceipt: Sendable, Equatable {
  /// The device's `dn/receipt`.
  package let topic: String
  package var receipt: Receipt

  package init(topic: String, receipt: Receipt) {
    self.topic = topic
    self.receipt = receipt
  }

  /// What may travel in one receipt: of one device, and of one outbox of it.
  var addressee: Place { Place(topic: topic, outboxID: receipt.addressee?.outboxID) }

  struct Place: Equatable {
    let topic: String
    let outboxID: RandomIdentifier?
  }

  /// Entries of both kinds.
  package var count: Int { receipt.entries.count + receipt.refused.count }

  /// The PUBLISH that carries it, QoS 1.
  package func message(signedBy signer: (any SignatureSigner)? = nil) throws -> OutgoingMessage {
    guard let signer else {
      return OutgoingMessage(topic: topic, payload: try receipt.encoded(), contentType: "application/json")
    }
    return OutgoingMessage(
      topic: topic, payload: try receipt.signed(by: signer), contentType: "application/vnd.dsse.envelope.v1+json")
  }
}
