import Forwarding
import Foundation
import LocalFiles
import Provenance
import TestSupport
import Testing

@testable import Storage

/// A file system of a few megabytes of its own; needs the right to mount.
private final class SmallFileSystem {
  let path: String

  init(megabytes: Int) throws {
    path = NSTemporaryDirectory() + "outbox-disk-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try Self.run("mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m", "outbox-test", path])
  }

  deinit {
    try? Self.run("umount", [path])
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Takes what is free but for so many pages of 4 KiB, until `giveBack`.
  func take(allBut pages: Int) throws {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw CocoaError(.fileReadUnknown) }
    let bytes = (Int(status.f_bavail) - pages) * Int(status.f_bsize)
    try Data(count: max(0, bytes)).write(to: URL(fileURLWithPath: path + "/other"))
  }

  func giveBack() throws { try FileManager.default.removeItem(atPath: path + "/other") }

  func remount(_ option: String) throws { try Self.run("mount", ["-o", "remount,\(option)", path]) }

  static func run(_ command: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [command] + arguments
    try process.run()
    process.waitUntilExit()
    if process.terminationStatus != 0 { throw CocoaError(.fileWriteUnknown) }
  }

  static let isPossible: Bool = {
    guard geteuid() == 0 else { return false }
    return (try? SmallFileSystem(megabytes: 1)) != nil
  }()
}

@Suite(.enabled(if: SmallFileSystem.isPossible, "needs the right to mount a tmpfs"))
struct FullDiskTests {
  private let clock = ManualClock()

