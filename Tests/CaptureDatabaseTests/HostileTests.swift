import CaptureDatabase
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

/// A4 and hostile devices: contradictions, floods, nonsense.
@Suite(.enabled(if: hasPostgres, "needs postgresql-15"), .serialized)
struct HostileTests {
  @Test func theNumberBelongsToOneCapture() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let first = try bench.capture(1)
    _ = try receiver.take(first.messages)
    let thief = try bench.capture(1)
    let reactions = try receiver.take(thief.messages)
    #expect(reactions.refused == [Receipt.Refusal(thief.entry("record.json", thief.record), .numberTaken)])
    #expect(reactions.notes.first?.contains("number 1 of this outbox belongs to another capture") == true)
    #expect(reactions.entries.isEmpty)
    // The first is what it was, and the other is kept for a person.
    #expect(try bench.database.query("SELECT capture_id FROM capture") == [["\(first.id)"]])
    #expect(
      try bench.database.query("SELECT reason, capture_id, encode(sha256, 'hex') FROM set_aside")
        == [["number-taken", "\(thief.id)", sha256Text(thief.record)]])
    #expect(try receiver.take(first.messages).entries == first.entries)
  }

  @Test func bothInOneBatch() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let pair = try [bench.capture(1), bench.capture(1)]
    let reactions = try receiver.take(pair.flatMap(\.messages))
    // One of them has the number, the other is told so; which one is nobody's promise.
    #expect(reactions.completed == 1)
    #expect(reactions.refused.map(\.reason) == [.numberTaken])
    #expect(pair.contains { $0.entries == reactions.entries })
  }

  @Test func anotherContentUnderTheSameNameIsRefusedAndKept() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let capture = try bench.capture(1)
    _ = try receiver.take(capture.messages)
    var record = capture.recordMessage()
    record.payload.append(UInt8(ascii: " "))
    record.userProperties = []
    var image = capture.imageMessage("master.png")
    image.payload[17] ^= 1
    image.userProperties = []
    let reactions = try receiver.take([record, image])
    #expect(
      Set(reactions.refused) == [
        Receipt.Refusal(capture.entry("record.json", record.payload), .contentDiffers),
        Receipt.Refusal(capture.entry("master.png", image.payload), .contentDiffers),
      ])
    #expect(reactions.entries.isEmpty)
    #expect(
      try bench.database.query("SELECT name, reason, encode(sha256, 'hex') FROM set_aside ORDER BY name") == [
        ["master.png", "content-differs", sha256Text(image.payload)],
        ["record.json", "content-differs", sha256Text(record.payload)],
      ])
    #expect(
      try bench.database.query("SELECT encode(sha256, 'hex') FROM image WHERE name = 'master.png'")
        == [[sha256Text(capture.images["master.png"] ?? [])]])
    #expect(try receiver.take(capture.messages).entries == capture.entries)
  }

  @Test func anImageThatCameFirstIsCheckedWhenItsRecordComes() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let capture = try bench.capture(1, images: ["master.png": 900])
    var other = capture.imageMessage("master.png")
    other.payload[0] ^= 1
    other.userProperties = []
    #expect(try receiver.take(other) == Receiver.Reaction())
    let reaction = try receiver.take(capture.recordMessage())
    #expect(reaction.receipts.isEmpty)
    #expect(reaction.notes.first?.contains("SHA-256 differs from the record's; set aside, awaited again") == true)
    #expect(try bench.database.query("SELECT name, reason FROM set_aside") == [["master.png", "content-differs"]])
    #expect(try [receiver.take(capture.imageMessage("master.png"))].entries == capture.entries)
  }

  @Test func aPartThatIsMissingForEverIsToldAndNothingIsVouchedFor() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let capture = try bench.capture(1, images: ["view.png": 30_000])
    let parts = capture.partMessages("view.png", size: 9000)
    let reactions = try receiver.take([capture.recordMessage()] + parts.dropFirst() + parts.dropFirst())
    #expect(reactions.entries.isEmpty && reactions.completed == 0)
    #expect(
      try FleetReport.devices(bench.target()).map { [$0.captures, $0.incomplete] } == [[1, 1]])
    // It comes after all.
    #expect(try [receiver.take(parts[0])].entries == capture.entries)
  }

  /// A damaged part does not hold its image up for ever: the whole is not what was announced, and comes again.
  @Test func aDamagedPartIsSentAgain() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let capture = try bench.capture(1, images: ["view.png": 30_000])
    var parts = capture.partMessages("view.png", size: 9000)
    parts[1].payload[5] ^= 1
    let reactions = try receiver.take([capture.recordMessage()] + parts)
    #expect(reactions.completed == 0)
    #expect(reactions.notes.contains { $0.contains("SHA-256 differs from the announced one") })
    #expect(try receiver.take(capture.partMessages("view.png", size: 9000)).entries == capture.entries)
  }

  /// `make test-fleet` sends 100 MB at the limits of the field, and a million ids.
  private static let isLong = ProcessInfo.processInfo.environment["THERMOGRAPH_HOSTILE"] == "long"

  @Test func partsThatNeverCompleteAreBoundedAndOthersDoNotNotice() throws {
    let bench = try DatabaseBench()
    let limit: Int64 = Self.isLong ? DatabaseStore.Limits().incompleteBytes : 4 << 20
    let receiver = try bench.receiver(try bench.store { $0.incompleteBytes = limit })
    let honest = try bench.capture(1, device: "unit-2")
    let part = [UInt8](repeating: 7, count: 96 * 1024)
    var reactions: [Receiver.Reaction] = []
    var generator = SystemRandomNumberGenerator()
    // 19 MB of first parts, beside one honest capture; in the long form 108.
    for round in 0..<(Self.isLong ? 110 : 20) {
      let flood = (0..<10).map { _ in
        IncomingMessage(
          topic: bench.topics.up("image/\(RandomIdentifier(using: &generator))_view_png/1-of-2"), payload: part)
      }
      reactions += try receiver.take(flood + (round == 10 ? honest.messages : []))
    }
    #expect(reactions.entries == honest.entries)
    #expect(reactions.notes.contains { $0.contains("in captures that are not complete") })
    let kept = try bench.database.number("SELECT sum(bytes)::bigint FROM image_part")
    #expect(kept > Int(limit) * 3 / 4 && kept <= Int(limit))
  }

  @Test func captureIdsWithoutEndAreBounded() throws {
    let bench = try DatabaseBench()
    let limit: Int64 = Self.isLong ? DatabaseStore.Limits().incompleteRows : 320
    let receiver = try bench.receiver(try bench.store { $0.incompleteRows = limit })
    var generator = SystemRandomNumberGenerator()
    let rounds = Self.isLong ? 2000 : 10
    var honest: [SentCapture] = []
    let begin = ContinuousClock.now
    for round in 0..<rounds {
      // Records and images by turns: neither is bounded by the other.
      let flood = try (0..<(Self.isLong ? 500 : 100)).map { number in
        guard number % 2 == 0 else {
          return try bench.capture(Int64(round * 1000 + number + 1), images: ["master.png": 1]).recordMessage()
        }
        return IncomingMessage(
          topic: bench.topics.up("image/\(RandomIdentifier(using: &generator))_master_png"), payload: [1])
      }
      // An honest device in the midst of it.
      if round % (rounds / 10) == 0 {
        honest.append(try bench.capture(Int64(round + 1), device: "unit-2"))
        #expect(
          try receiver.take(flood + honest[honest.count - 1].messages).entries == honest[honest.count - 1].entries)
      } else {
        #expect(try receiver.take(flood).entries.isEmpty)
      }
    }
    let kept = try bench.database.number(
      """
      SELECT (SELECT count(*) FROM image WHERE device = 'unit-1') + (SELECT count(*) FROM capture WHERE device = 'unit-1')
      """)
    #expect(kept > Int(limit) * 5 / 8 && kept <= Int(limit))
    #expect(try bench.database.number("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") == honest.count)
    if Self.isLong {
      print("FAULT MATRIX: 1,000,000 capture ids of one device: \(kept) rows kept, \(ContinuousClock.now - begin)")
    }
  }

  /// What is complete counts for nothing: a long backlog is no flood.
  @Test func aLongBacklogIsNoFlood() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver(try bench.store { $0.incompleteRows = 64 })
    for start in stride(from: 1, to: 200, by: 20) {
      let captures = try (start..<(start + 20)).map { try bench.capture(Int64($0), images: ["master.png": 100]) }
      #expect(try receiver.take(captures.flatMap(\.messages)).completed == 20)
    }
  }

  @Test func refusalsOfAMinuteAreBounded() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver(
      try bench.store {
        $0.refusalsPerMinute = 5
        $0.asideRows = 3
      })
    _ = try receiver.take(bench.capture(1).messages)
    var refused = 0
    for _ in 0..<20 { refused += try receiver.take(bench.capture(1).messages).refused.count }
    #expect(refused == 5)
    #expect(try bench.database.number("SELECT count(*) FROM set_aside") == 3)
  }

  private func birth(_ bench: DatabaseBench, _ device: String, counter: Int) throws -> IncomingMessage {
    let topics = TopicSchema(site: bench.topics.site, device: try TopicIdentifier(device))
    let status = StatusMessage(
      state: .online, site: "clinic", device: device, connectCounter: counter, firmware: "1", models: [],
      configurationSHA256: "", outboxID: bench.outboxID, accounts: nil, line: nil, oldestWithoutReceipt: 1, at: nil)
    return IncomingMessage(topic: topics.status, payload: try status.encoded())
  }

  /// A birth of 300 bytes may ask for 8,192 captures' receipts: a device that is born without end would take the worker's
  /// memory, and the room that others' receipts need.
  @Test func birthsWithoutEndAreAnsweredAFewTimes() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver(try bench.store { $0.birthsPerMinute = 3 })
    let captures = try (1...20).map { try bench.capture(Int64($0), images: ["master.png": 10]) }
    let honest = try bench.capture(1, device: "unit-2")
    _ = try receiver.take((captures + [honest]).flatMap(\.messages))
    var answered = 0
    for round in 0..<6 {
      let flood = try (0..<100).map { try birth(bench, "unit-1", counter: 100 * round + $0) }
      let reactions = try receiver.take(flood + (round == 5 ? [birth(bench, "unit-2", counter: 1)] : []))
      let receipts = reactions.prefix(100).flatMap(\.receipts)
      // Once a batch, with all that is here.
      #expect(receipts.isEmpty || [reactions[99]].entries == captures.reduce(Set()) { $0.union($1.entries) })
      #expect(reactions.prefix(99).allSatisfy { $0.receipts.isEmpty })
      answered += receipts.isEmpty ? 0 : 1
      if round == 5 { #expect([reactions[100]].entries == honest.entries) }
    }
    #expect(answered == 3)
    // Its newest word is known all the same.
    #expect(try bench.database.number("SELECT connect_counter FROM device WHERE device = 'unit-1'") == 599)
  }

  /// Alerts and events have no receipt that bounds them, and each with other words is a row of its own.
  @Test func messagesWithoutEndAreBoundedByTheDay() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver(try bench.store { $0.messageRows = 160 })
    func message(_ device: String, _ number: Int) throws -> IncomingMessage {
      let topics = TopicSchema(site: bench.topics.site, device: try TopicIdentifier(device))
      return IncomingMessage(
        topic: topics.up(number % 2 == 0 ? "alert" : "event"), payload: Array(#"{"code":"x","n":\#(number)}"#.utf8))
    }
    func rows(_ device: String) throws -> Int {
      try bench.database.number("SELECT count(*) FROM message WHERE device = '\(device)'")
    }
    var notes: [String] = []
    for round in 0..<10 {
      let flood = try (0..<100).map { try message("unit-1", 100 * round + $0) }
      notes += try receiver.take(flood + [message("unit-2", round)]).notes
    }
    #expect(try rows("unit-1") <= 160 && rows("unit-1") > 100)
    #expect(try rows("unit-2") == 10)
    #expect(notes.allSatisfy { $0.contains("tg/v1/clinic/unit-1/") && $0.contains("more than 160 messages") })
    #expect(try notes.count == 1000 - rows("unit-1"))
    // A day later it may speak again.
    _ = try bench.database.query("UPDATE message SET received_at = received_at - interval '25 hours'")
    #expect(try receiver.take((0..<20).map { try message("unit-1", 5000 + $0) }).notes.isEmpty)
  }

  @Test func nonsenseIsSaidSoAndHarmsNobody() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
    func record(_ fields: String, _ sequence: Int64 = 90) throws -> SentCapture {
      try bench.capture(sequence, images: ["master.png": 10], fields: fields)
    }
    let topic = bench.topics.up("capture")
    let lies = try bench.capture(1, device: "unit-9")
    let liesOfItsSite = try bench.capture(1, site: "clinic-2")
    let year9999 = try record(#""captured_at":{"utc_nanoseconds":253370764800000000000},"#, 91)
    let late = try record(#""captured_at":{"utc_nanoseconds":9223372036854775807},"#, 92)
    let withNul = try record(#""patient_ref":"p\u0000x","view":"a\u0000b","session_id":"\u0000","#, 93)
    let wrongTypes = try record(#""patient_ref":7,"view":[],"session_id":{},"captured_at":"yesterday","#, 94)
    let honest = try bench.capture(1)
    let bad = [
      IncomingMessage(topic: topic, payload: Array(deep.utf8)),
      IncomingMessage(topic: topic, payload: try record(#""extra":\#(deep),"#).record),
      // A record of another device on this one's topic.
      IncomingMessage(topic: topic, payload: lies.record),
      IncomingMessage(topic: topic, payload: liesOfItsSite.record),
      IncomingMessage(topic: topic, payload: [0xff, 0xfe, 0]),
      IncomingMessage(topic: bench.topics.up("health"), payload: Array("{\"firmware\":\"\\u0000\"}".utf8)),
      IncomingMessage(topic: bench.topics.up("event"), payload: [UInt8](repeating: 0, count: 70_000)),
    ]
    let reactions = try receiver.take(
      bad + honest.messages + [year9999, late, withNul, wrongTypes].flatMap(\.messages))
    for index in bad.indices { #expect(reactions[index].notes.count == 1, "\(index)") }
    for index in [2, 3] { #expect(reactions[index].notes[0].contains("another site or device than its topic")) }
    #expect(try bench.database.number("SELECT count(*) FROM capture WHERE device <> 'unit-1' OR site <> 'clinic'") == 0)
    // Values that no search can use are left out of the columns and stay in the record.
    #expect(reactions.completed == 5)
    #expect(
      try bench.database.number(
        "SELECT count(*) FROM capture WHERE patient_ref IS NULL AND view IS NULL AND captured_at IS NULL") == 5)
    // Alerts and events of any bytes are kept, sealed.
    let nul = IncomingMessage(topic: bench.topics.up("alert"), payload: Array(#"{"code":"a\u0000","severity":1}"#.utf8))
    #expect(try receiver.take(nul).notes == [])
    #expect(try bench.database.query("SELECT kind, code IS NULL FROM message") == [["alert", "t"]])
  }

  /// One message that the database does not take, in a batch with honest ones. No JSON leads to such a value any more, so
  /// the column's own rule is made narrower here.
  @Test func aValueThatTheDatabaseRefusesCostsOnlyItself() throws {
    let bench = try DatabaseBench()
    _ = try bench.database.query("ALTER TABLE capture ADD CHECK (sequence <> 13)")
    let receiver = try bench.receiver()
    let captures = try (11...15).map { try bench.capture($0) }
    let reactions = try receiver.take(captures.flatMap(\.messages))
    #expect(reactions.completed == 4)
    #expect(reactions.notes.count == 1)
    #expect(reactions.notes[0].contains("the database does not take it"))
    #expect(try bench.database.number("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") == 4)
  }

  @Test func aRecordOfALaterVersionIsKeptAsItCame() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let text = #"{"schema":"thermograph.capture.v9","site":"clinic","device":"unit-1","pictures":{}}"#
    let message = IncomingMessage(topic: bench.topics.up("capture"), payload: Array(text.utf8))
    for _ in 0..<2 {
      let reaction = try receiver.take(message)
      #expect(reaction.receipts.isEmpty && reaction.notes.count == 1)
    }
    #expect(
      try bench.database.query("SELECT reason, schema, bytes FROM set_aside")
        == [["unknown-schema", "thermograph.capture.v9", "\(text.utf8.count)"]])
    // Not what lies about its device.
    let foreign = IncomingMessage(
      topic: bench.topics.up("capture"), payload: Array(text.replacingOccurrences(of: "unit-1", with: "unit-2").utf8))
    _ = try receiver.take(foreign)
    #expect(try bench.database.number("SELECT count(*) FROM set_aside") == 1)
  }
}
