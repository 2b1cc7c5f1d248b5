import FoundationEssentials
import Provenance

/// A question on `up/event` by which `doctor` proves the whole way to a receiver: the receipt of a receiver that stored it
/// names `id` and `name`.
package struct ProbeMessage: Sendable, Equatable, Codable {
  package static let schema = "thermograph.probe.v1"
  /// `Receipt.Entry.name` of its receipt.
  package static let name = "probe"
  /// Longer messages are none.
  package static let maximumBytes = 512

  package let schema: String
  package let id: RandomIdentifier
  /// RFC 3339.
  package let at: String

  package init(id: RandomIdentifier, at now: Timestamp) {
    schema = Self.schema
    self.id = id
    at = now.rfc3339
  }

  /// nil when `payload` is another kind of event.
  package init?(decoding payload: [UInt8]) {
    guard payload.count <= Self.maximumBytes else { return nil }
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(payload))
    } catch {
      return nil
    }
    guard schema == Self.schema else { return nil }
  }

  package func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(of: self) }

  /// What the receiver that stored `payload` answers.
  package func receipt(payload: [UInt8], digests: some MessageDigests) -> Receipt.Entry {
    Receipt.Entry(captureID: id, name: Self.name, sha256: Hexadecimal.text(of: digests.sha256(payload)))
  }
}
