import CaptureDatabase
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport

/// A fresh database with the schema, and receivers over it.
final class DatabaseBench {
  let database: TestDatabase
  let masters: KeyRing
  let keyFile: URL
  private let scratch: ScratchFolder
  private var generator = SystemRandomNumberGenerator()
  let outboxID: RandomIdentifier
  let topics: TopicSchema

  /// - Parameter server: of the test's own, when it does something to it.
  init(on server: PostgresServer? = nil) throws {
    database = try (server ?? PostgresServer.start()).makeDatabase()
    scratch = try ScratchFolder()
    keyFile = scratch.url.appending(path: "master.key")
    masters = KeyRing(
      current: try KeyFile.create(path: keyFile.path, digests: OpenSSLDigests(), using: &generator))
    _ = try DatabaseSchema.migrate(try DatabaseTarget(database.connection))
    outboxID = RandomIdentifier(using: &generator)
    topics = TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier("unit-1"))
  }

  func target() throws -> DatabaseTarget { try DatabaseTarget(database.connection) }

  func store(
    _ masters: KeyRing? = nil, change: (inout DatabaseStore.Limits) -> Void = { _ in }
  ) throws -> DatabaseStore {
    var limits = DatabaseStore.Limits()
    change(&limits)
    return try DatabaseStore(try target(), masters: masters ?? self.masters, digests: OpenSSLDigests(), limits: limits)
  }

  func receiver(_ store: DatabaseStore? = nil) throws -> Receiver {
    try Receiver(store: try store ?? self.store(), name: "worker", digests: OpenSSLDigests(), time: ManualClock())
  }

  func capture(
    _ sequence: Int64, images: [String: Int] = ["master.png": 900, "view.png": 4000], fields: String = "",
    device: String = "unit-1", site: String = "clinic", outboxID: RandomIdentifier? = nil
  ) throws -> SentCapture {
    let topics = TopicSchema(site: try TopicIdentifier(site), device: try TopicIdentifier(device))
    let id = RandomIdentifier(using: &generator)
    var contents: [String: [UInt8]] = [:]
    for (name, count) in images {
      contents[name] = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
    return SentCapture(
      topics: topics, id: id, outboxID: outboxID ?? self.outboxID, sequence: sequence, images: contents, fields: fields)
  }
}

/// A capture as its device sends it.
struct SentCapture {
  let topics: TopicSchema
  let id: RandomIdentifier
  let record: [UInt8]
  let images: [String: [UInt8]]

  init(
    topics: TopicSchema, id: RandomIdentifier, outboxID: RandomIdentifier, sequence: Int64, images: [String: [UInt8]],
    fields: String
  ) {
    self.topics = topics
    self.id = id
    self.images = images
    let list = images.sorted { $0.key < $1.key }.map { name, bytes in
      #"{"name":"\#(name)","bytes":\#(bytes.count),"sha256":"\#(sha256Text(bytes))"}"#
    }
    record = Array(
      (#"{"schema":"thermograph.capture.v2","capture_id":"\#(id)","outbox_id":"\#(outboxID)","sequence":\#(sequence),"#
        + #""site":"\#(topics.site)","device":"\#(topics.device)",\#(fields)"images":[\#(list.joined(separator: ","))]}"#)
        .utf8)
  }

  func recordMessage() -> IncomingMessage {
    IncomingMessage(
      topic: topics.up("capture"), payload: record, userProperties: [UserProperty("sha256", sha256Text(record))])
  }

  func imageMessage(_ name: String) -> IncomingMessage {
    let bytes = images[name] ?? []
    return IncomingMessage(
      topic: topics.up("image/\(id)_\(name.replacingOccurrences(of: ".", with: "_"))"), payload: bytes,
      userProperties: [UserProperty("sha256", sha256Text(bytes))])
  }

  func partMessages(_ name: String, size: Int) -> [IncomingMessage] {
    let whole = imageMessage(name)
    let count = (whole.payload.count + size - 1) / size
    return (0..<count).map { index in
      var message = whole
      message.topic += "/\(index + 1)-of-\(count)"
      message.payload = Array(whole.payload[index * size..<min(whole.payload.count, (index + 1) * size)])
      return message
    }
  }

  var messages: [IncomingMessage] { [recordMessage()] + images.keys.sorted().map(imageMessage) }

  func entry(_ name: String, _ bytes: [UInt8]) -> Receipt.Entry {
    Receipt.Entry(captureID: id, name: name, sha256: sha256Text(bytes))
  }

  var entries: Set<Receipt.Entry> {
    Set([entry("record.json", record)] + images.map { entry($0.key, $0.value) })
  }
}

func sha256Text(_ bytes: [UInt8]) -> String { Hexadecimal.text(of: OpenSSLDigests().sha256(bytes)) }

extension [Receiver.Reaction] {
  var entries: Set<Receipt.Entry> { Set(flatMap { $0.receipts.flatMap(\.receipt.entries) }) }
  var refused: [Receipt.Refusal] { flatMap { $0.receipts.flatMap(\.receipt.refused) } }
  var notes: [String] { flatMap(\.notes) }
  var completed: Int { count { $0.completed != nil } }
}
