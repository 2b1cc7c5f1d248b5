import FoundationEssentials
import Provenance

/// `device-{outbox_id}.json` of an export: whose messages lie beside the captures, which name their device themselves. Several
/// devices may share a stick.
package struct ExportOrigin: Sendable, Equatable, Codable {
  /// The folder of alerts, events and replies, `{outbox_id}-{number}-{kind}.json` each.
  package static let messagesName = "messages"
  package static let bytesMaximum = 1024
  private static let schema = "thermograph.export.v1"

  private let schema: String
  package let site: String
  package let device: String
  package let outboxID: RandomIdentifier

  package init(site: String, device: String, outboxID: RandomIdentifier) {
    schema = Self.schema
    self.site = site
    self.device = device
    self.outboxID = outboxID
  }

  /// Throws what `JSONDecoder` throws, also where it is of another schema.
  package init(decoding bytes: [UInt8]) throws {
    self = try JSONDecoder().decode(Self.self, from: Data(bytes))
    guard schema == Self.schema else {
      throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "expected \(Self.schema)"))
    }
  }

  package static func fileName(_ outboxID: RandomIdentifier) -> String { "device-\(outboxID).json" }

  /// The name of a message's file.
  package static func messageName(_ item: OutboxItem, in outboxID: RandomIdentifier) -> String {
    "\(outboxID)-\(item.id)-\(item.topicSuffix).json"
  }

  /// What the name of a message's file says; nil when it is none.
  package static func message(
    named name: String
  ) -> (outboxID: RandomIdentifier, number: Int64, topicSuffix: String)? {
    let words = name.dropFirst(36).split(separator: "-", omittingEmptySubsequences: false)
    guard name.hasSuffix(".json"), let outboxID = RandomIdentifier(String(name.prefix(36))), words.count == 3,
      words[0].isEmpty, let number = Int64(words[1]), (1...OutboxItem.largestNumber).contains(number)
    else { return nil }
    return (outboxID, number, String(words[2].dropLast(".json".count)))
  }

  package func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(of: self) }

  private enum CodingKeys: String, CodingKey {
    case schema, site, device
    case outboxID = "outbox_id"
  }
}
