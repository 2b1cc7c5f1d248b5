import Audit
import Provenance
import Trust

/// What a receiver says it has on durable storage (`dn/receipt`). An entry frees a local copy only when the hash is
/// that of the copy, and when this device has published it and the broker acknowledged it, or exported it to a stick.
///
/// Version 2 travels as a DSSE statement that the receiver signed (`ReceiptReader`), because the record on `up/capture`
/// names the hashes of its images: who reads it could otherwise write the receipt. Version 1 is the bare JSON.
package struct Receipt: Sendable, Equatable {
  package static let schema = "thermograph.receipt.v1"
  package static let signedSchema = "thermograph.receipt.v2"
  /// Of the DSSE envelope.
  package static let payloadType: ExactText = "application/vnd.thermograph.receipt.v2+json"
  /// Entries in one message.
  package static let maximumEntries = 256
  /// Bytes of one message of version 1, and of the payload of version 2.
  package static let maximumBytes = 64 * 1024
  /// An envelope with such a payload and its signatures.
  package static let limits = Envelope.Limits(envelopeBytes: 96 * 1024, payloadBytes: maximumBytes)

  /// One stored record or image.
  package struct Entry: Sendable, Hashable, Codable {
    package var captureID: RandomIdentifier
    /// `OutboxItem.recordName` or the image's name.
    package var name: String
    /// 64 lower-case hexadecimal digits of the SHA-256 of the stored payload.
    package var sha256: String
    /// Of a record whose capture is complete, by the receiver's clock alone: RFC 3339 of when it had all of it, and of when
    /// that was durable. Both or neither.
    package var receivedAt: String?
    package var storedAt: String?

    package init(
      captureID: RandomIdentifier, name: String, sha256: String, receivedAt: String? = nil, storedAt: String? = nil
    ) {
      self.captureID = captureID
      self.name = name
      self.sha256 = sha256
      self.receivedAt = receivedAt
      self.storedAt = storedAt
    }

    /// Two entries speak of the same content whatever they say of times: a receiver that repeats itself says nothing new.
    package static func == (left: Self, right: Self) -> Bool {
      (left.captureID, left.name, left.sha256) == (right.captureID, right.name, right.sha256)
    }

    package func hash(into hasher: inout Hasher) {
      hasher.combine(captureID)
      hasher.combine(name)
      hasher.combine(sha256)
    }

    /// What the far side took, in milliseconds; nil where it does not say, or its clock went back.
    package var cloudMilliseconds: Int64? {
      guard let receivedAt, let storedAt, let start = UTCTime.milliseconds(of: ExactText(receivedAt)),
        let end = UTCTime.milliseconds(of: ExactText(storedAt)), end >= start
      else { return nil }
      return end - start
    }

    private enum CodingKeys: String, CodingKey {
      case captureID = "capture_id"
      case name
      case sha256
      case receivedAt = "received_at"
      case storedAt = "stored_at"
    }
  }

  /// A record or image that the receiver will never take, whatever is sent again.
  package struct Refusal: Sendable, Hashable, Codable {
    package enum Reason: String, Sendable, Codable {
      /// The capture's number belongs to another capture.
      case numberTaken = "number-taken"
      /// Another content is stored under the same capture and name.
      case contentDiffers = "content-differs"
    }

    /// What was refused, with the SHA-256 of the refused payload.
    package var entry: Entry
    package var reason: Reason

    package init(_ entry: Entry, _ reason: Reason) {
      self.entry = entry
      self.reason = reason
    }
  }

  /// Whom a receipt is for: another device, or this one's earlier outbox, has nothing to do with it.
  package struct Addressee: Sendable, Hashable {
    package var site: String
    package var device: String
    /// nil for what lies in no outbox: doctor's probe.
    package var outboxID: RandomIdentifier?

    package init(site: String, device: String, outboxID: RandomIdentifier?) {
      self.site = site
      self.device = device
      self.outboxID = outboxID
    }
  }

  /// The receiver's own name, for the audit trail.
  package var receiver: String
  /// Always there in version 2.
  package var addressee: Addressee?
  package var entries: [Entry]
  package var refused: [Refusal]
  /// When it came to this device; not part of the message.
  package var arrivedAt: Timestamp?
  /// The head of the device's audit log that the receiver has seen: its signature over the receipt stands for it.
  package var cosignature: AuditHead?

  package init(receiver: String, addressee: Addressee? = nil, entries: [Entry], refused: [Refusal] = []) {
    self.receiver = receiver
    self.addressee = addressee
    self.entries = entries
    self.refused = refused
  }

  /// Whether it may free anything of this outbox. Old receivers name none.
  package func concerns(outbox: RandomIdentifier) -> Bool {
    addressee.map { $0.outboxID == outbox } ?? true
  }
}

