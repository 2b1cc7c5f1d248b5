import FoundationEssentials
import Provenance

/// What a receiver says it has on durable storage (`dn/receipt`). An entry frees a local copy only when the hash is
/// that of the copy, so whoever never held the content cannot forge one.
package struct Receipt: Sendable, Equatable {
  package static let schema = "thermograph.receipt.v1"
  /// Entries in one message.
  package static let maximumEntries = 256
  /// Bytes of one message.
  package static let maximumBytes = 64 * 1024

  /// One stored record or image.
  package struct Entry: Sendable, Hashable, Codable {
    package var captureID: RandomIdentifier
    /// `OutboxItem.recordName` or the image's name.
    package var name: String
    /// 64 lower-case hexadecimal digits of the SHA-256 of the stored payload.
    package var sha256: String

    package init(captureID: RandomIdentifier, name: String, sha256: String) {
      self.captureID = captureID
      self.name = name
      self.sha256 = sha256
    }

    private enum CodingKeys: String, CodingKey {
      case captureID = "capture_id"
      case name
      case sha256
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

  /// The receiver's own name, for the audit trail.
  package var receiver: String
  package var entries: [Entry]
  package var refused: [Refusal]

  package init(receiver: String, entries: [Entry], refused: [Refusal] = []) {
    self.receiver = receiver
    self.entries = entries
    self.refused = refused
  }
}

/// Why a message on `dn/receipt` was not believed.
package enum ReceiptError: Error, Sendable, Equatable, CustomStringConvertible {
  case tooLarge(byteCount: Int)
  case malformed(String)
  case entry(index: Int, String)

  package var description: String {
    switch self {
    case .tooLarge(let count): "receipt: \(count) bytes; expected at most \(Receipt.maximumBytes)"
    case .malformed(let what): "receipt: \(what)"
    case .entry(let index, let what): "receipt: entry \(index): \(what)"
    }
  }
}

extension Receipt: Codable {
  private enum CodingKeys: String, CodingKey {
    case schema
    case receiver
    case entries
    case refused
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let schema = try container.decode(String.self, forKey: .schema)
    guard schema == Self.schema else {
      throw DecodingError.dataCorruptedError(
        forKey: .schema, in: container, debugDescription: "unknown schema; expected \(Self.schema)")
    }
    receiver = try container.decode(String.self, forKey: .receiver)
    entries = try container.decode([Entry].self, forKey: .entries)
    refused = try container.decodeIfPresent([Refusal].self, forKey: .refused) ?? []
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Self.schema, forKey: .schema)
    try container.encode(receiver, forKey: .receiver)
    try container.encode(entries, forKey: .entries)
    if !refused.isEmpty { try container.encode(refused, forKey: .refused) }
  }

  /// The JSON that a receiver publishes.
  package func encoded() throws -> [UInt8] {
    try CanonicalJSON.bytes(of: self)
  }

  /// Reads and checks a receipt: size, schema, number of entries, form of every hash and name.
  package init(decoding bytes: [UInt8]) throws(ReceiptError) {
    guard bytes.count <= Self.maximumBytes else { throw ReceiptError.tooLarge(byteCount: bytes.count) }
    let receipt: Receipt
    do {
      receipt = try JSONDecoder().decode(Receipt.self, from: Data(bytes))
    } catch {
      throw ReceiptError.malformed("not a receipt of schema \(Self.schema)")
    }
    let entries = receipt.entries + receipt.refused.map(\.entry)
    guard entries.count <= Self.maximumEntries else {
      throw ReceiptError.malformed("\(entries.count) entries; expected at most \(Self.maximumEntries)")
    }
    for (index, entry) in entries.enumerated() {
      guard entry.sha256.utf8.count == 64, Hexadecimal.bytes(of: entry.sha256) != nil else {
        throw ReceiptError.entry(index: index, "sha256 is not 64 hexadecimal digits")
      }
      guard (1...64).contains(entry.name.utf8.count) else {
        throw ReceiptError.entry(index: index, "the name has \(entry.name.utf8.count) bytes; expected 1...64")
      }
    }
    self = receipt
  }
}
