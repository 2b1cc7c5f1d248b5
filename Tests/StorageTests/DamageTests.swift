import CSQLite
import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// An outbox as a power cut leaves it: main file and log, with most in the main file and the last captures in the log.
private struct Interrupted {
  /// THERMOGRAPH_DAMAGE_CAPTURES raises it.
  static let captures = Int(ProcessInfo.processInfo.environment["THERMOGRAPH_DAMAGE_CAPTURES"] ?? "") ?? 60
  /// Captures stored after the last checkpoint.
  static let inLog = 12

  let scratch: ScratchFolder
  let configuration: OutboxConfiguration
  let clock = ManualClock()
  var path: String { configuration.path }

  /// Made once; every test damages a copy of its own.
  private static let template = Task { try await makeTemplate() }

  init() async throws {
    let template = try await Self.template.value
    scratch = try ScratchFolder(inMemory: true)
    var copied = template.configuration
    copied.path = scratch.file("outbox.sqlite")
    configuration = copied
    for (suffix, content) in template.files {
      try content.write(to: URL(fileURLWithPath: copied.path + suffix))
    }
  }

  private struct Template: Sendable {
    let configuration: OutboxConfiguration
    let files: [String: Data]
  }

  private static func makeTemplate() async throws -> Template {
    let scratch = try ScratchFolder(inMemory: true)
    let clock = ManualClock()
    let origin = OutboxConfiguration(
      path: scratch.file("origin.sqlite"), keys: KeyRing(current: try makeKey(11)),
      quota: OutboxQuota(ballastBytes: 0))
    let first = try Outbox(origin, time: clock)
    for index in 1...(Self.captures - Self.inLog) { _ = try await first.enqueue(Self.capture(index, clock.now())) }
    await first.close()
    let second = try Outbox(origin, time: clock)
    for index in (Self.captures - Self.inLog + 1)...Self.captures {
      _ = try await second.enqueue(Self.capture(index, clock.now()))
    }
    // Copied while it is in use: what a kill leaves.
    var files: [String: Data] = [:]
    for suffix in ["", "-wal", ".numbers", ".commits"] {
      files[suffix] = try Data(contentsOf: URL(fileURLWithPath: origin.path + suffix))
    }
    await second.close()
    return Template(configuration: origin, files: files)
  }

  static func capture(_ index: Int, _ time: Timestamp) -> NewCapture {
    makeCapture(
      UInt64(index), at: time,
      imageBytes: index % 20 == 0 ? [6000, 140_000] : index % 5 == 0 ? [300, 60_000] : [700, 6000])
  }

  func change(_ suffix: String, _ body: (inout Data) -> Void) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: path + suffix))
    body(&data)
    try data.write(to: URL(fileURLWithPath: path + suffix))
  }

  /// Opens the outbox, lets it find what it finds, and counts the captures of which everything is there and right.
  func survey() async throws -> (whole: Int, messages: Int, gaps: Int, report: RecoveryReport?) {
    let outbox = try Outbox(configuration, time: clock)
    var next: Int64? = 0
    while let after = next { next = try await outbox.verify(after: after).next }
    var whole = 0
    var messages = 0
    for index in 1...Self.captures {
      let capture = Self.capture(index, clock.now())
      let items = try await outbox.items(ofCapture: capture.captureID)
      var intact = 0
      for stored in items where stored.state == .pending {
        let payload = try await outbox.payload(of: stored.item.id)
        let expected =
          stored.item.name == OutboxItem.recordName
          ? try capture.record(CaptureNumber(outboxID: outbox.outboxID, sequence: Int64(index)))
          : capture.images.first { $0.name == stored.item.name }?.bytes
        #expect(payload == expected, "message \(stored.item.id) came back changed")
        #expect(stored.item.sequence == Int64(index))
        intact += 1
      }
      messages += intact
      if intact == 3 { whole += 1 }
    }
    // It goes on storing, under a number that nobody had.
    let fresh = try await outbox.enqueue(makeCapture(9999, at: clock.now()))
    #expect(fresh.number.sequence > Int64(Self.captures) || (messages < 3 * Self.captures && whole < Self.captures))
    var gaps = 0
    for event in try await outbox.pending(.event, after: 0, limit: 1000) {
      let gap = try JSONDecoder().decode(GapRecord.self, from: Data(await outbox.payload(of: event.id)))
      // Every interruption leaves numbers out; that is no loss.
      if gap.reason != .unused { gaps += 1 }
    }
    let report = outbox.recoveryAtStart
    await outbox.close()
    return (whole, messages, gaps, report)
  }
}

