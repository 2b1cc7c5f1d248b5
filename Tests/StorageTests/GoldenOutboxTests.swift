import CSQLite
import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// The outbox of 0.1.0, forward to this program and back to that one.
@Suite struct GoldenOutboxTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appending(path: "Fixtures/outbox-0.1.0").path
  private let clock = ManualClock()

  private func configuration(_ scratch: ScratchFolder, from name: String) throws -> OutboxConfiguration {
    for file in ["outbox.sqlite", "outbox.sqlite-wal", "outbox.sqlite.numbers"] {
      try FileManager.default.copyItem(atPath: Self.folder + "/\(name)/" + file, toPath: scratch.file(file))
    }
    let key = try #require(SealingKey(bytes: (0..<32).map { UInt8($0) }, digests: OpenSSLDigests()))
    return OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: key), retentionSeconds: 86_400,
      quota: OutboxQuota(freeSpaceFloorBytes: 0, ballastBytes: 0))
  }

  /// What the fixture's notes say is in it, asked of this program.
  private func expectEverything(in outbox: Outbox) async throws {
    for index in 1...14 {
      let id = try #require(
        RandomIdentifier("00000000-0000-4000-8000-0000000000" + (index < 10 ? "0" : "") + "\(index)"))
      let items = try await outbox.items(ofCapture: id)
      #expect(items.map { $0.item.name } == ["record.json", "master.png", "view.png"])
      let states: [DeliveryState] =
        switch index {
        case 1: [.delivered, .delivered, .delivered]
        case 2: [.awaitingReceipt, .awaitingReceipt, .awaitingReceipt]
        case 3: [.pending, .pending, .quarantined]
        default: [.pending, .pending, .pending]
        }
      #expect(items.map(\.state) == states, "capture \(index)")
      let contents = [
        Array("{\"capture\":\(index),\"sequence\":\(index)}".utf8),
        [UInt8](repeating: UInt8(index), count: 400 + index),
        [UInt8](repeating: UInt8(index), count: 5000 + index),
      ]
      for (item, content) in zip(items, contents) { #expect(try await outbox.payload(of: item.item.id) == content) }
    }
    #expect(try await outbox.pending(.event, after: 0, limit: 100).isEmpty == false)
    #expect(try await outbox.pending(.health, after: 0, limit: 100).count == 1)
    #expect(try await outbox.pending(.alert, after: 0, limit: 100).isEmpty)
  }

  @Test(arguments: ["closed", "interrupted"])
  func isOpenedAndLosesNothing(name: String) async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch, from: name)
    let outbox = try Outbox(configuration, time: clock)
    #expect(outbox.recoveryAtStart == nil)
    try await expectEverything(in: outbox)
    var next: Int64? = 0
    while let after = next {
      let report = try await outbox.verify(after: after)
      #expect(report.reindexed.isEmpty && report.unreadable.isEmpty && report.hollow.isEmpty)
      next = report.next
    }
    let fresh = try await outbox.enqueue(makeCapture(99, at: clock.now()))
    #expect(name == "closed" ? fresh.number.sequence == 15 : fresh.number.sequence > 14)
    await outbox.close()
    let again = try Outbox(configuration, time: clock)
    #expect(again.recoveryAtStart == nil)
    await again.close()
  }

  /// Every bit of what an earlier program asks of the database, in its own words, after this one has used it.
  @Test func theEarlierProgramGoesOnWithWhatThisOneWrote() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch, from: "closed")
    let outbox = try Outbox(configuration, time: clock)
    let mine = try await outbox.enqueue(makeCapture(99, at: clock.now()))
    await outbox.close()

    let earlier = try EarlierProgram(configuration.path)
    let next = try earlier.open()
    #expect(next.sequence == mine.number.sequence + 1)
    #expect(try earlier.pendingRecords().count == 13)
    // It reserves numbers before it gives them, and gives them back at its end, as this one does.
    var reserve = try NumberReserve(databasePath: configuration.path, digests: OpenSSLDigests())
    try reserve.reserve(nextSequence: next.sequence + 1, nextMessage: next.message + 1, of: outbox.outboxID)
    try earlier.store(id: next.message, copyOf: mine.itemIDs[0])
    try earlier.deliver(id: 10)
    try earlier.close()
    try reserve.giveBack(nextSequence: next.sequence + 1, nextMessage: next.message + 1, of: outbox.outboxID)

    let back = try Outbox(configuration, time: clock)
    #expect(back.recoveryAtStart == nil, "\(String(describing: back.recoveryAtStart))")
    #expect(back.highestStoredAtStart >= next.message)
    await back.close()
    // Its reserve of numbers is in the same form.
    let mark = try #require(try NumberReserve(databasePath: configuration.path, digests: OpenSSLDigests()).mark)
    #expect(mark.isExact)
  }
}

