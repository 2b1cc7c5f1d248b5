import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

@Suite struct ReceiverTests {
  @Test func aReceiptOnlyWhenRecordAndAllImagesAreThere() throws {
    let bench = try ReceiverBench()
    let capture = bench.capture(1, images: ["master.png": 900, "view.png": 4000])
    var reaction = try bench.receiver.take(capture.recordMessage())
    #expect(reaction == Receiver.Reaction())
    reaction = try bench.receiver.take(capture.imageMessage("master.png"))
    #expect(reaction == Receiver.Reaction())
    reaction = try bench.receiver.take(capture.imageMessage("view.png"))
    #expect(reaction.notes == [])
    #expect(reaction.completed?.captureID == capture.id)
    #expect(reaction.completed?.sequence == 1)
    let message = try #require(reaction.receipts.first)
    #expect(message.topic == "tg/v1/clinic/unit-1/dn/receipt")
    let receipt = message.receipt
    #expect(receipt.receiver == "archive")
    #expect(
      Set(receipt.entries)
        == Set(
          [(OutboxItem.recordName, capture.record)].map { capture.entry($0.0, $0.1) }
            + capture.images.map { capture.entry($0.key, $0.value) }))
    #expect(try bench.file(capture, "record.json") == capture.record)
    #expect(try bench.file(capture, "view.png") == capture.images["view.png"])
  }

  /// The record's entry says when all of it was here and when it was durable, the same each time it is said.
  @Test func theRecordsEntryTellsTheReceiversTime() throws {
    let bench = try ReceiverBench()
    let capture = bench.capture(1, images: ["master.png": 900])
    _ = try bench.receiver.take(capture.recordMessage())
    let first = try #require(try bench.receiver.take(capture.imageMessage("master.png")).receipts.first).receipt
    let record = try #require(first.entries.first { $0.name == OutboxItem.recordName })
    #expect(record.cloudMilliseconds != nil, "\(record)")
    #expect(first.entries.allSatisfy { $0.name == OutboxItem.recordName || $0.receivedAt == nil })
    let again = try #require(try bench.receiver.take(capture.recordMessage()).receipts.first).receipt.entries.first {
      $0.name == OutboxItem.recordName
    }
    #expect(again?.receivedAt == record.receivedAt && again?.storedAt == record.storedAt)
  }

  @Test func theImagesMayComeFirst() throws {
    let bench = try ReceiverBench()
    let capture = bench.capture(1, images: ["master.png": 900])
    #expect(try bench.receiver.take(capture.imageMessage("master.png")).receipts.isEmpty)
    #expect(try bench.receiver.take(capture.recordMessage()).completed != nil)
  }

  @Test func storesOnceAndVouchesAgain() throws {
    let bench = try ReceiverBench()
    let capture = bench.capture(1, images: ["master.png": 900])
    _ = try bench.receiver.take(capture.recordMessage())
    let first = try bench.receiver.take(capture.imageMessage("master.png"))
    for _ in 0..<3 {
      let again = try bench.receiver.take(capture.recordMessage(replayed: true))
      #expect(again.completed == nil)
      #expect(again.receipts == first.receipts)
      let image = try bench.receiver.take(capture.imageMessage("master.png"))
      let entries = try #require(image.receipts.first).receipt.entries
      #expect(entries.map(\.name) == ["master.png"])
    }
    let outcomes = try bench.arrivals().map { $0["outcome"] as? String }
    #expect(outcomes == ["stored", "stored"] + [String](repeating: "duplicate", count: 6))
    #expect(try bench.arrivals()[2]["replayed"] as? Bool == true)
  }

  @Test func anotherReceiverGoesOnWhereThisOneWasKilled() throws {
    let bench = try ReceiverBench()
    let capture = bench.capture(1, images: ["master.png": 900, "view.png": 4000])
    _ = try bench.receiver.take(capture.recordMessage())
    let parts = capture.partMessages("view.png", size: 1500)
    _ = try bench.receiver.take(parts[0])
    let second = try bench.anotherReceiver()
    #expect(try second.take(parts[2]).receipts.isEmpty)
    #expect(try second.take(capture.imageMessage("master.png")).receipts.isEmpty)
    let third = try bench.anotherReceiver()
    #expect(try third.take(parts[1]).completed != nil)
    #expect(try bench.file(capture, "view.png") == capture.images["view.png"])
    // Nothing of the assembly is left.
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: bench.folder(capture)).sorted()
        == ["master.png", "receipt.json", "record.json", "view.png"])
  }

  @Test func partsInAnyOrderAndTwice() throws {
    let bench = try ReceiverBench()
    let capture = bench.capture(1, images: ["view.png": 100_000])
    _ = try bench.receiver.take(capture.recordMessage())
    let parts = capture.partMessages("view.png", size: 9000)
    var completed = 0
    for part in (parts.dropLast() + parts.dropLast() + [parts[11]]).reversed() {
      if try bench.receiver.take(part).completed != nil { completed += 1 }
    }
    #expect(completed == 1)
    #expect(try bench.file(capture, "view.png") == capture.images["view.png"])
    // The whole image sent again, in parts: one receipt for it, at its last part.
    let again = try parts.map { try bench.receiver.take($0).receipts.count }
    #expect(again == [Int](repeating: 0, count: parts.count - 1) + [1])
  }

  @Test func aChangedImageIsNotBelieved() throws {
    let bench = try ReceiverBench()
    let capture = bench.capture(1, images: ["master.png": 900])
    _ = try bench.receiver.take(capture.recordMessage())
    // Damaged under way: beside it still travels the digest of the true one.
    var damaged = capture.imageMessage("master.png")
    damaged.payload[17] ^= 1
    var reaction = try bench.receiver.take(damaged)
    #expect(reaction.receipts.isEmpty)
    #expect(
      reaction.notes == ["\(damaged.topic): not stored: SHA-256 differs from the announced one"])
    // Exchanged with a digest of its own: the record knows better.
    damaged.userProperties = []
    reaction = try bench.receiver.take(damaged)
    #expect(reaction.notes == ["\(damaged.topic): not stored: SHA-256 differs from the record's"])
    #expect(try bench.receiver.take(capture.imageMessage("master.png")).completed != nil)
    reaction = try bench.receiver.take(damaged)
    #expect(
      reaction.receipts.map(\.receipt) == [
        Receipt(
          receiver: "archive", addressee: .init(site: "clinic", device: "unit-1", outboxID: bench.outboxID),
          entries: [], refused: [Receipt.Refusal(capture.entry("master.png", damaged.payload), .contentDiffers)])
      ])
    #expect(try bench.arrivals().last?["outcome"] as? String == "conflict")
    #expect(try bench.file(capture, "master.png") == capture.images["master.png"])
  }

  @Test func anImageThatCameFirstIsCheckedWhenItsRecordComes() throws {
    let bench = try ReceiverBench()
    let capture = bench.capture(1, images: ["master.png": 900])
    var other = capture.imageMessage("master.png")
    other.payload[0] ^= 1
    other.userProperties = []
    _ = try bench.receiver.take(other)
    let reaction = try bench.receiver.take(capture.recordMessage())
    #expect(reaction.receipts.isEmpty)
    #expect(reaction.notes.count == 1)
    #expect(try bench.receiver.take(capture.imageMessage("master.png")).completed != nil)
  }

  @Test func aBirthIsAnsweredWithTheReceiptsThatWereLost() throws {
    let bench = try ReceiverBench()
    let captures = (1...5).map { bench.capture(Int64($0), images: ["master.png": 50]) }
    var receipts: [AddressedReceipt] = []
    // The fourth is not here.
    for (index, capture) in captures.enumerated() where index != 3 {
      _ = try bench.receiver.take(capture.recordMessage())
      receipts += try bench.receiver.take(capture.imageMessage("master.png")).receipts
    }
    func birth(_ oldest: Int64?, state: StatusMessage.State = .online, outbox: RandomIdentifier? = nil) throws
      -> [AddressedReceipt]
    {
      let status = StatusMessage(
        state: state, site: "clinic", device: "unit-1", connectCounter: 1, firmware: "1", models: [],
        configurationSHA256: "", outboxID: outbox ?? bench.outboxID, accounts: nil, line: nil,
        oldestWithoutReceipt: oldest, at: nil)
      let reaction = try bench.receiver.take(
        IncomingMessage(topic: bench.topics.status, payload: status.encoded(), retain: true))
      #expect(reaction.notes.isEmpty)
      return reaction.receipts
    }
    #expect(try birth(2) == Array(receipts[1...]))
    #expect(try birth(1) == receipts)
    #expect(try birth(6).isEmpty && birth(nil).isEmpty && birth(.max).isEmpty && birth(-1).isEmpty)
    #expect(try birth(1, state: .offline).isEmpty)
    // Another outbox of this device has other numbers.
    var generator = SystemRandomNumberGenerator()
    #expect(try birth(1, outbox: RandomIdentifier(using: &generator)).isEmpty)
    // A status of nonsense asks for nothing.
    let nonsense = IncomingMessage(topic: bench.topics.status, payload: Array("{}".utf8))
    #expect(try bench.receiver.take(nonsense) == Receiver.Reaction())
  }

  @Test func theKeyBelongsToOneCapture() throws {
    let bench = try ReceiverBench()
    let first = bench.capture(1, images: [:])
    #expect(try bench.receiver.take(first.recordMessage()).completed != nil)
    // Another capture under the same number, and another record of the same capture.
    let thief = bench.capture(1, images: [:])
    let reaction = try bench.receiver.take(thief.recordMessage())
    // The device is told that this will never be taken, or it would send it for ever.
    #expect(
      reaction.receipts.map(\.receipt.refused) == [
        [Receipt.Refusal(thief.entry("record.json", thief.record), .numberTaken)]
      ])
    #expect(reaction.notes.first?.hasSuffix("number 1 of this outbox belongs to another capture") == true)
    var changed = first.recordMessage()
    changed.payload.append(UInt8(ascii: " "))
    changed.userProperties = []
    #expect(
      try bench.receiver.take(changed).receipts.map(\.receipt.refused) == [
        [Receipt.Refusal(first.entry("record.json", changed.payload), .contentDiffers)]
      ])
    #expect(try bench.arrivals().map { $0["outcome"] as? String } == ["stored", "conflict", "conflict"])
    #expect(try bench.file(first, "record.json") == first.record)
  }

  @Test(arguments: [
    ("{", "not a capture record: no JSON"),
    (#"{"schema":"thermograph.capture.v1"}"#, "not a capture record: 'capture_id' is missing"),
    ("[]", "not a capture record: '' has another type"),
  ])
  func aBrokenRecordIsSaidSo(text: String, reason: String) throws {
    let bench = try ReceiverBench()
    let message = IncomingMessage(topic: "tg/v1/clinic/unit-1/up/capture", payload: Array(text.utf8))
    let reaction = try bench.receiver.take(message)
    #expect(reaction.notes == ["\(message.topic): not stored: \(reason)"])
    #expect(try bench.arrivals().last?["outcome"] as? String == "rejected")
  }

  @Test func whatARecordMustNotSay() throws {
    let bench = try ReceiverBench()
    func rejected(_ change: (inout [String: Any]) -> Void) throws -> String {
      let capture = bench.capture(9, images: ["master.png": 10])
      var fields = try #require(
        try JSONSerialization.jsonObject(with: Data(capture.record)) as? [String: Any])
      change(&fields)
      let payload = [UInt8](try JSONSerialization.data(withJSONObject: fields))
      let reaction = try bench.receiver.take(
        IncomingMessage(topic: "tg/v1/clinic/unit-1/up/capture", payload: payload))
      #expect(reaction.receipts.isEmpty)
      return reaction.notes.first?.components(separatedBy: "not stored: ").last ?? "(stored)"
    }
    #expect(try rejected { $0["device"] = "unit-2" } == "the record speaks of another site or device than its topic")
    #expect(try rejected { $0["sequence"] = 0 } == "sequence 0; expected 1 or more")
    #expect(
      try rejected { $0["schema"] = "else" }
        == "schema 'else'; expected thermograph.capture.v1 or thermograph.capture.v2")
    for name in ["../../evil", "record.json", "receipt.json", ".hidden", "a/b", ""] {
      let reason = try rejected {
        $0["images"] = [["name": name, "bytes": 1, "sha256": String(repeating: "0", count: 64)]]
      }
      #expect(reason == "'\(name)' cannot name an image")
    }
    #expect(
      try rejected { $0["images"] = [["name": "a.png", "bytes": 1, "sha256": "00"]] }
        == "a.png: sha256 is not 64 hexadecimal digits")
    let twice = ["name": "a.png", "bytes": 1, "sha256": String(repeating: "0", count: 64)] as [String: Any]
    #expect(try rejected { $0["images"] = [twice, twice] } == "two images have the same name")
  }

  @Test func noTopicLeadsOutOfTheFolder() throws {
    let bench = try ReceiverBench()
    let id = "9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11"
    for topic in [
      "tg/v1/clinic/unit-1/up/image/\(id)./../../x", "tg/v1/../unit-1/up/capture",
      "tg/v1/clinic/unit-1/up/image/\(id)..x",
      "tg/v1/clinic/unit-1/up/image/\(id).record.json", "tg/v1/clinic/unit-1/dn/receipt", "other", "",
    ] {
      let reaction = try bench.receiver.take(IncomingMessage(topic: topic, payload: [1]))
      #expect(reaction.notes.count == 1, "\(topic)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root.path) == ["arrivals.jsonl"])
  }

  @Test func keepsOtherMessagesOnce() throws {
    let bench = try ReceiverBench()
    let schema = bench.topics
    func send(_ suffix: String, _ text: String, id: String?) throws {
      var message = IncomingMessage(topic: schema.up(suffix), payload: Array(text.utf8))
      if let id { message.userProperties = [UserProperty("id", id)] }
      #expect(try bench.receiver.take(message).notes.isEmpty)
    }
    try send("alert", "{}", id: "ob:7")
    try send("alert", "{}", id: "ob:7")
    try send("event", "{}", id: "ob:8")
    try send("event", "[1]", id: nil)
    try send("event", "[1]", id: nil)
    try send("reply", "{}", id: "../../x")
    try send("status", "1", id: nil)
    try send("status", "2", id: nil)
    try send("health", "3", id: nil)
    let device = bench.root.appending(path: "clinic/unit-1")
    let names = try FileManager.default.contentsOfDirectory(atPath: device.appending(path: "messages").path).sorted()
    #expect(names.count == 4)
    #expect(names.contains("alert-ob-7.json"))
    #expect(names.contains("event-ob-8.json"))
    #expect(try String(contentsOf: device.appending(path: "status.json"), encoding: .utf8) == "2")
    #expect(try String(contentsOf: device.appending(path: "health.json"), encoding: .utf8) == "3")
  }

  @Test func aFullDiskIsAnErrorAndNoReceipt() throws {
    let bench = try ReceiverBench()
    let capture = bench.capture(1, images: ["master.png": 900])
    _ = try bench.receiver.take(capture.recordMessage())
    // A folder in the file's place stands for a disk that refuses.
    let blocked = bench.folder(capture) + "/master.png"
    try FileManager.default.createDirectory(atPath: blocked + "/in-the-way", withIntermediateDirectories: true)
    let error = #expect(throws: ReceiverError.self) {
      try bench.receiver.take(capture.imageMessage("master.png"))
    }
    #expect(error?.description == "\(blocked): is not a regular file; expected one")
    try FileManager.default.removeItem(atPath: blocked)
    #expect(try bench.receiver.take(capture.imageMessage("master.png")).completed != nil)
  }

  @Test func aNameThatCannotBeAFileIsRefused() throws {
    let bench = try ReceiverBench()
    for name in ["", "a/b", "a b", String(repeating: "x", count: 65)] {
      #expect(throws: ReceiverError.self) {
        try Receiver(folder: bench.root.path, name: name, digests: OpenSSLDigests(), time: ManualClock())
      }
    }
  }
}