@Suite struct DamageTests {
  @Test func withoutDamageEverythingIsThere() async throws {
    let interrupted = try await Interrupted()
    let found = try await interrupted.survey()
    #expect(found.whole == Interrupted.captures)
    #expect(found.gaps == 0)
    #expect(found.report == nil)
  }

  /// One flipped bit costs at most the messages of one page, wherever it is, and what it costs is told.
  @Test(arguments: 0..<32)
  func aFlippedBitCostsAtMostAPage(seed: Int) async throws {
    let interrupted = try await Interrupted()
    var dice = SeededGenerator(seed: UInt64(seed))
    try interrupted.change(seed % 3 == 0 ? "-wal" : "") { data in
      // The first pages hold header, schema and identity; they get more than their share.
      let range = seed % 4 == 1 ? 0..<(5 * 4096) : 0..<data.count
      data[Int.random(in: range, using: &dice)] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
    }
    let found = try await interrupted.survey()
    #expect(found.messages >= 3 * Interrupted.captures - 16)
    if found.messages < 3 * Interrupted.captures {
      #expect(found.gaps > 0, "\(3 * Interrupted.captures - found.messages) messages are missing without a word")
    }
  }

  @Test(arguments: 0..<10)
  func manyDamagedPagesCostOnlyThemselves(seed: Int) async throws {
    let interrupted = try await Interrupted()
    var dice = SeededGenerator(seed: UInt64(seed) + 500)
    try interrupted.change("") { data in
      for _ in 0..<5 {
        let page = Int.random(in: 0..<(data.count / 4096), using: &dice)
        for offset in 0..<512 { data[page * 4096 + offset] = UInt8.random(in: .min ... .max, using: &dice) }
      }
    }
    let found = try await interrupted.survey()
    #expect(found.messages >= 3 * Interrupted.captures - 5 * 16)
    if found.messages < 3 * Interrupted.captures { #expect(found.gaps > 0) }
  }

  @Test(arguments: 0..<12)
  func aTruncatedFileKeepsWhatIsLeft(seed: Int) async throws {
    let interrupted = try await Interrupted()
    var dice = SeededGenerator(seed: UInt64(seed) + 1000)
    var share = 0.0
    try interrupted.change("") { data in
      let length = seed == 0 ? 0 : Int.random(in: 1..<data.count, using: &dice)
      share = Double(length) / Double(data.count)
      data.removeSubrange(length..<data.count)
    }
    let found = try await interrupted.survey()
    // The log still holds its captures; of the main file, most of what lies before the cut. A payload of 60 KB has
    // its overflow pages behind it, so some slack is due.
    let expected = 3 * Interrupted.inLog + Int(share * Double(3 * (Interrupted.captures - Interrupted.inLog))) - 24
    #expect(found.messages >= expected)
    #expect(found.gaps > 0)
  }

  @Test func aMissingLogIsNoticedAndNoNumberIsUsedTwice() async throws {
    let interrupted = try await Interrupted()
    try FileManager.default.removeItem(atPath: interrupted.path + "-wal")
    let outbox = try Outbox(interrupted.configuration, time: interrupted.clock)
    #expect(outbox.recoveryAtStart?.cause == .logMissing)
    let first = Int64(Interrupted.captures - Interrupted.inLog + 1)
    let stored = try await outbox.enqueue(makeCapture(9999, at: interrupted.clock.now()))
    let last = Int64(Interrupted.captures)
    #expect((last + 1...last + 2 * NumberReserve.sequenceBlock).contains(stored.number.sequence))
    let gap = try #require(try await outbox.pending(.event, after: 0, limit: 10).first)
    let record = try JSONDecoder().decode(GapRecord.self, from: Data(await outbox.payload(of: gap.id)))
    #expect(record.reason == .lost)
    #expect(record.sequence == first)
    // The commit counter beside the database knows exactly how many there were.
    #expect(record.throughSequence == last)
    #expect(record.count == Interrupted.inLog)
    #expect(try await outbox.pending(.alert, after: 0, limit: 10).count == 1)
    await outbox.close()
  }

  /// A damaged frame in the middle makes SQLite forget everything behind it; the salvage does not.
  @Test func aDamagedFrameInTheLogCostsOnlyItself() async throws {
    let interrupted = try await Interrupted()
    try interrupted.change("-wal") { data in
      let frame = WriteAheadLog.frameBytes
      let target = WriteAheadLog.headerBytes + 4 * frame + WriteAheadLog.frameHeaderBytes + 2000
      for offset in 0..<64 { data[target + offset] ^= 0xFF }
    }
    let found = try await interrupted.survey()
    #expect(found.report != nil)
    #expect(found.messages >= 3 * Interrupted.captures - 16)
  }

  @Test(arguments: [0, 20, 31, 500])
  func aTruncatedLogKeepsTheRest(length: Int) async throws {
    let interrupted = try await Interrupted()
    try interrupted.change("-wal") { $0.removeSubrange(length..<$0.count) }
    let found = try await interrupted.survey()
    #expect(found.whole == Interrupted.captures - Interrupted.inLog)
    #expect(found.report?.cause == .logMissing)
    #expect(found.gaps > 0)
  }

  @Test func aForeignDatabaseIsSetAsideUntouched() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(1)), quota: OutboxQuota(ballastBytes: 0))
    var handle: OpaquePointer?
    #expect(sqlite3_open(configuration.path, &handle) == SQLITE_OK)
    #expect(
      sqlite3_exec(handle, "CREATE TABLE recipe (name TEXT); INSERT INTO recipe VALUES ('soup')", nil, nil, nil)
        == SQLITE_OK)
    sqlite3_close(handle)
    let before = try Data(contentsOf: URL(fileURLWithPath: configuration.path))
    let outbox = try Outbox(configuration, time: ManualClock())
    let aside = try #require(outbox.recoveryAtStart?.damagedPath)
    #expect(try Data(contentsOf: URL(fileURLWithPath: aside)) == before)
    #expect(try await outbox.enqueue(makeCapture(1, at: anyInstant)).number.sequence > 0)
    await outbox.close()
  }

  @Test(arguments: [1, 100, 4096, 40_000])
  func noiseInPlaceOfTheDatabaseIsSurvived(length: Int) async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(1)), quota: OutboxQuota(ballastBytes: 0))
    try Data(noise(length, seed: UInt64(length))).write(to: URL(fileURLWithPath: configuration.path))
    let outbox = try Outbox(configuration, time: ManualClock())
    #expect(outbox.recoveryAtStart != nil)
    #expect(try await outbox.enqueue(makeCapture(1, at: anyInstant)).number.sequence > 0)
    await outbox.close()
  }

  /// Damage that appears while the outbox is open is repaired without a restart.
  @Test func damageDuringUseIsRepaired() async throws {
    let interrupted = try await Interrupted()
    let outbox = try Outbox(interrupted.configuration, time: interrupted.clock)
    // A second connection empties the log, so that the pages are read from the main file again.
    var handle: OpaquePointer?
    #expect(sqlite3_open(interrupted.path, &handle) == SQLITE_OK)
    var root: Int32 = 0
    var statement: OpaquePointer?
    sqlite3_prepare_v2(handle, "SELECT rootpage FROM sqlite_master WHERE name = 'payload'", -1, &statement, nil)
    if sqlite3_step(statement) == SQLITE_ROW { root = sqlite3_column_int(statement, 0) }
    sqlite3_finalize(statement)
    #expect(sqlite3_exec(handle, "PRAGMA wal_checkpoint(TRUNCATE)", nil, nil, nil) == SQLITE_OK)
    sqlite3_close(handle)
    try #require(root > 1)
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: interrupted.path))
    try file.seek(toOffset: UInt64(root - 1) * 4096)
    try file.write(contentsOf: Data(noise(4096, seed: 77)))
    try file.close()
    var notices = outbox.notices.makeAsyncIterator()
    var intact = 0
    for index in 1...Interrupted.captures {
      let capture = Interrupted.capture(index, interrupted.clock.now())
      for stored in try await outbox.items(ofCapture: capture.captureID) {
        _ = try await outbox.payload(of: stored.item.id)
        intact += 1
      }
    }
    #expect(intact == 3 * Interrupted.captures)
    guard case .recovered(let report) = await notices.next() else {
      Issue.record("no notice of the recovery")
      return
    }
    #expect(report.lost == 0)
    // No number was left out: the commit counter said that no commit was missing.
    #expect(report.recovered == 3 * Interrupted.captures)
    await outbox.close()
  }

  /// One whose tables are not those that this program knows. What only adds to them is `UpgradeTests`'s.
  @Test func aNewerSchemaIsLeftAlone() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(1)), quota: OutboxQuota(ballastBytes: 0))
    await (try Outbox(configuration, time: ManualClock())).close()
    var handle: OpaquePointer?
    #expect(sqlite3_open(configuration.path, &handle) == SQLITE_OK)
    let sql = "PRAGMA user_version = 7; ALTER TABLE message RENAME COLUMN topic TO subject"
    #expect(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK)
    sqlite3_close(handle)
    let error = #expect(throws: OutboxError.self) { try Outbox(configuration, time: ManualClock()) }
    #expect(error?.description.contains("schema version 7 is newer") == true)
  }
}

private let anyInstant = Timestamp(
  utcNanoseconds: 1_772_000_000_000_000_000, bootID: "boot-a", monotonicNanoseconds: 5, synchronised: true)
