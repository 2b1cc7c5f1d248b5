import Forwarding
import Foundation
import Provenance
import TestSupport
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

  /// Somebody puts an older copy of the database in its place, after later captures were delivered. The reserve of
  /// numbers beside it knows better, so nothing new meets the number of what the receiver has.
  @Test func anOlderDatabaseGivesNoNumberTwice() async throws {
    let row = FaultRow("database replaced by an older copy")
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let keys = KeyRing(current: try DeviceBench.makeKey())
    let first = try DeviceBench(keys: keys)
    let database = first.folder.url.appending(path: "outbox.sqlite")
    let copy = first.folder.url.appending(path: "copy")
    let early = try await deliver(Self.captures / 4, from: first, to: receiver, at: broker.port, row)
    try FileManager.default.copyItem(at: database, to: copy)
    let second = try DeviceBench(folder: first.folder, keys: keys)
    let later = try await deliver(Self.captures / 4, from: second, to: receiver, at: broker.port, row)
    try FileManager.default.removeItem(at: database)
    try FileManager.default.moveItem(at: copy, to: database)

    let third = try DeviceBench(folder: first.folder, keys: keys)
    guard case .takenBack(_, captures: later.count) = third.outbox.recoveryAtStart?.cause else {
      Issue.record("\(String(describing: third.outbox.recoveryAtStart))")
      return
    }
    let fresh = try await row.store(Self.captures - early.count - later.count, in: third)
    try third.start(broker.port)
    try await row.verify(third, receiver, early + later + fresh)
    await third.outbox.close()
  }

  /// The same with everything beside it, as an older image of the whole card has it: nothing on the device can know.
  /// The receiver says that it has other captures under these numbers; they are set aside, told of, and hold nothing up.
  @Test func anOlderCardHoldsNothingUp() async throws {
    let row = FaultRow("card replaced by an older copy of all files")
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let keys = KeyRing(current: try DeviceBench.makeKey())
    let first = try DeviceBench(keys: keys)
    let early = try await deliver(2, from: first, to: receiver, at: broker.port, row)
    let card = try ScratchFolder()
    for name in ["outbox.sqlite", "outbox.sqlite.numbers", "outbox.sqlite.commits"] {
      try FileManager.default.copyItem(
        at: first.folder.url.appending(path: name), to: card.url.appending(path: name))
    }
    let second = try DeviceBench(folder: first.folder, keys: keys)
    let later = try await deliver(2, from: second, to: receiver, at: broker.port, row)

    let third = try DeviceBench(folder: card, keys: keys)
    #expect(third.outbox.recoveryAtStart == nil)
    let taken = try await row.store(1, in: third)
    try third.start(broker.port)
    try await eventually("set aside") { try await third.outbox.accounts()[.capture, .quarantined].rows == 1 }
    let fresh = try await row.store(Self.captures, in: third)
    try await eventually("the rest is complete", withinSeconds: 180) {
      receiver.completed == early.count + later.count + fresh.count
    }
    try await eventually("nothing waits", withinSeconds: 60) { try await third.backlog() == 0 }
    try await third.stop()
    await receiver.stop()
    let ledger = try receiver.measuredLedger()
    let expected = names(early + later + fresh)
    #expect(expected.isSubset(of: ledger.stored.keys))
    #expect(ledger.stored.values.allSatisfy { $0 == 1 })
    #expect(!ledger.stored.keys.contains("\(taken[0])/\(OutboxItem.recordName)"))
    let accounts = try await third.outbox.accounts()
    #expect(accounts[.capture, .quarantined].rows == 1)
    #expect(accounts[.image, .quarantined].rows == 3)
    #expect(receiver.notes.allSatisfy { $0.hasSuffix("of this outbox belongs to another capture") })
    row.report(ledger, expected, "1 capture set aside and told of")
    await third.outbox.close()
  }

  /// Stores captures, delivers them and ends in order.
  private func deliver(
    _ count: Int, from device: DeviceBench, to receiver: ReceiverEnd, at port: UInt16, _ row: FaultRow
  ) async throws -> [RandomIdentifier] {
    let before = receiver.completed
    let ids = try await row.store(count, in: device)
    try device.start(port)
    try await eventually("they are complete", withinSeconds: 120) { receiver.completed == before + count }
    try await eventually("the device has heard so", withinSeconds: 60) { try await device.backlog() == 0 }
    try await device.stop()
    await device.outbox.close()
    return ids
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
