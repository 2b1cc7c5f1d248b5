import FoundationEssentials
import Provenance

/// Says what will not arrive, and why: each loss is itself delivered as an event. A receiver that misses a sequence
/// number finds its reason here.
package struct GapRecord: Sendable, Equatable {
  package static let schema = "thermograph.gap.v1"

  package enum Reason: String, Sendable, Codable {
    /// Removed to make room, as the configuration allows.
    case dropped
    /// Not stored, because a limit was reached.
    case refused
    /// Stored, but no longer readable or not deliverable.
    case quarantined
    /// The database was damaged and this could not be recovered.
    case lost
    /// Numbers that are left out because an interruption leaves open whether they were used. What was announced as
    /// saved is missing only if the disk lost what it had reported as written.
    case unused
  }

  package var reason: Reason
  /// `DeliveryClass.name`; nil when it is not known any more.
  package var deliveryClass: String?
  package var captureID: RandomIdentifier?
  package var sequence: Int64?
  /// With `sequence`, the last of a range of numbers that will not be used.
  package var throughSequence: Int64?
  /// The image's name or `OutboxItem.recordName`.
  package var name: String?
  /// Messages this record stands for, at least 1; 0 when nobody knows, or none (`unused`).
  package var count: Int
  /// For a person.
  package var detail: String
  package var outboxID: RandomIdentifier
  /// RFC 3339.
  package var at: String

  package init(
    reason: Reason, item: OutboxItem?, count: Int = 1, detail: String, outboxID: RandomIdentifier, at: Timestamp
  ) {
    self.reason = reason
    deliveryClass = item?.deliveryClass.name
    captureID = item?.captureID
    sequence = item?.sequence
    name = item?.name
    self.count = count
    self.detail = detail
    self.outboxID = outboxID
    self.at = at.rfc3339
  }

  /// The JSON on the wire.
  package func encoded() throws -> [UInt8] {
    try CanonicalJSON.bytes(of: self)
  }
}

extension GapRecord: Codable {
  private enum CodingKeys: String, CodingKey {
    case schema, reason, sequence, name, count, detail, at
    case deliveryClass = "class"
    case throughSequence = "through_sequence"
    case captureID = "capture_id"
    case outboxID = "outbox_id"
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let schema = try container.decode(String.self, forKey: .schema)
    guard schema == Self.schema else {
      throw DecodingError.dataCorruptedError(
        forKey: .schema, in: container, debugDescription: "unknown schema; expected \(Self.schema)")
    }
    reason = try container.decode(Reason.self, forKey: .reason)
    deliveryClass = try container.decodeIfPresent(String.self, forKey: .deliveryClass)
    captureID = try container.decodeIfPresent(RandomIdentifier.self, forKey: .captureID)
    sequence = try container.decodeIfPresent(Int64.self, forKey: .sequence)
    throughSequence = try container.decodeIfPresent(Int64.self, forKey: .throughSequence)
    name = try container.decodeIfPresent(String.self, forKey: .name)
    count = try container.decode(Int.self, forKey: .count)
    detail = try container.decode(String.self, forKey: .detail)
    outboxID = try container.decode(RandomIdentifier.self, forKey: .outboxID)
    at = try container.decode(String.self, forKey: .at)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Self.schema, forKey: .schema)
    try container.encode(reason, forKey: .reason)
    try container.encodeIfPresent(deliveryClass, forKey: .deliveryClass)
    try container.encodeIfPresent(captureID, forKey: .captureID)
    try container.encodeIfPresent(sequence, forKey: .sequence)
    try container.encodeIfPresent(throughSequence, forKey: .throughSequence)
    try container.encodeIfPresent(name, forKey: .name)
    try container.encode(count, forKey: .count)
    try container.encode(detail, forKey: .detail)
    try container.encode(outboxID, forKey: .outboxID)
    try container.encode(at, forKey: .at)
  }
}