/// The database as 0.1.0 uses it: its statements word for word, and its rule for what it opens.
private final class EarlierProgram {
  private var handle: OpaquePointer?

  private static let columns = """
    id, class, state, attempts, length, key_id, capture_id, sequence, name, topic, content_type, sha256, created_utc,
    created_boot, created_monotonic, created_synchronised, reason
    """

  init(_ path: String) throws {
    try #require(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nil) == SQLITE_OK)
  }

  deinit { sqlite3_close(handle) }

  /// What it checks before it opens an outbox, and the first statements of a run.
  func open() throws -> (message: Int64, sequence: Int64) {
    #expect(try integers("PRAGMA application_id") == [[0x5447_4F42]])
    // Anything greater it refuses with "install the program that wrote it".
    #expect(try integers("PRAGMA user_version") == [[1]])
    for pragma in [
      "page_size = 4096", "journal_mode = WAL", "synchronous = FULL", "secure_delete = OFF", "temp_store = MEMORY",
    ] { try run("PRAGMA \(pragma)") }
    let counters = try integers("SELECT outbox_id, next_message, next_sequence FROM outbox")
    for table in ["outbox", "message"] {
      #expect(try texts("PRAGMA integrity_check(\(table))") == ["ok"])
    }
    #expect(try integers("SELECT running FROM outbox") == [[0]], "the end was in order")
    try run("BEGIN IMMEDIATE; UPDATE outbox SET running = 1; COMMIT")
    _ = try integers("SELECT class, state, count(*), sum(stored) FROM message GROUP BY class, state")
    return (counters[0][1], counters[0][2])
  }

  func pendingRecords() throws -> [[Int64]] {
    try integers(
      "SELECT \(Self.columns) FROM message WHERE class = 1 AND state = 0 AND id > 0 ORDER BY id LIMIT 256")
  }

  /// The content does not matter here, only that its statements are taken.
  func store(id: Int64, copyOf other: Int64) throws {
    try run(
      """
      BEGIN IMMEDIATE;
      INSERT INTO message (id, class, state, attempts, length, stored, key_id, capture_id, sequence, name, topic,
        content_type, sha256, created_utc, created_boot, created_monotonic, created_synchronised)
      SELECT \(id), class, state, attempts, length, stored, key_id, zeroblob(16), sequence + 1, name, topic,
        content_type, sha256, created_utc, created_boot, created_monotonic, created_synchronised
      FROM message WHERE id = \(other);
      INSERT INTO payload VALUES (\(id), x'00');
      UPDATE outbox SET next_message = next_message + 1, next_sequence = next_sequence + 1;
      DELETE FROM message WHERE id = \(id);
      DELETE FROM payload WHERE id = \(id);
      COMMIT
      """)
  }

  func deliver(id: Int64) throws {
    try run(
      """
      BEGIN IMMEDIATE;
      UPDATE message SET state = 2, settled_boot = 'golden-boot', settled_monotonic = 5, reason = NULL WHERE id = \(id);
      UPDATE message SET attempts = attempts + 1 WHERE id = 13;
      COMMIT
      """)
  }

  func close() throws {
    try run("BEGIN IMMEDIATE; UPDATE outbox SET running = 0; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
  }

  private func run(_ sql: String) throws {
    try #require(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
  }

  private func rows<Value>(_ sql: String, _ value: (OpaquePointer?, Int32) -> Value) throws -> [[Value]] {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    try #require(
      sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
    var found: [[Value]] = []
    while sqlite3_step(statement) == SQLITE_ROW {
      found.append((0..<sqlite3_column_count(statement)).map { value(statement, $0) })
    }
    return found
  }

  private func integers(_ sql: String) throws -> [[Int64]] { try rows(sql) { sqlite3_column_int64($0, $1) } }
  private func texts(_ sql: String) throws -> [String] {
    try rows(sql) { sqlite3_column_text($0, $1).map { String(cString: $0) } ?? "" }.flatMap { $0 }
  }
}
