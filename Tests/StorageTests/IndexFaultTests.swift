import CSQLite
import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// One bit of one value of the index.
private struct BitFlip: Sendable, CustomStringConvertible {
  var table: String
  var row: Int64
  var column: String
  /// From the lowest for a number, from the first byte for a text or blob.
  var bit: Int

  var description: String { "\(table).\(column) of row \(row), bit \(bit)" }
}

/// An outbox of 20 captures in every state, and what becomes of it with the line up when bits of its index flip. All of
/// the sealed envelopes are whole.
private struct TwentyCaptures: Sendable {
  static let retentionSeconds = 86_400

  let files: [String: Data]
  let expected: [String: VirtualLine.Expected]
  /// Hashes of what the receiver does not have yet and must get.
  let owed: Set<String>
  let flips: [BitFlip]

  static let shared = Task { try await TwentyCaptures() }

  static func configuration(_ path: String) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: path, keys: KeyRing(current: try makeKey(77)), retentionSeconds: retentionSeconds,
      quota: OutboxQuota(freeSpaceFloorBytes: 0, ballastBytes: 0))
  }

  private init() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let clock = ManualClock()
    let configuration = try Self.configuration(scratch.file("outbox.sqlite"))
    let outbox = try Outbox(configuration, time: clock)
    var expected: [String: VirtualLine.Expected] = [:]
    var owed: Set<String> = []
    func note(_ content: [UInt8], _ capture: RandomIdentifier, _ name: String, isOwed: Bool) {
      let hash = Hexadecimal.text(of: OpenSSLDigests().sha256(content))
      expected[hash] = VirtualLine.Expected(captureID: capture, name: name)
      if isOwed { owed.insert(hash) }
    }
    var ids: [[Int64]] = []
    for index in 1...20 {
      let capture = makeCapture(UInt64(index), at: clock.now(), imageBytes: [index == 7 ? 100_000 : 300 + index])
      let stored = try await outbox.enqueue(capture)
      ids.append(stored.itemIDs)
      // 17 and 18 are delivered, 19's image is set aside.
      let isDelivered = index == 17 || index == 18
      note(try capture.record(stored.number), capture.captureID, OutboxItem.recordName, isOwed: !isDelivered)
      note(capture.images[0].bytes, capture.captureID, "master.png", isOwed: !isDelivered && index != 19)
    }
    try await outbox.enqueue(.alert(Array("{\"alert\":1}".utf8), created: clock.now()))
    var settlement = Settlement()
    settlement.delivered = ids[16] + ids[17]
    settlement.awaitingReceipt = ids[14] + ids[15]
    settlement.quarantined = [.init(id: ids[18][1], reason: "the broker refused it 3 times, reason 149")]
    try await outbox.settle(settlement)
    await outbox.close()
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: scratch.path) {
      guard !name.hasSuffix("-shm") else { continue }
      files[name] = try Data(contentsOf: URL(fileURLWithPath: scratch.file(name)))
    }
    self.files = files
    self.expected = expected
    self.owed = owed
    flips = try Self.flips(in: configuration.path)
  }

  /// Every bit of every value of the index: all columns of `message`, of the outbox's own row, and the payloads' ids.
  private static func flips(in path: String) throws -> [BitFlip] {
    let database = try RawDatabase(path)
    var flips: [BitFlip] = []
    let added = OutboxSchema.additions.map { (table: $0.table, columns: [$0.column]) }
    for (table, columns) in OutboxSchema.tables + added {
      for column in columns where column != "one" && column != "sealed" {
        for value in try database.values(column, in: table) {
          flips += (0..<value.bits).map { BitFlip(table: table, row: value.row, column: column, bit: $0) }
        }
      }
    }
    return flips
  }

  /// What became of one flip.
  struct Outcome {
    var isRefused = false
    var trouble: [String] = []
    var isTold = false
  }

  /// Flips the bit before the outbox is opened, or while it delivers, and delivers.
  func outcome(of flip: BitFlip, whileOpen: Bool) async throws -> Outcome {
    let scratch = try ScratchFolder(inMemory: true)
    let path = scratch.file("outbox.sqlite")
    for (name, content) in files { try content.write(to: URL(fileURLWithPath: scratch.file(name))) }
    var outcome = Outcome()
    if !whileOpen {
      guard try RawDatabase(path).flip(flip) else {
        outcome.isRefused = true
        return outcome
      }
    }
    let clock = ManualClock()
    let outbox = try Outbox(Self.configuration(path), time: clock)
    var line = try VirtualLine(outbox, clock: clock, expected: expected)
    let isDrained = try await line.run(meanwhile: whileOpen ? { _ = try RawDatabase(path).flip(flip) } : nil)
    if !isDrained { outcome.trouble.append("something waits for ever") }
    let missing = owed.subtracting(line.arrived.keys)
    if !missing.isEmpty { outcome.trouble.append("\(missing.count) whole messages are withheld") }
    outcome.trouble += line.wrong
    // Of the image that the broker refused before.
    let gaps = line.gaps.filter { $0.sequence != 19 || $0.name != "master.png" || $0.reason != .quarantined }
    let claims = gaps.filter { $0.reason == .lost || $0.reason == .quarantined }
    if flip.table != "outbox", !claims.isEmpty {
      outcome.trouble.append("says that something was lost: \(claims[0].detail)")
    }
    // A capture can still be stored, under numbers that nobody had.
    let fresh = try await outbox.enqueue(makeCapture(999, at: clock.now(), imageBytes: [300]))
    // What was delivered or set aside before is looked at again by the round of `OutboxService`.
    var isMended = false
    var next: Int64? = 0
    while let after = next {
      let report = try await outbox.verify(after: after)
      isMended = isMended || report.foundSomething
      next = report.next
    }
    if fresh.number.sequence <= 20 { outcome.trouble.append("the number \(fresh.number.sequence) is given again") }
    await outbox.close()
    let notices = await line.allNotices()
    outcome.isTold =
      isMended || outbox.recoveryAtStart != nil || !gaps.isEmpty
      || notices.contains { if case .mended = $0 { true } else if case .recovered = $0 { true } else { false } }
    return outcome
  }
}

