import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// An outbox that is gone, or was taken back to an earlier state, never passes for the present one: a gap record and an
/// alert say so, and no number is given twice.
@Suite struct RollbackFaultTests {
  private let clock = ManualClock()

  private func configuration(_ scratch: ScratchFolder) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(42)), quota: OutboxQuota(ballastBytes: 0))
  }

  private func copy(_ suffixes: [String], _ from: String, to target: String) throws {
    for suffix in suffixes {
      if FileManager.default.fileExists(atPath: target + suffix) {
        try FileManager.default.removeItem(atPath: target + suffix)
      }
      if FileManager.default.fileExists(atPath: from + suffix) {
        try FileManager.default.copyItem(atPath: from + suffix, toPath: target + suffix)
      }
    }
  }

  private func store(_ numbers: ClosedRange<Int>, in outbox: Outbox) async throws {
    for number in numbers {
      _ = try await outbox.enqueue(makeCapture(UInt64(number), at: clock.now(), imageBytes: [300]))
    }
  }

  private func told(_ outbox: Outbox) async throws -> (gaps: [GapRecord], alerts: Int) {
    var gaps: [GapRecord] = []
    for item in try await outbox.pending(.event, after: 0, limit: 1000) {
      gaps.append(try JSONDecoder().decode(GapRecord.self, from: Data(await outbox.payload(of: item.id))))
    }
    return (gaps, try await outbox.pending(.alert, after: 0, limit: 9).count)
  }

  /// Reopens, expects to be told, stores on, and expects silence at the start after.
  private func expectTold(
    _ configuration: OutboxConfiguration, _ cause: RecoveryReport.Cause, numbersFrom least: Int64
  ) async throws -> [GapRecord] {
    let outbox = try Outbox(configuration, time: clock)
    #expect(outbox.recoveryAtStart?.cause == cause)
    let told = try await told(outbox)
    #expect(told.alerts >= 1)
    #expect(!told.gaps.isEmpty)
    let fresh = try await outbox.enqueue(makeCapture(5000, at: clock.now(), imageBytes: [300]))
    #expect(fresh.number.sequence >= least)
    await outbox.close()
    let again = try Outbox(configuration, time: clock)
    #expect(again.recoveryAtStart == nil, "it is told once")
    await again.close()
    return told.gaps
  }

  @Test(arguments: [["", "-wal", "-shm"], ["", "-wal", "-shm", ".numbers"], ["", "-wal", "-shm", ".commits"]])
  func anOutboxThatIsGoneAfterAnOrderlyEndIsToldOf(gone: [String]) async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let outbox = try Outbox(configuration, time: clock)
    try await store(1...7, in: outbox)
    await outbox.close()
    for suffix in gone { try? FileManager.default.removeItem(atPath: configuration.path + suffix) }
    let waiting: Int? = gone.contains(".commits") ? nil : 7
    let gaps = try await expectTold(configuration, .gone(waiting: waiting), numbersFrom: 1)
    #expect(gaps.map(\.reason) == [.lost])
    #expect(gaps.map(\.count) == [waiting ?? 0])
    if waiting != nil { #expect(gaps.map(\.outboxID) == [outbox.outboxID], "it speaks of the one that is gone") }
  }

  /// Copies of after 5 captures in the place of those of after 9; the program was killed.
  @Test func anOlderLogIsToldOf() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let outbox = try Outbox(configuration, time: clock)
    try await store(1...5, in: outbox)
    try copy(["-wal"], configuration.path, to: scratch.file("copy"))
    try await store(6...9, in: outbox)
    var killed = configuration
    killed.path = scratch.file("killed.sqlite")
    try copy(["", "-wal", ".numbers", ".commits"], configuration.path, to: killed.path)
    await outbox.close()
    try copy(["-wal"], scratch.file("copy"), to: killed.path)
    let gaps = try await expectTold(killed, .takenBack(commits: 4, captures: 4), numbersFrom: 10)
    #expect(gaps.first?.reason == .lost)
    #expect(gaps.first?.sequence == 6)
    #expect(gaps.first?.throughSequence == 9)
  }

  /// Everything but the counter is from an earlier end; nothing was stored since, but something was delivered.
  @Test func olderFilesAreToldOfEvenWhenNoCaptureIsMissing() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let first = try Outbox(configuration, time: clock)
    try await store(1...5, in: first)
    await first.close()
    try copy(["", "-wal", ".numbers"], configuration.path, to: scratch.file("copy"))
    let second = try Outbox(configuration, time: clock)
    var settlement = Settlement()
    settlement.delivered = [1, 2]
    try await second.settle(settlement)
    await second.close()
    try copy(["", "-wal", ".numbers"], scratch.file("copy"), to: configuration.path)
    let gaps = try await expectTold(configuration, .takenBack(commits: 4, captures: 0), numbersFrom: 6)
    #expect(gaps.map(\.count) == [0])
  }

  /// As many commits, but other ones: a copy that lived on elsewhere.
  @Test func anotherHistoryIsToldOf() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let first = try Outbox(configuration, time: clock)
    try await store(1...5, in: first)
    await first.close()
    var other = configuration
    other.path = scratch.file("other.sqlite")
    try copy(["", "-wal", ".numbers", ".commits"], configuration.path, to: other.path)
    for (configuration, numbers) in [(configuration, 6...8), (other, 106...108)] {
      let outbox = try Outbox(configuration, time: clock)
      try await store(numbers, in: outbox)
      await outbox.close()
    }
    try copy(["", "-wal", ".numbers"], other.path, to: configuration.path)
    _ = try await expectTold(configuration, .anotherHistory, numbersFrom: 9 + OutboxRecovery.skippedNumbers)
  }

  @Test(arguments: ["gone", "damaged"]) func aCounterThatIsGoneIsToldOf(how: String) async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let outbox = try Outbox(configuration, time: clock)
    try await store(1...5, in: outbox)
    await outbox.close()
    if how == "gone" {
      try FileManager.default.removeItem(atPath: configuration.path + ".commits")
    } else {
      try Data(noise(1024, seed: 9)).write(to: URL(fileURLWithPath: configuration.path + ".commits"))
    }
    let gaps = try await expectTold(configuration, .counterGone, numbersFrom: 6 + OutboxRecovery.skippedNumbers)
    #expect(gaps.map(\.reason) == [.unused])
  }

  /// A bit of the counter is as good as no slot; the other slot is one commit behind, which a kill may leave too.
  @Test func aTornCounterIsNoAlarm() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let outbox = try Outbox(configuration, time: clock)
    try await store(1...5, in: outbox)
    await outbox.close()
    let url = URL(fileURLWithPath: configuration.path + ".commits")
    let whole = try Data(contentsOf: url)
    for offset in stride(from: 0, to: whole.count, by: 3) {
      var torn = whole
      torn[offset] ^= 0x40
      try torn.write(to: url)
      var copied = configuration
      copied.path = scratch.file("copy-\(offset).sqlite")
      try copy(["", "-wal", ".numbers", ".commits"], configuration.path, to: copied.path)
      let again = try Outbox(copied, time: clock)
      #expect(again.recoveryAtStart == nil, "byte \(offset)")
      await again.close()
    }
  }

  /// A first start that fails behind the outbox (a missing roster, a misspelt model), whether it could still end it in
  /// order or not, in this boot or before.
  @Test(arguments: [false, true], [false, true])
  func aFailedFirstStartLeavesNoClaim(endsInOrder: Bool, reboots: Bool) async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    for _ in 0..<4 {
      let outbox = try Outbox(configuration, time: clock)
      #expect(outbox.recoveryAtStart == nil)
      if endsInOrder { await outbox.close() }
      if reboots { clock.reboot("boot-\(UUID().uuidString)") }
    }
    let outbox = try Outbox(configuration, time: clock)
    #expect(outbox.recoveryAtStart == nil)
    let told = try await told(outbox)
    #expect(told.alerts == 0)
    #expect(told.gaps.allSatisfy { $0.reason == .unused }, "\(told.gaps)")
    if endsInOrder || !reboots {
      #expect(told.gaps.isEmpty)
      #expect(try await outbox.enqueue(makeCapture(1, at: clock.now())).number.sequence == 1)
    }
    await outbox.close()
  }

  /// The counter proves that no commit is missing, so nothing reserved was used; a reserve that is further on proves more.
  @Test func anInterruptedRunOfTheSameBootLeavesNoNumberOut() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let outbox = try Outbox(configuration, time: clock)
    try await store(1...5, in: outbox)
    var killed = configuration
    killed.path = scratch.file("killed.sqlite")
    try copy(["", "-wal", ".numbers", ".commits"], configuration.path, to: killed.path)
    // The reserve of later, beside database and counter of before: the reserve wins.
    try await store(6...200, in: outbox)
    var mixed = configuration
    mixed.path = scratch.file("mixed.sqlite")
    try copy(["", "-wal", ".numbers", ".commits"], killed.path, to: mixed.path)
    try copy([".numbers"], configuration.path, to: mixed.path)
    await outbox.close()
    let again = try Outbox(killed, time: clock)
    #expect(try await again.enqueue(makeCapture(300, at: clock.now())).number.sequence == 6)
    await again.close()
    let other = try Outbox(mixed, time: clock)
    #expect(try await other.enqueue(makeCapture(300, at: clock.now())).number.sequence > 200)
    await other.close()
  }
}