  /// The accounting is told that there is more room than there is, so that the file system says no by itself.
  private func configuration(_ disk: SmallFileSystem, ballastBytes: Int) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: disk.path + "/outbox.sqlite", keys: KeyRing(current: try makeKey(42)),
      quota: OutboxQuota(totalBytes: 1 << 30, freeSpaceFloorBytes: 0, ballastBytes: ballastBytes))
  }

  @Test(arguments: [0, 6 << 20])
  func aFullFileSystemLosesNothingAndRecoversByDelivery(ballastBytes: Int) async throws {
    let disk = try SmallFileSystem(megabytes: 20)
    let outbox = try Outbox(configuration(disk, ballastBytes: ballastBytes), time: clock)
    // Somebody else fills most of it.
    try Data(count: 3 << 20).write(to: URL(fileURLWithPath: disk.path + "/other"))
    var stored: [StoredCapture] = []
    var failures = 0
    for index in 1...1000 where failures < 5 {
      do {
        stored.append(try await outbox.enqueue(makeCapture(UInt64(index), at: clock.now(), imageBytes: [20_000])))
      } catch {
        failures += 1
      }
    }
    #expect(failures == 5)
    #expect(stored.count > 20)
    #expect(stored.map(\.number.sequence) == Array(1...Int64(stored.count)))
    let images = try await outbox.pending(.image, after: 0, limit: 1000)
    #expect(images.count == stored.count)
    for item in images { _ = try await outbox.payload(of: item.id) }
    // Delivery alone must be able to make room: no step by hand.
    if ballastBytes > 0 {
      for start in stride(from: 0, to: images.count, by: 16) {
        var settlement = Settlement()
        settlement.delivered = images[start..<min(start + 16, images.count)].map(\.id)
        try await outbox.settle(settlement)
      }
      let next = try await outbox.enqueue(makeCapture(9000, at: clock.now(), imageBytes: [20_000]))
      #expect(next.number.sequence == Int64(stored.count) + 1)
    } else {
      try FileManager.default.removeItem(atPath: disk.path + "/other")
      let next = try await outbox.enqueue(makeCapture(9000, at: clock.now(), imageBytes: [20_000]))
      #expect(next.number.sequence == Int64(stored.count) + 1)
    }
    await outbox.close()
    let again = try Outbox(configuration(disk, ballastBytes: ballastBytes), time: clock)
    #expect(again.recoveryAtStart == nil)
    #expect(try await again.accounts()[.capture, .pending].rows == stored.count + 1)
    await again.close()
  }

  /// How many captures: `make test-faults` raises it. Each meets the end of the space at another write.
  private static let captures = Int(ProcessInfo.processInfo.environment["THERMOGRAPH_FAULT_CAPTURES"] ?? "") ?? 48

  @Test func noSpaceAtAnyWriteSavesOrRefusesAndIsOverWithIt() async throws {
    let disk = try SmallFileSystem(megabytes: 16)
    let configuration = try configuration(disk, ballastBytes: 0)
    var saved: [Int64] = []
    var refused = 0
    var index: UInt64 = 0
    var messages = 0
    func capture() -> NewCapture {
      index += 1
      return makeCapture(index, at: clock.now(), imageBytes: [6000, 60_000, 140_000])
    }
    for round in 0..<Self.captures {
      // Opened anew, so that the log begins at nothing: it would reuse its own room otherwise.
      let outbox = try Outbox(configuration, time: clock)
      #expect(outbox.recoveryAtStart == nil)
      // A capture of 206 KB needs some sixty pages.
      try disk.take(allBut: (round * 7) % 80)
      do {
        saved.append(try await outbox.enqueue(capture()).number.sequence)
      } catch OutboxError.noSpace {
        refused += 1
      }
      try disk.giveBack()
      saved.append(try await outbox.enqueue(capture()).number.sequence)
      var settlement = Settlement()
      for deliveryClass in [DeliveryClass.capture, .image] {
        for item in try await outbox.pending(deliveryClass, after: 0, limit: 1000) {
          #expect(try await outbox.payload(of: item.id).count == item.byteCount)
          settlement.delivered.append(item.id)
        }
      }
      messages += settlement.delivered.count
      try await outbox.settle(settlement)
      await outbox.close()
    }
    let outbox = try Outbox(configuration, time: clock)
    #expect(messages == 4 * saved.count, "what was saved was not all there")
    #expect(saved == Array(1...Int64(saved.count)), "a refused capture used a number")
    #expect(refused > Self.captures / 4 && refused < Self.captures)
    // Each refusal left its word, if only later.
    var told = 0
    for item in try await outbox.pending(.event, after: 0, limit: 10_000) {
      told += try JSONDecoder().decode(GapRecord.self, from: Data(await outbox.payload(of: item.id))).count
    }
    #expect(told == refused)
    await outbox.close()
    print(
      "FAULT MATRIX: ENOSPC at any write: \(Self.captures) times, \(refused) refused, \(messages) messages saved, "
        + "all there, no number skipped")
  }

  @Test func theFreeSpaceFloorRefusesBeforeTheFileSystemDoes() async throws {
    let disk = try SmallFileSystem(megabytes: 20)
    var configuration = try configuration(disk, ballastBytes: 0)
    configuration.quota.freeSpaceFloorBytes = 4 << 20
    let outbox = try Outbox(configuration, time: clock)
    var refusal: QuotaRefusal?
    for index in 1...1000 where refusal == nil {
      refusal = try await quotaRefusal(
        of: makeCapture(UInt64(index), at: clock.now(), imageBytes: [20_000]), by: outbox)
    }
    #expect(refusal?.limit == .freeSpace)
    #expect(try Folder.freeBytes(at: Folder.holding(configuration.path)) > 4 << 20)
    await outbox.close()
  }

  @Test func aReadOnlyFileSystemSavesNothingAndSaysSo() async throws {
    let disk = try SmallFileSystem(megabytes: 8)
    let configuration = try configuration(disk, ballastBytes: 0)
    do {
      let outbox = try Outbox(configuration, time: clock)
      _ = try await outbox.enqueue(makeCapture(1, at: clock.now()))
      await outbox.close()
    }
    // The connection is gone before the remount, which open files would forbid.
    let deadline = ContinuousClock.now + .seconds(60)
    while (try? disk.remount("ro")) == nil, ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(throws: OutboxError.self) { try Outbox(configuration, time: clock) }
    try disk.remount("rw")
    let outbox = try Outbox(configuration, time: clock)
    #expect(try await outbox.enqueue(makeCapture(2, at: clock.now())).number.sequence == 2)
    await outbox.close()
  }
}
