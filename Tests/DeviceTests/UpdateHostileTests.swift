import Foundation
import Provenance
import Remote
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Device

// Those who write to the topic of the parts, a line that costs money, and a vendor who changes his mind.
extension UpdateServiceTests {
  /// Whoever may write to the topic sends one part again and again, and parts that nobody asked for: the others find room.
  @Test func nobodyCrowdsOutTheOtherParts() async throws {
    let bench = try Bench()
    let bytes = Self.file(65_536 * 16)
    let order = try bench.order(7, bytes)
    await bench.look(quiet: 0)
    for _ in 0..<100 { bench.send(order, 1, [UInt8](repeating: 0xAA, count: 65_536)) }
    for number in 17...99 { bench.send(order, number, of: 99, [1]) }
    bench.send(order, 2, [UInt8](repeating: 0xAA, count: 200_000))
    for number in 1...16 { bench.send(order, number, bench.part(bytes, number)) }
    await bench.look(quiet: 0)
    #expect(try bench.store.read().update?.unit.fileSHA256 == order.fileSHA256)
  }

  /// The allowance of a metered line is used up: a restart, and another, grant nothing; a day does.
  @Test func aRestartGrantsNoNewAllowance() async throws {
    let day = 65_536 * 16
    let bytes = Self.file(65_536 * 60)
    let first = try Bench(bytesPerDay: day)
    let order = try first.order(7, bytes)
    await first.look(quiet: 0)
    #expect(first.told.withLock { $0.map(\.wants) } == ["1-16"])
    for number in 1...16 { first.send(order, number, first.part(bytes, number)) }
    await first.look(quiet: 0)
    // What is left may be overdrawn once; then the next waits for it.
    #expect(first.told.withLock { $0.last?.wants } == "17-32")
    for number in 17...32 { first.send(order, number, first.part(bytes, number)) }
    await first.look(quiet: 0)
    #expect(first.told.withLock { $0.count } == 2, "the day's bytes are used")
    for _ in 0..<3 {
      let again = try Bench(first.scratch, bytesPerDay: day)
      await again.look(quiet: 0)
      #expect(again.told.withLock { $0.isEmpty })
    }
    let last = try Bench(first.scratch, bytesPerDay: day)
    await last.look(quiet: 0)
    await last.look(after: 86_400, quiet: 0)
    #expect(last.told.withLock { $0.last?.wants } == "33-48")
    #expect(try last.store.read().partBytesUsed ?? 0 > Int64(day), "the next day's are kept as used as well")
  }

  /// Metadata that names a file of no byte, or by no SHA-256, makes no order: the record stays readable.
  @Test(arguments: [(0, String(repeating: "a", count: 64)), (5, "ab"), (UpdateRules.unitBytesMaximum + 1, "")])
  func anOrderThatCannotBeLeavesTheRecord(bytes: Int, sha256: String) throws {
    let bench = try Bench()
    let target = try #require(UnitTarget(model: "fold", version: 7))
    #expect(throws: UpdateStoreError.refused(.impossible(target))) {
      try bench.store.apply(.ordered(UpdateOrder(target, fileSHA256: sha256, bytes: bytes, command: nil, window: nil)))
    }
    #expect(try bench.store.read() == UpdateBook())
  }

  /// The vendor takes a model back while it is on its way, tried, or not yet confirmed.
  @Test func whatTheVendorWithdrawsNeverDecides() async throws {
    let ordered = try Bench()
    let order = try ordered.order(7, Self.file(100_000))
    await ordered.look(quiet: 0)
    ordered.withdrawn.withLock { $0 = [order.fileSHA256] }
    await ordered.look(quiet: 0)
    #expect(try ordered.store.read().order == nil)
    #expect(ordered.told.withLock { $0.last?.state == "refused" && $0.last?.reason?.contains("vendor") == true })

    let waiting = try Bench()
    let unit = try waiting.stage(7)
    waiting.withdrawn.withLock { $0 = [unit.fileSHA256] }
    await waiting.look(quiet: 300)
    #expect(try waiting.store.read().update == nil && waiting.trials.withLock { $0.isEmpty })

    let active = try Bench()
    let deciding = try await active.activate(7)
    #expect(active.loads.withLock { $0 } == ["7"])
    active.withdrawn.withLock { $0 = [deciding.fileSHA256] }
    await active.look(quiet: 0)
    #expect(active.loads.withLock { $0 } == ["7", "installed"])
    #expect(active.told.withLock { $0.last?.state } == "rolled-back")

    let confirmed = try Bench()
    let kept = try await confirmed.activate(7)
    for _ in 0..<5 { confirmed.intake.put(KeptCapture(master: [], unitSHA256s: [kept.unitSHA256], hasScore: true)) }
    await confirmed.look(quiet: nil)
    confirmed.withdrawn.withLock { $0 = [kept.fileSHA256] }
    await confirmed.look(quiet: 300)
    #expect(confirmed.loads.withLock { $0 } == ["7"], "what is confirmed stays until somebody takes it back")
  }
}
