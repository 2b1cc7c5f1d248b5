import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// No sequence number and no message id is ever given twice, whatever the disk or a person did to the database.
@Suite struct NumberReserveTests {
  private let clock = ManualClock()

  private func configuration(_ scratch: ScratchFolder) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(42)), quota: OutboxQuota(ballastBytes: 0))
  }

  private func copy(_ suffixes: [String], _ from: String, to target: String) throws {
    for suffix in suffixes {
      try? FileManager.default.removeItem(atPath: target + suffix)
      if FileManager.default.fileExists(atPath: from + suffix) {
        try FileManager.default.copyItem(atPath: from + suffix, toPath: target + suffix)
      }
    }
  }

  @discardableResult
  private func store(_ numbers: ClosedRange<Int>, in outbox: Outbox) async throws -> [StoredCapture] {
    var stored: [StoredCapture] = []
    for number in numbers {
      stored.append(try await outbox.enqueue(makeCapture(UInt64(number), at: clock.now(), imageBytes: [300])))
    }
    return stored
  }

  private func gaps(_ outbox: Outbox) async throws -> [GapRecord] {
    var records: [GapRecord] = []
    for item in try await outbox.pending(.event, after: 0, limit: 1000) {
      records.append(try JSONDecoder().decode(GapRecord.self, from: Data(await outbox.payload(of: item.id))))
    }
    return records
  }

  @Test func anOlderCopyInItsPlaceIsNoticedAndToldOf() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let first = try Outbox(configuration, time: clock)
    try await store(1...5, in: first)
    await first.close()
    try copy([""], configuration.path, to: scratch.file("copy"))
    let second = try Outbox(configuration, time: clock)
    #expect(second.recoveryAtStart == nil)
    let later = try await store(6...8, in: second)
    #expect(later.map(\.number.sequence) == [6, 7, 8], "an orderly end leaves no number out")
    await second.close()
    try copy([""], scratch.file("copy"), to: configuration.path)

    let third = try Outbox(configuration, time: clock)
    // Three captures, and the beginning and the end of that run.
    #expect(third.recoveryAtStart?.cause == .takenBack(commits: 6, captures: 3))
    #expect(third.highestStoredAtStart >= later.flatMap(\.itemIDs).max() ?? .max)
    let told = try await gaps(third)
    #expect(told.map(\.reason) == [.lost])
    #expect(told.map(\.sequence) == [6])
    #expect(told.map(\.throughSequence) == [8])
    #expect(told.map(\.count) == [3])
    #expect(try await third.pending(.alert, after: 0, limit: 9).count == 1)
    #expect(try await store(9...9, in: third).first?.number.sequence == 9)
    await third.close()
    let fourth = try Outbox(configuration, time: clock)
    #expect(fourth.recoveryAtStart == nil, "it is told once")
    await fourth.close()
  }

  /// What a file system does that loses the last transactions although it had reported them as synced.
  @Test func anInterruptionThatLostCommitsGivesNoNumberAgain() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let outbox = try Outbox(configuration, time: clock)
    try await store(1...5, in: outbox)
    var lost = configuration
    lost.path = scratch.file("lost.sqlite")
    try copy(["", "-wal"], configuration.path, to: lost.path)
    let later = try await store(6...60, in: outbox)
    try copy([".numbers", ".commits"], configuration.path, to: lost.path)
    await outbox.close()

    let again = try Outbox(lost, time: clock)
    #expect(again.recoveryAtStart?.cause == .takenBack(commits: 55, captures: 55))
    let fresh = try #require(try await store(100...100, in: again).first)
    #expect(fresh.number.outboxID == outbox.outboxID)
    #expect(fresh.number.sequence > 60)
    #expect(fresh.number.sequence <= 60 + 2 * NumberReserve.sequenceBlock)
    let usedIDs = Set(later.flatMap(\.itemIDs))
    #expect(try await again.list().allSatisfy { $0.item.id <= 10 || !usedIDs.contains($0.item.id) })
    let told = try await gaps(again)
    #expect(told.map(\.reason) == [.lost, .unused])
    #expect(told.map(\.sequence) == [6, 61])
    #expect(told.map(\.throughSequence) == [60, fresh.number.sequence - 1])
    await again.close()
  }

  @Test func anInterruptedDatabaseWithoutItsReserveLeavesNumbersOut() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let outbox = try Outbox(configuration, time: clock)
    try await store(1...5, in: outbox)
    var alone = configuration
    alone.path = scratch.file("alone.sqlite")
    try copy(["", "-wal"], configuration.path, to: alone.path)
    await outbox.close()
    let again = try Outbox(alone, time: clock)
    #expect(try await store(6...6, in: again).first?.number.sequence == 6 + OutboxRecovery.skippedNumbers)
    #expect(try await gaps(again).map(\.reason) == [.unused])
    await again.close()
    // In order, and without it as with an earlier program: nothing is in doubt.
    try FileManager.default.removeItem(atPath: alone.path + ".numbers")
    let whole = try Outbox(alone, time: clock)
    #expect(try await store(7...7, in: whole).first?.number.sequence == 7 + OutboxRecovery.skippedNumbers)
    await whole.close()
  }

  @Test func aBlockIsAlwaysReservedAhead() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let outbox = try Outbox(configuration, time: clock)
    var marks = Set<Int64>()
    for number in 1...300 {
      let stored = try #require(try await store(number...number, in: outbox).first)
      let mark = try #require(try NumberReserve(databasePath: configuration.path, digests: OpenSSLDigests()).mark)
      #expect(mark.outboxID == outbox.outboxID)
      #expect(!mark.isExact)
      #expect(mark.nextSequence - (stored.number.sequence + 1) >= NumberReserve.sequenceBlock)
      #expect(mark.nextMessage - ((stored.itemIDs.last ?? .max) + 1) >= NumberReserve.messageBlock)
      marks.insert(mark.nextSequence)
    }
    #expect(marks.count <= 6, "a write for each block, not for each capture")
    await outbox.close()
    let mark = try #require(try NumberReserve(databasePath: configuration.path, digests: OpenSSLDigests()).mark)
    #expect(mark.isExact)
    #expect(mark.nextSequence == 301)
  }

  @Test func aTornSlotLeavesTheOneBefore() throws {
    let scratch = try ScratchFolder(inMemory: true)
    let path = scratch.file("outbox.sqlite")
    var generator = SeededGenerator(seed: 3)
    let id = RandomIdentifier(using: &generator)
    var reserve = try NumberReserve(databasePath: path, digests: OpenSSLDigests())
    #expect(reserve.mark == nil)
    try reserve.reserve(nextSequence: 10, nextMessage: 100, of: id)
    let before = reserve.mark
    try reserve.reserve(nextSequence: 100, nextMessage: 1000, of: id)
    let after = reserve.mark
    let file = URL(fileURLWithPath: path + ".numbers")
    let whole = try Data(contentsOf: file)
    var marks: [NumberReserve.Mark?] = []
    for offset in 0..<whole.count {
      var torn = whole
      torn[offset] ^= 0xFF
      try torn.write(to: file)
      marks.append(try NumberReserve(databasePath: path, digests: OpenSSLDigests()).mark)
    }
    #expect(marks.allSatisfy { $0 == before || $0 == after })
    #expect(marks.count { $0 == before } == 96, "each byte of the newer slot's content and digest counts")
    try whole.prefix(700).write(to: file)
    #expect(try NumberReserve(databasePath: path, digests: OpenSSLDigests()).mark == after)
    try Data(repeating: 7, count: 1024).write(to: file)
    #expect(try NumberReserve(databasePath: path, digests: OpenSSLDigests()).mark == nil)
  }

  @Test func whatAReceiverNeverTakesIsSetAsideAndBlocksNothing() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    let captures = (1...3).map { makeCapture(UInt64($0), at: clock.now(), imageBytes: [300]) }
    var settlement = Settlement()
    for capture in captures { settlement.awaitingReceipt += try await outbox.enqueue(capture).itemIDs }
    try await outbox.settle(settlement)
    let record = try #require(try await outbox.items(ofCapture: captures[0].captureID).first).item
    var entry = Receipt.Entry(
      captureID: captures[0].captureID, name: OutboxItem.recordName, sha256: String(repeating: "0", count: 64))
    let forged = Receipt(receiver: "clinic", entries: [], refused: [Receipt.Refusal(entry, .numberTaken)])
    #expect(try await outbox.apply(forged) == ReceiptOutcome(), "who never had the content has no say")
    entry.sha256 = Hexadecimal.text(of: record.sha256)
    let refusal = Receipt(receiver: "clinic", entries: [], refused: [Receipt.Refusal(entry, .numberTaken)])
    #expect(try await outbox.apply(refusal).refused == [captures[0].captureID])
    #expect(try await outbox.apply(refusal) == ReceiptOutcome(), "once")
    // A PUBACK that comes late does not bring it back.
    settlement.awaitingReceipt = [record.id]
    try await outbox.settle(settlement)
    #expect(try await outbox.items(ofCapture: captures[0].captureID).map(\.state) == [.quarantined, .quarantined])
    #expect(try await outbox.accounts()[.capture, .awaitingReceipt].rows == 2)
    let told = try await gaps(outbox)
    #expect(told.map(\.reason) == [.quarantined, .quarantined, .unused])
    #expect(told.map(\.sequence) == [1, 1, 4])
    // The numbers behind may be taken as well.
    let next = try #require(try await store(4...4, in: outbox).first)
    #expect(next.number.sequence == 2 + OutboxRecovery.skippedNumbers)
    // An image that differs is refused alone.
    let image = try #require(try await outbox.items(ofCapture: captures[1].captureID).last).item
    let other = Receipt.Entry(
      captureID: captures[1].captureID, name: try #require(image.name), sha256: Hexadecimal.text(of: image.sha256))
    let differs = Receipt(receiver: "clinic", entries: [], refused: [Receipt.Refusal(other, .contentDiffers)])
    _ = try await outbox.apply(try Receipt(decoding: differs.encoded()))
    #expect(try await outbox.items(ofCapture: captures[1].captureID).map(\.state) == [.awaitingReceipt, .quarantined])
    #expect(try await store(5...5, in: outbox).first?.number.sequence == 3 + OutboxRecovery.skippedNumbers)
    await outbox.close()
  }
}
