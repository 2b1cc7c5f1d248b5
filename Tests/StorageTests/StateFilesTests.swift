import Forwarding
import Foundation
import TestSupport
import Testing

@testable import Storage

/// The list of what the device makes in its state directory.
@Suite struct StateFilesTests {
  @Test func holdsWhatAnOutboxLeavesWhateverBecameOfIt() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let clock = ManualClock()
    let configuration = OutboxConfiguration(
      path: scratch.file(StateFiles.outbox), keys: KeyRing(current: try makeKey(3)),
      quota: OutboxQuota(freeSpaceFloorBytes: 0, ballastBytes: 1 << 20))
    var seen: Set<String> = []
    func look() throws { seen.formUnion(try FileManager.default.contentsOfDirectory(atPath: scratch.path)) }
    let first = try Outbox(configuration, time: clock)
    _ = try await first.enqueue(makeCapture(1, at: clock.now()))
    try look()
    await first.close()
    // Damaged, and interrupted in the middle of the repair.
    try Data(noise(40_000, seed: 1)).write(to: URL(fileURLWithPath: configuration.path))
    for suffix in [".partial", ".partial-wal", ".partial-shm"] {
      try Data(noise(500, seed: 2)).write(to: URL(fileURLWithPath: configuration.path + suffix))
    }
    try look()
    let second = try Outbox(configuration, time: clock)
    #expect(second.recoveryAtStart?.damagedPath != nil)
    _ = try await second.enqueue(makeCapture(2, at: clock.now()))
    try look()
    await second.close()
    try look()
    let listed = Set(try StateFiles.all(in: scratch.path))
    for name in seen { #expect(listed.contains(scratch.path + "/" + name), "\(name) is not on the list") }
    #expect(seen.count >= 8, "\(seen.sorted())")
  }
}