/// A receiver with a folder of its own.
final class ReceiverBench {
  private let scratch: ScratchFolder
  var root: URL { scratch.url }
  let receiver: Receiver
  let topics: TopicSchema
  let outboxID: RandomIdentifier
  private var generator = SystemRandomNumberGenerator()

  init() throws {
    scratch = try ScratchFolder()
    topics = TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier("unit-1"))
    outboxID = RandomIdentifier(using: &generator)
    receiver = try Receiver(
      folder: scratch.path, name: "archive", digests: OpenSSLDigests(), time: ManualClock())
  }

  func anotherReceiver() throws -> Receiver {
    try Receiver(folder: root.path, name: "archive", digests: OpenSSLDigests(), time: ManualClock())
  }

  /// - Parameter more: further members of the record, each with a comma behind it.
  func capture(_ sequence: Int64, images: [String: Int], more: String = "") -> TestCapture {
    TestCapture(topics: topics, outboxID: outboxID, sequence: sequence, images: images, more: more, using: &generator)
  }

  func folder(_ capture: TestCapture) -> String { root.path + "/clinic/unit-1/\(capture.id)" }

  func file(_ capture: TestCapture, _ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(filePath: folder(capture) + "/" + name)))
  }

  func arrivals() throws -> [[String: Any]] {
    let text = try String(contentsOf: root.appending(path: "arrivals.jsonl"), encoding: .utf8)
    return try text.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
  }
}

