import CSQLite
import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// What a later program does to the database of an earlier one, and an earlier program to that of a later.
@Suite struct UpgradeTests {
  /// The first layout as it went out. A migration that was ever released is never changed; this is what holds it.
  private static let firstLayout = "b5b215f825fb067c2b9c214a3ecfe638d9d7b28fddd77043bcc0fdc4cc2eff5a"

  private static let second = OutboxSchema.Migration(
    name: "second", sql: "ALTER TABLE message ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;")

  private func configuration(_ scratch: ScratchFolder) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(42)), quota: OutboxQuota(ballastBytes: 0))
  }

  private func number(_ sql: String, in path: String) throws -> Int {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, nil) == SQLITE_OK)
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    try #require(sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK)
    try #require(sqlite3_step(statement) == SQLITE_ROW)
    return Int(sqlite3_column_int64(statement, 0))
  }

  @Test func theFirstLayoutIsAsItWentOut() {
    let text = OutboxSchema.migrations[0].sql
    #expect(Hexadecimal.text(of: OpenSSLDigests().sha256(Array(text.utf8))) == Self.firstLayout)
  }

  /// Until the new program is confirmed, it does with the layout that it finds: the way back stays open, whatever it stores.
  @Test func nothingIsMigratedBeforeTheProgramIsConfirmed() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let clock = ManualClock()
    let earlier = try configuration(scratch)
    let old = try Outbox(earlier, time: clock)
    _ = try await old.enqueue(makeCapture(1, at: clock.now()))
    await old.close()
    var later = earlier
    later.migrations =
      OutboxSchema.migrations + [
        // The earlier program could not write into this.
        OutboxSchema.Migration(name: "no way back", sql: "ALTER TABLE message RENAME COLUMN attempts TO tries;")
      ]
    for capture in 2...3 {
      let new = try Outbox(later, time: clock)
      #expect(new.recoveryAtStart == nil)
      _ = try await new.enqueue(makeCapture(UInt64(capture), at: clock.now()))
      await new.close()
      #expect(try number("PRAGMA user_version", in: later.path) == 1)
    }
    let back = try Outbox(earlier, time: clock)
    #expect(back.recoveryAtStart == nil)
    #expect(try await back.pending(.capture, after: 0, limit: 10).compactMap(\.sequence) == [1, 2, 3])
    await back.close()
    // Confirmed: from here on there is none.
    later.isConfirmed = true
    later.migrations[1] = Self.second
    let confirmed = try Outbox(later, time: clock)
    await confirmed.close()
    #expect(try number("PRAGMA user_version", in: later.path) == 2)
  }

  /// A damaged number is set right, and is no way around the confirmation.
  @Test func aDamagedNumberMigratesNothing() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let clock = ManualClock()
    var configuration = try configuration(scratch)
    let old = try Outbox(configuration, time: clock)
    await old.close()
    var handle: OpaquePointer?
    try #require(sqlite3_open(configuration.path, &handle) == SQLITE_OK)
    try #require(sqlite3_exec(handle, "PRAGMA user_version = -7", nil, nil, nil) == SQLITE_OK)
    sqlite3_close(handle)
    configuration.migrations = OutboxSchema.migrations + [Self.second]
    let new = try Outbox(configuration, time: clock)
    await new.close()
    #expect(try number("PRAGMA user_version", in: configuration.path) == 1)
  }

  /// Interrupted without an end in order, as a package upgrade that restarts the service may leave it.
  @Test func aBacklogInTheLogSurvivesTheUpgrade() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let clock = ManualClock()
    var configuration = try configuration(scratch)
    configuration.migrations = Array(OutboxSchema.migrations.prefix(1))
    configuration.additions = []
    let old = try Outbox(configuration, time: clock)
    for index in 1...40 { _ = try await old.enqueue(makeCapture(UInt64(index), at: clock.now())) }
    var copy = configuration
    copy.path = scratch.file("copy.sqlite")
    for suffix in ["", "-wal", ".numbers"] {
      try FileManager.default.copyItem(atPath: configuration.path + suffix, toPath: copy.path + suffix)
    }
    await old.close()
    copy.migrations = OutboxSchema.migrations + [Self.second]
    copy.isConfirmed = true
    let new = try Outbox(copy, time: clock)
    #expect(new.recoveryAtStart == nil)
    let records = try await new.pending(.capture, after: 0, limit: 1000)
    #expect(records.compactMap(\.sequence) == Array(1...40))
    for deliveryClass in [DeliveryClass.capture, .image] {
      for item in try await new.pending(deliveryClass, after: 0, limit: 1000) {
        #expect(try await new.payload(of: item.id).count == item.byteCount)
      }
    }
    // As after every interruption, numbers that may have been used are left out.
    let next = try await new.enqueue(makeCapture(41, at: clock.now())).number.sequence
    #expect((41...40 + 2 * NumberReserve.sequenceBlock).contains(next))
    await new.close()
    #expect(try number("PRAGMA user_version", in: copy.path) == OutboxSchema.migrations.count + 1)
    #expect(try number("SELECT count(*) FROM message WHERE priority = 0", in: copy.path) == 41 * 3 + 1)
    // And the way back: what is added is in nobody's way.
    copy.migrations = OutboxSchema.migrations
    let back = try Outbox(copy, time: clock)
    #expect(back.recoveryAtStart == nil)
    #expect(try await back.enqueue(makeCapture(42, at: clock.now())).number.sequence == next + 1)
    #expect(try await back.pending(.capture, after: 0, limit: 1000).count == 42)
    await back.close()
    #expect(try number("PRAGMA user_version", in: copy.path) == OutboxSchema.migrations.count + 1, "it is not ours")
  }
}