/// Why a message on `dn/receipt` was not believed.
package enum ReceiptError: Error, Sendable, Equatable, CustomStringConvertible {
  case tooLarge(byteCount: Int)
  case malformed(String)
  case entry(index: Int, String)
  /// No signature, and this device asks for one.
  case unsigned
  /// Signed, and this device has no receiver's key to check it with.
  case noKeys
  /// Not by a key that this device knows.
  case untrusted(String)
  /// For another device or another outbox.
  case misdirected(String)

  /// It is no receipt at all; else its word does not count.
  var isMalformed: Bool {
    switch self {
    case .tooLarge, .malformed, .entry: true
    case .unsigned, .noKeys, .untrusted, .misdirected: false
    }
  }

  package var description: String {
    switch self {
    case .tooLarge(let count): "receipt: \(count) bytes; expected at most \(Receipt.maximumBytes)"
    case .malformed(let what): "receipt: \(what)"
    case .entry(let index, let what): "receipt: entry \(index): \(what)"
    case .unsigned: "receipt: not signed; delivery.require_signed_receipts asks for a receiver's signature"
    case .noKeys: "receipt: signed, and no receiver's key is here to check it; name them in delivery.receiver_keys_file"
    case .untrusted(let what): "receipt: \(what)"
    case .misdirected(let what): "receipt: for \(what)"
    }
  }
}

// MARK: - Writing

extension Receipt: Encodable {
  private enum CodingKeys: String, CodingKey {
    case schema
    case receiver
    case site
    case device
    case outboxID = "outbox_id"
    case entries
    case refused
    case cosignature
  }

  /// Writes version 1; who does not know the members beyond it passes them over.
  package func encode(to encoder: any Encoder) throws {
    try encode(to: encoder, schema: Self.schema)
  }

  private func encode(to encoder: any Encoder, schema: String) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(schema, forKey: .schema)
    try container.encode(receiver, forKey: .receiver)
    try container.encodeIfPresent(addressee?.site, forKey: .site)
    try container.encodeIfPresent(addressee?.device, forKey: .device)
    try container.encodeIfPresent(addressee?.outboxID, forKey: .outboxID)
    try container.encode(entries, forKey: .entries)
    if !refused.isEmpty { try container.encode(refused, forKey: .refused) }
    try container.encodeIfPresent(cosignature, forKey: .cosignature)
  }

  private struct Signed: Encodable {
    let receipt: Receipt

    func encode(to encoder: any Encoder) throws {
      try receipt.encode(to: encoder, schema: Receipt.signedSchema)
    }
  }

  /// The JSON of version 1, which a receiver without a key publishes.
  package func encoded() throws -> [UInt8] {
    try CanonicalJSON.bytes(of: self)
  }

  /// The envelope of version 2.
  package func signed(by signer: some SignatureSigner) throws -> [UInt8] {
    let payload = try CanonicalJSON.bytes(of: Signed(receipt: self))
    return try Envelope(payload, type: Self.payloadType, signedBy: [signer]).encoded()
  }
}

// MARK: - Reading

extension Receipt {
  /// Beyond any text that `maximumEntries` fit in.
  private static let maximumValues = 16_384

