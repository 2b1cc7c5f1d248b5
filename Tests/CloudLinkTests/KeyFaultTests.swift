import Forwarding
import Foundation
import Provenance
import Testing

@testable import Storage

/// The fault matrix as far as a device is not what it was: its key is another, its program is newer.
@Suite struct KeyFaultTests {
  private static let captures = FaultMatrix.captures

  private func names(_ ids: [RandomIdentifier]) -> Set<String> {
    Set(ids.flatMap { id in ["\(id)/\(OutboxItem.recordName)"] + (0..<3).map { "\(id)/image\($0).png" } })
  }

  @Test func aLostKeyHoldsUpOnlyWhatItSealed() async throws {
    let row = FaultRow("key lost, a new one made, the lost one found again")
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let (lost, made) = (try DeviceBench.makeKey(), try DeviceBench.makeKey())
    let before = try DeviceBench(keys: KeyRing(current: lost))
    let locked = try await row.store(Self.captures, in: before)
    await before.outbox.close()

    let without = try DeviceBench(folder: before.folder, keys: KeyRing(current: made))
    #expect(without.outbox.recoveryAtStart == nil, "a key that is not there is no damage")
    #expect(try await without.outbox.countLocked() == 4 * locked.count)
    try without.start(broker.port)
    let fresh = try await row.store(Self.captures, in: without)
    try await eventually("what the new key sealed is complete", withinSeconds: 180) {
      receiver.completed == fresh.count
    }
    try await eventually("and the device has heard so", withinSeconds: 60) {
      try await without.backlog() == 4 * locked.count
    }
    try await without.stop()
    #expect(try Set(receiver.ledger().stored.keys) == names(fresh))
    let accounts = try await without.outbox.accounts()
    #expect(accounts[.capture, .quarantined].rows == 0 && accounts[.image, .quarantined].rows == 0)
    await without.outbox.close()

    let found = try DeviceBench(folder: before.folder, keys: KeyRing(current: made, older: [lost]))
    #expect(try await found.outbox.countLocked() == 0)
    try found.start(broker.port)
    // What was locked has the lower numbers and comes last.
    try await row.verify(found, receiver, locked + fresh, orderKept: false)
    await found.outbox.close()
  }

  /// A database of the first layout with a backlog, opened by a program that knows a later one.
  @Test func anUpgradeWithABacklogDeliversIt() async throws {
    let row = FaultRow("upgrade with a backlog")
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let keys = KeyRing(current: try DeviceBench.makeKey())
    let first = Array(OutboxSchema.migrations.prefix(1))
    let old = try DeviceBench(keys: keys) { $0.migrations = first }
    let stored = try await row.store(Self.captures, in: old)
    let outboxID = old.outbox.outboxID
    await old.outbox.close()

    let later =
      OutboxSchema.migrations + [
        OutboxSchema.Migration(
          name: "a column, an index and a table more",
          sql: """
            ALTER TABLE message ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
            CREATE INDEX message_priority ON message (priority, id) WHERE state = 0;
            CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT NOT NULL);
            """)
      ]
    let new = try DeviceBench(folder: old.folder, keys: keys) { $0.migrations = later }
    #expect(new.outbox.recoveryAtStart == nil)
    #expect(new.outbox.outboxID == outboxID)
    try new.start(broker.port)
    let fresh = try await row.store(3, in: new)
    try await row.verify(new, receiver, stored + fresh)
    await new.outbox.close()
  }
}
