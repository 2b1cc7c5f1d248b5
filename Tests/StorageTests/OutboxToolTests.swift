import CSQLite
import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

@Suite struct OutboxToolTests {
  private let clock = ManualClock()

  private func configuration(_ scratch: ScratchFolder) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(42)), quota: OutboxQuota(ballastBytes: 0))
  }

  /// The tool and the device hold the database open together; neither disturbs the other's numbers.
  @Test func worksBesideTheRunningDevice() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    let first = makeCapture(1, at: clock.now())
    _ = try await outbox.enqueue(first)
    var settlement = Settlement()
    settlement.quarantined = [Settlement.Quarantined(id: 2, reason: "too large")]
    try await outbox.settle(settlement)

    do {
      let tool = try OutboxTool(configuration(scratch), time: clock)
      #expect(tool.outboxID == outbox.outboxID)
      #expect(try tool.item(2).state == .quarantined)
      #expect(try tool.item(2).reason == "too large")
      #expect(try tool.payload(of: tool.item(2)) == first.images[0].bytes)
      try tool.retry([2])
      #expect(throws: OutboxError.self) { try tool.retry([77]) }
      let record = try tool.item(1).item
      let receipt = Receipt(
        receiver: "clinic",
        entries: [
          Receipt.Entry(captureID: first.captureID, name: "record.json", sha256: Hexadecimal.text(of: record.sha256))
        ])
      #expect(try tool.apply(receipt).unfounded.entries == receipt.entries, "it has not left the device")
      try tool.noteExported([1, 77])
      #expect(try tool.apply(receipt).delivered == [1])
    }

    _ = try await outbox.enqueue(makeCapture(2, at: clock.now()))
    let accounts = try await outbox.accounts()
    #expect(accounts[.image, .quarantined].rows == 0)
    #expect(accounts[.image, .pending].rows == 4)
    #expect(accounts[.capture, .pending].rows == 1)
    #expect(try await outbox.pending(.image, after: 0, limit: 9).map(\.id).first == 2)
    await outbox.close()
    // The tool's end did not take the log away from a device that is killed: the next start is in order.
    let again = try Outbox(configuration(scratch), time: clock)
    #expect(again.recoveryAtStart == nil)
    await again.close()
  }

  /// The stick came back with a receipt: the device that refuses for want of room sees the room at once, without a commit.
  @Test func roomThatAToolFreesIsSeenAtOnce() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    var configuration = try configuration(scratch)
    configuration.quota.rowsPerClass = 100
    configuration.retentionSeconds = 3600
    let outbox = try Outbox(configuration, time: clock)
    var captures: [NewCapture] = []
    while try await outbox.captureRefusalReason() == nil {
      captures.append(makeCapture(UInt64(captures.count), at: clock.now()))
      _ = try await outbox.enqueue(captures[captures.count - 1])
      try #require(captures.count < 101)
    }
    let tool = try OutboxTool(configuration, time: clock)
    let stored = try tool.list(after: 0, limit: 1000)
    try tool.noteExported(stored.map(\.item.id))
    let entries = stored.compactMap { stored in
      stored.item.captureID.map {
        Receipt.Entry(
          captureID: $0, name: stored.item.name ?? "", sha256: Hexadecimal.text(of: stored.item.sha256))
      }
    }
    _ = try tool.apply(Receipt(receiver: "clinic", entries: entries))
    let commits = await outbox.commits
    #expect(try await outbox.captureRefusalReason() == nil)
    #expect(try await outbox.accounts().backlog(.image).rows == 0)
    #expect(try await outbox.figures().accounts.backlog(.capture).rows == 0)
    #expect(await outbox.commits == commits)
    await outbox.close()
  }

  @Test func everythingThatWaitsForSomebodyIsMadeToWaitAgain() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    for number in 1...3 as ClosedRange<UInt64> { _ = try await outbox.enqueue(makeCapture(number, at: clock.now())) }
    #expect(try await outbox.oldestWithoutReceipt() == nil)
    var settlement = Settlement()
    let second = try await outbox.pending(.capture, after: 0, limit: 9)[1]
    let image = try await outbox.pending(.image, after: 0, limit: 9)[0]
    settlement.awaitingReceipt = [second.id]
    settlement.quarantined = [Settlement.Quarantined(id: image.id, reason: "too large")]
    try await outbox.settle(settlement)
    #expect(try await outbox.oldestWithoutReceipt() == second.sequence)
    let tool = try OutboxTool(configuration(scratch), time: clock)
    #expect(try Set(tool.retryAll()) == [second.id, image.id])
    #expect(try tool.item(second.id).state == .pending && tool.item(image.id).state == .pending)
    #expect(try tool.retryAll().isEmpty)
    #expect(try await outbox.oldestWithoutReceipt() == nil)
    await outbox.close()
  }

  @Test func aMissingDatabaseIsNotMade() throws {
    let scratch = try ScratchFolder(inMemory: true)
    let error = #expect(throws: OutboxError.self) { try OutboxTool(configuration(scratch), time: clock) }
    #expect(error?.description.contains("does not exist") == true)
    #expect(!FileManager.default.fileExists(atPath: scratch.file("outbox.sqlite")))
  }

  /// The index is only a table of contents: what the payloads prove is written into it again.
  @Test(arguments: [
    "UPDATE message SET topic = 'alert', class = 0 WHERE id = 1", "DELETE FROM message WHERE id = 1",
    "UPDATE message SET sequence = 9 WHERE id = 1", "UPDATE message SET sha256 = zeroblob(32) WHERE id = 1",
  ])
  func verifyRepairsAWrongIndexFromThePayloads(sql: String) async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    _ = try await outbox.enqueue(makeCapture(1, at: clock.now()))
    let before = try await outbox.item(1)
    var handle: OpaquePointer?
    #expect(sqlite3_open(scratch.file("outbox.sqlite"), &handle) == SQLITE_OK)
    #expect(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK)
    sqlite3_close(handle)
    await #expect(throws: OutboxError.self) { try await outbox.payload(of: 1) }
    let report = try await outbox.verify(limit: 100)
    #expect(report.reindexed == [1])
    #expect(report.unreadable.isEmpty)
    #expect(try await outbox.item(1) == before)
    #expect(try await outbox.payload(of: 1).isEmpty == false)
    #expect(try await outbox.verify(limit: 100).reindexed.isEmpty)
    await outbox.close()
  }

  @Test func verifySetsDamageAsideAndTellsTheClinic() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    _ = try await outbox.enqueue(makeCapture(1, at: clock.now()))
    var handle: OpaquePointer?
    #expect(sqlite3_open(scratch.file("outbox.sqlite"), &handle) == SQLITE_OK)
    let sql = """
      UPDATE payload SET sealed = substr(sealed, 1, 300) || x'00ff00ff' || substr(sealed, 305) WHERE id = 2;
      DELETE FROM payload WHERE id = 3;
      """
    #expect(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK)
    sqlite3_close(handle)
    let report = try await outbox.verify(limit: 100)
    #expect(report.unreadable == [2])
    #expect(report.hollow == [3])
    #expect(try await outbox.item(2).state == .quarantined)
    var told: [GapRecord] = []
    for item in try await outbox.pending(.event, after: 0, limit: 10) {
      told.append(try JSONDecoder().decode(GapRecord.self, from: Data(await outbox.payload(of: item.id))))
    }
    #expect(told.map(\.reason) == [.quarantined, .lost])
    #expect(told.map(\.name) == ["master.png", "view.png"])
    #expect(told.allSatisfy { $0.sequence == 1 })
    await outbox.close()
  }
}