/// A capture as a device would send it, with random images.
struct TestCapture {
  let id: RandomIdentifier
  let record: [UInt8]
  let images: [String: [UInt8]]
  private let topics: TopicSchema

  init(
    topics: TopicSchema, outboxID: RandomIdentifier, sequence: Int64, images: [String: Int], more: String = "",
    using generator: inout some RandomNumberGenerator
  ) {
    self.topics = topics
    id = RandomIdentifier(using: &generator)
    var contents: [String: [UInt8]] = [:]
    for (name, count) in images {
      contents[name] = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
    self.images = contents
    let list = contents.sorted { $0.key < $1.key }.map { name, bytes in
      #"{"name":"\#(name)","kind":"view","media_type":"image/png","bytes":\#(bytes.count),"#
        + #""sha256":"\#(Self.sha256(bytes))"}"#
    }
    let text =
      #"{"schema":"thermograph.capture.v1","capture_id":"\#(id)","outbox_id":"\#(outboxID)","sequence":\#(sequence),"#
      + #""site":"\#(topics.site)","device":"\#(topics.device)",\#(more)"images":[\#(list.joined(separator: ","))]}"#
    record = Array(text.utf8)
  }

  static func sha256(_ bytes: [UInt8]) -> String { Hexadecimal.text(of: OpenSSLDigests().sha256(bytes)) }

  func entry(_ name: String, _ bytes: [UInt8]) -> Receipt.Entry {
    Receipt.Entry(captureID: id, name: name, sha256: Self.sha256(bytes))
  }

  func recordMessage(replayed: Bool = false) -> IncomingMessage {
    IncomingMessage(
      topic: topics.up("capture"), payload: record, contentType: "application/json",
      userProperties: [
        UserProperty("sha256", Self.sha256(record)), UserProperty("replayed", replayed ? "true" : "false"),
      ])
  }

  func imageMessage(_ name: String) -> IncomingMessage {
    let bytes = images[name] ?? []
    return IncomingMessage(
      topic: topics.up("image/\(id).\(name)"), payload: bytes, contentType: "image/png",
      userProperties: [UserProperty("sha256", Self.sha256(bytes))])
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
}
