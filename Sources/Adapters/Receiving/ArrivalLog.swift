import Forwarding
import LocalFiles
import Provenance

/// `arrivals.jsonl`: one line for everything that arrived, in the order of arrival, duplicates included.
struct Arrival: Encodable {
  enum Outcome: String, Encodable {
    case stored, part, duplicate, conflict, rejected
  }

  var arrivedAt: String
  var topic: String
  var bytes: Int
  var captureID: String?
  var name: String?
  var outboxID: String?
  var sequence: Int64?
  /// As the device said it; nil under MQTT 3.1.1, which has no place for it.
  var replayed: Bool?
  var capturedAt: String?
  var outcome: Outcome = .stored
  /// Why, when it was not stored.
  var reason: String?

  enum CodingKeys: String, CodingKey {
    case arrivedAt = "arrived_at"
    case topic, bytes
    case captureID = "capture_id"
    case name
    case outboxID = "outbox_id"
    case sequence, replayed
    case capturedAt = "captured_at"
    case outcome, reason
  }

  init(of message: IncomingMessage, at now: Timestamp) {
    arrivedAt = now.rfc3339
    topic = message.topic
    bytes = message.payload.count
    captureID = message.property(MessageComposer.Name.captureID)
    outboxID = message.property(MessageComposer.Name.outboxID)
    sequence = message.property(MessageComposer.Name.sequence).flatMap { Int64($0) }
    replayed = message.property(MessageComposer.Name.replayed).map { $0 == "true" }
    capturedAt = message.property(MessageComposer.Name.capturedAt)
  }
}

/// The file of `Arrival` lines. A line is written with one call, so several receivers may share it.
final class ArrivalLog {
  private let file: OpenFile

  init(path: String) throws(FileError) {
    file = try OpenFile(path, for: .appending(mode: 0o644))
  }

  func append(_ arrival: Arrival) throws(FileError) {
    var line: [UInt8]
    do {
      line = try CanonicalJSON.bytes(of: arrival)
    } catch {
      throw FileError(path: file.path, reason: "a line cannot be written: \(error)")
    }
    line.append(UInt8(ascii: "\n"))
    try file.write(line)
  }

  /// Brings the lines so far to the disk.
  func synchronise() throws(FileError) { try file.synchroniseContent() }
}

extension IncomingMessage {
  /// The first user property of that name.
  package func property(_ name: String) -> String? { userProperties.first { $0.name == name }?.value }
}