/// The database beside the outbox, with SQLite alone.
private final class RawDatabase {
  private var handle: OpaquePointer?

  init(_ path: String) throws {
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    sqlite3_busy_timeout(handle, 5000)
    try run("PRAGMA synchronous = OFF")
  }

  deinit {
    sqlite3_close(handle)
  }

  func run(_ sql: String) throws {
    try #require(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
  }

  func values(_ column: String, in table: String) throws -> [(row: Int64, bits: Int)] {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    try #require(
      sqlite3_prepare_v2(handle, "SELECT rowid, \(column) FROM \(table)", -1, &statement, nil) == SQLITE_OK)
    var found: [(Int64, Int)] = []
    while sqlite3_step(statement) == SQLITE_ROW {
      let bits =
        switch sqlite3_column_type(statement, 1) {
        case SQLITE_INTEGER: 64
        case SQLITE_NULL: 0
        default: 8 * Int(sqlite3_column_bytes(statement, 1))
        }
      found.append((sqlite3_column_int64(statement, 0), bits))
    }
    return found
  }

  /// False when the database does not take the changed value: another row has it.
  func flip(_ flip: BitFlip) throws -> Bool {
    var read: OpaquePointer?
    let query = "SELECT \(flip.column) FROM \(flip.table) WHERE rowid = \(flip.row)"
    try #require(sqlite3_prepare_v2(handle, query, -1, &read, nil) == SQLITE_OK)
    // The row may be delivered and gone.
    guard sqlite3_step(read) == SQLITE_ROW else {
      sqlite3_finalize(read)
      return false
    }
    let type = sqlite3_column_type(read, 0)
    let number = sqlite3_column_int64(read, 0)
    var bytes = [UInt8](
      UnsafeRawBufferPointer(start: sqlite3_column_blob(read, 0), count: Int(sqlite3_column_bytes(read, 0))))
    sqlite3_finalize(read)
    if type == SQLITE_NULL { return false }
    var write: OpaquePointer?
    defer { sqlite3_finalize(write) }
    let value = type == SQLITE_TEXT ? "CAST(? AS TEXT)" : "?"
    let update = "UPDATE \(flip.table) SET \(flip.column) = \(value) WHERE rowid = \(flip.row)"
    try #require(sqlite3_prepare_v2(handle, update, -1, &write, nil) == SQLITE_OK)
    if type == SQLITE_INTEGER {
      sqlite3_bind_int64(write, 1, number ^ Int64(bitPattern: 1 << UInt64(flip.bit)))
    } else {
      guard flip.bit < 8 * bytes.count else { return false }
      bytes[flip.bit / 8] ^= 1 << UInt8(flip.bit % 8)
      sqlite3_bind_blob(write, 1, bytes, Int32(bytes.count), unsafeBitCast(-1, to: sqlite3_destructor_type.self))
    }
    return sqlite3_step(write) == SQLITE_DONE
  }
}