  /// Reads and checks a receipt's JSON: size, schema, number of entries, form of every hash and name. Members that are
  /// unknown here are passed over. Whose word it is, is not looked at.
  package init(decoding bytes: [UInt8], schema: String = Receipt.schema) throws(ReceiptError) {
    guard bytes.count <= Self.maximumBytes else { throw ReceiptError.tooLarge(byteCount: bytes.count) }
    let tree: JSONValue
    do throws(JSONFault) {
      tree = try JSONValue(
        reading: bytes,
        within: JSONLimits(bytes: Self.maximumBytes, depth: 8, values: Self.maximumValues, decimals: .kept))
    } catch {
      throw ReceiptError.malformed("\(error)")
    }
    guard case .object(let object) = tree else { throw ReceiptError.malformed("\(tree.kind); expected an object") }
    try self.init(object, schema: schema)
    try check()
  }

  private init(_ object: JSONObject, schema: String) throws(ReceiptError) {
    do throws(ShapeFault) {
      guard try object.text("schema") == ExactText(schema) else {
        throw ShapeFault("not a receipt of schema \(schema)")
      }
      receiver = try object.text("receiver").string
      addressee = try Self.addressee(object, isRequired: schema == Self.signedSchema)
      entries = []
      for entry in try object.objects("entries", maximum: Self.maximumValues) { entries.append(try Entry(entry)) }
      refused = []
      if object["refused"] != nil {
        for refusal in try object.objects("refused", maximum: Self.maximumValues) {
          refused.append(try Refusal(refusal))
        }
      }
      cosignature = try object.optionalObject("cosignature").map { head throws(ShapeFault) in
        try AuditHead(reading: head)
      }
    } catch {
      throw ReceiptError.malformed("\(error)")
    }
  }

  private static func addressee(_ object: JSONObject, isRequired: Bool) throws(ShapeFault) -> Addressee? {
    guard isRequired || object["device"] != nil else { return nil }
    return Addressee(
      site: try object.text("site").string, device: try object.text("device").string,
      outboxID: object["outbox_id"] == nil ? nil : try object.identifier("outbox_id"))
  }

  private func check() throws(ReceiptError) {
    let all = entries + refused.map(\.entry)
    guard all.count <= Self.maximumEntries else {
      throw ReceiptError.malformed("\(all.count) entries; expected at most \(Self.maximumEntries)")
    }
    for (index, entry) in all.enumerated() {
      guard entry.sha256.utf8.count == 64, Hexadecimal.bytes(of: entry.sha256) != nil else {
        throw ReceiptError.entry(index: index, "sha256 is not 64 hexadecimal digits")
      }
      guard (entry.receivedAt == nil) == (entry.storedAt == nil),
        [entry.receivedAt, entry.storedAt].allSatisfy({
          $0.map { UTCTime.milliseconds(of: ExactText($0)) != nil } ?? true
        })
      else { throw ReceiptError.entry(index: index, "received_at and stored_at are not two times") }
      guard (1...64).contains(entry.name.utf8.count) else {
        throw ReceiptError.entry(index: index, "the name has \(entry.name.utf8.count) bytes; expected 1...64")
      }
    }
  }
}

extension Receipt.Entry {
  fileprivate init(_ object: JSONObject) throws(ShapeFault) {
    self.init(
      captureID: try object.identifier("capture_id"), name: try object.text("name").string,
      sha256: try object.text("sha256").string, receivedAt: try object.optionalText("received_at")?.string,
      storedAt: try object.optionalText("stored_at")?.string)
  }
}

extension Receipt.Refusal {
  fileprivate init(_ object: JSONObject) throws(ShapeFault) {
    let text = try object.text("reason")
    guard let reason = Reason(rawValue: text.string) else { throw ShapeFault("'reason' is '\(text)'") }
    self.init(try Receipt.Entry(try object.object("entry")), reason)
  }
}

extension JSONObject {
  fileprivate func identifier(_ name: ExactText) throws(ShapeFault) -> RandomIdentifier {
    guard let identifier = RandomIdentifier(try text(name).string) else {
      throw ShapeFault("'\(name)' is no UUID of 36 characters")
    }
    return identifier
  }
}
