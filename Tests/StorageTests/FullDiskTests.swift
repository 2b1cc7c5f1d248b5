import Forwarding
import Foundation
import Provenance
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
  private let clock = HandClock()

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
    #expect(try FileSystem.freeBytes(at: configuration.path) > 4 << 20)
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
    for _ in 0..<500 {
      if (try? disk.remount("ro")) != nil { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(throws: OutboxError.self) { try Outbox(configuration, time: clock) }
    try disk.remount("rw")
    let outbox = try Outbox(configuration, time: clock)
    #expect(try await outbox.enqueue(makeCapture(2, at: clock.now())).number.sequence == 2)
    await outbox.close()
  }
}