/// A flipped bit of the index, wherever it is, costs nothing: the sealed envelopes are whole and the rows are made again
/// from them.
@Suite struct IndexFaultTests {
  /// THERMOGRAPH_INDEX_FLIPS: how many seeded ones, or `all` for every bit of every value.
  private static let wanted = ProcessInfo.processInfo.environment["THERMOGRAPH_INDEX_FLIPS"] ?? "2000"

  /// What a flip leaves as it was: how often the broker refused, when a state was reached, and states that are only a
  /// repeat away from the truth. Everything else must be told.
  private static func isSilent(_ flip: BitFlip) -> Bool {
    [
      "attempts", "state", "settled_boot", "settled_monotonic", "reason", "running",
      // Whether it has left the device before: without the mark it is sent once more, or exported.
      "handed_over",
      // A leap forward of the counter of messages leaves out numbers that nobody counts.
      "next_message",
    ].contains(flip.column)
  }

  @Test func aFlippedBitOfTheIndexWithholdsNothing() async throws {
    let outbox = try await TwentyCaptures.shared.value
    var dice = SeededGenerator(seed: 20)
    let isEveryOne = Self.wanted == "all"
    let flips =
      isEveryOne
      ? outbox.flips : (0..<(Int(Self.wanted) ?? 2000)).map { _ in outbox.flips.randomElement(using: &dice)! }
    let next = Mutexed(0)
    let failures = Mutexed<[String]>([])
    let refused = Mutexed(0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<2 {
        group.addTask {
          while true {
            var index = 0
            next.change {
              index = $0
              $0 += 1
            }
            guard index < flips.count else { return }
            let flip = flips[index]
            // The seeded ones flip every third bit while the outbox delivers.
            let whileOpen = !isEveryOne && index % 3 == 2
            do {
              let outcome = try await outbox.outcome(of: flip, whileOpen: whileOpen)
              if outcome.isRefused {
                refused.change { $0 += 1 }
                continue
              }
              var trouble = outcome.trouble
              if !whileOpen, !outcome.isTold, !Self.isSilent(flip) { trouble.append("nobody is told") }
              if !trouble.isEmpty { failures.change { $0.append("\(flip): \(trouble.joined(separator: "; "))") } }
            } catch {
              failures.change { $0.append("\(flip): \(error)") }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(flips.count >= 100)
    let found = failures.value
    for failure in found.prefix(40) { Issue.record("\(failure)") }
    #expect(found.isEmpty, "\(found.count) of \(flips.count) flips")
    print(
      "FAULT MATRIX: bit flips of the index: \(flips.count) of \(outbox.flips.count), \(refused.value) that no row takes, "
        + "\(found.count) with trouble")
  }

  /// The reports that named this class of faults.
  @Test(arguments: [
    "UPDATE message SET length = length | (1 << 63) WHERE id = 1",
    "UPDATE message SET length = \(Int64.max), stored = \(Int64.max)",
    "UPDATE message SET stored = \(Int64.max)",
    "UPDATE message SET attempts = \(Int64.max), created_monotonic = \(Int64.min), created_utc = \(Int64.min)",
    "UPDATE message SET sequence = \(Int64.max) WHERE sequence IS NOT NULL",
    "UPDATE message SET state = 2 WHERE state = 0", "UPDATE message SET state = 3 WHERE state < 2",
    "UPDATE message SET class = 77", "UPDATE message SET key_id = 5",
    "UPDATE message SET id = id + 1000000 WHERE id % 3 = 0", "UPDATE message SET id = -id WHERE id % 2 = 0",
    "UPDATE payload SET id = id + 5000 WHERE id % 4 = 0", "DELETE FROM message",
    "UPDATE message SET settled_monotonic = \(Int64.max), settled_boot = 'boot-a' WHERE state = 1",
    "UPDATE outbox SET next_message = \(Int64.max)", "UPDATE outbox SET next_sequence = \(Int64.max)",
    "UPDATE outbox SET next_message = \(Int64.min), next_sequence = \(Int64.min)",
    "UPDATE outbox SET next_message = 1, next_sequence = 1", "UPDATE outbox SET outbox_id = zeroblob(16)",
    "UPDATE outbox SET outbox_id = x'00'", "PRAGMA user_version = 0", "PRAGMA user_version = 3",
    "PRAGMA user_version = -2147483648",
  ])
  func wholeColumnsOfNonsenseWithholdNothing(sql: String) async throws {
    let outbox = try await TwentyCaptures.shared.value
    let scratch = try ScratchFolder(inMemory: true)
    let path = scratch.file("outbox.sqlite")
    for (name, content) in outbox.files { try content.write(to: URL(fileURLWithPath: scratch.file(name))) }
    try RawDatabase(path).run(sql)
    let clock = ManualClock()
    let opened = try Outbox(TwentyCaptures.configuration(path), time: clock)
    var line = try VirtualLine(opened, clock: clock, expected: outbox.expected)
    #expect(try await line.run())
    #expect(outbox.owed.subtracting(line.arrived.keys).isEmpty)
    #expect(line.wrong.isEmpty)
    for index in 901...930 {
      let fresh = try await opened.enqueue(makeCapture(UInt64(index), at: clock.now(), imageBytes: [300]))
      #expect((21...OutboxItem.largestNumber).contains(fresh.number.sequence))
    }
    await opened.close()
    let again = try Outbox(TwentyCaptures.configuration(path), time: clock)
    #expect(again.recoveryAtStart == nil, "it is repaired once")
    await again.close()
  }

  /// The description at the beginning of a payload is held twice, there and in the row; the seal tells which one is right.
  @Test func aFlippedBitOfADescriptionIsHealedByTheRow() async throws {
    let outbox = try await TwentyCaptures.shared.value
    for bit in stride(from: 0, to: 162 * 8, by: 13) {
      let scratch = try ScratchFolder(inMemory: true)
      let path = scratch.file("outbox.sqlite")
      for (name, content) in outbox.files { try content.write(to: URL(fileURLWithPath: scratch.file(name))) }
      guard try RawDatabase(path).flip(BitFlip(table: "payload", row: 1, column: "sealed", bit: bit)) else { continue }
      let clock = ManualClock()
      let opened = try Outbox(TwentyCaptures.configuration(path), time: clock)
      var line = try VirtualLine(opened, clock: clock, expected: outbox.expected)
      #expect(try await line.run(), "bit \(bit)")
      #expect(outbox.owed.subtracting(line.arrived.keys).isEmpty, "bit \(bit)")
      await opened.close()
    }
  }

  /// The truth is the envelope; where that is damaged too, a gap record says so.
  @Test func whatCannotBeMadeAgainIsTold() async throws {
    let outbox = try await TwentyCaptures.shared.value
    let scratch = try ScratchFolder(inMemory: true)
    let path = scratch.file("outbox.sqlite")
    for (name, content) in outbox.files { try content.write(to: URL(fileURLWithPath: scratch.file(name))) }
    let database = try RawDatabase(path)
    try database.run("UPDATE message SET length = -5 WHERE id IN (1, 3)")
    try database.run("UPDATE payload SET sealed = \(damaged("sealed", at: "191")) WHERE id = 1")
    try database.run("UPDATE payload SET sealed = zeroblob(50) WHERE id = 3")
    let clock = ManualClock()
    let opened = try Outbox(TwentyCaptures.configuration(path), time: clock)
    var line = try VirtualLine(opened, clock: clock, expected: outbox.expected)
    #expect(try await line.run())
    #expect(outbox.owed.subtracting(line.arrived.keys).count == 2)
    #expect(Set(line.gaps.map(\.reason)) == [.quarantined, .lost])
    #expect(line.gaps.contains { $0.sequence == 1 && $0.name == OutboxItem.recordName })
    await opened.close()
  }
}
