import Forwarding
import Foundation
import Logging
import Provenance
import Remote
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Device

/// The disk is full when the reply is to be written down: the command is done once all the same, and its reply says so.
@Suite(.enabled(if: geteuid() == 0, "needs the right to mount a tmpfs"))
struct CommandFullDiskTests {
  /// 16 MB of its own.
  private final class Disk {
    let path = NSTemporaryDirectory() + "thermograph-command-disk-" + UUID().uuidString
    let isMounted: Bool

    init() throws {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      isMounted = Self.run("mount", ["-t", "tmpfs", "-o", "size=16m", "command-test", path])
    }

    deinit {
      if isMounted { Self.run("umount", [path]) }
      try? FileManager.default.removeItem(atPath: path)
    }

    static func fill(_ path: String) {
      var status = statvfs()
      guard statvfs(path, &status) == 0 else { return }
      try? Data(count: Int(status.f_bavail) * Int(status.f_bsize)).write(to: URL(fileURLWithPath: path + "/other"))
    }

    func giveBack() throws { try FileManager.default.removeItem(atPath: path + "/other") }

    @discardableResult static func run(_ command: String, _ arguments: [String]) -> Bool {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [command] + arguments
      do { try process.run() } catch { return false }
      process.waitUntilExit()
      return process.terminationStatus == 0
    }
  }

  private final class Count: Sendable {
    private let count = Mutex(0)
    func up() { count.withLock { $0 += 1 } }
    var value: Int { count.withLock { $0 } }
  }

  @Test(arguments: ["resend", "restart"]) func whatIsDoneIsAnsweredWhenTheDiskAllows(_ name: String) async throws {
    let disk = try Disk()
    try #require(disk.isMounted)
    let sender = try CommandSender()
    let clock = ManualClock(
      Timestamp(
        utcNanoseconds: (ClockFloor.releaseSeconds + 3600) * 1_000_000_000, bootID: "b",
        monotonicNanoseconds: 1_000_000_000_000, synchronised: true))
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    var generator = SystemRandomNumberGenerator()
    let scratch = try ScratchFolder(inMemory: true)
    let key = try KeyFile.create(path: scratch.file("key"), digests: OpenSSLDigests(), using: &generator)
    let outbox = try Outbox(
      OutboxConfiguration(
        path: disk.path + "/outbox.sqlite", keys: KeyRing(current: key),
        quota: OutboxQuota(totalBytes: 1 << 30, freeSpaceFloorBytes: 0, ballastBytes: 0)), time: clock)
    let done = Count()
    let fill = { @Sendable [path = disk.path] in Disk.fill(path) }
    let service = CommandService(
      intake: DownlinkIntake("commands", keys: sender.keys, logger: logger), outbox: outbox,
      topics: TopicSchema(site: try TopicIdentifier(sender.site), device: try TopicIdentifier(sender.device)),
      effects: CommandEffects(
        announce: { _ in }, diagnose: { _ in [] },
        resend: { ids in
          done.up()
          fill()
          return ids.count
        }, holdImages: { _ in }, logLevel: TimedLogLevel(LogLevel(.info), configured: { .info }),
        captureRequest: { _ in .waiting(seconds: 1) }, identify: { .waiting(seconds: $0) },
        isIdle: {
          done.up()
          fill()
          return true
        }),
      time: clock, clockFloor: ClockFloor(path: scratch.file("trusted"), logger: logger),
      generator: SystemRandomNumberGenerator(), logger: logger, sleep: { _ in throw CancellationError() })
    await service.begin()
    let id = RandomIdentifier(using: &generator)
    let now = clock.now().utcNanoseconds / 1_000_000_000
    func text(_ seconds: Int64) -> String {
      let stamp = Timestamp(
        utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: true)
      return String(stamp.rfc3339.prefix(19)) + "Z"
    }
    let message = IncomingMessage(
      topic: "tg/v1/s1/d1/dn/command",
      payload: try sender.envelope(
        sender.statement(
          name, name == "resend" ? #"{"capture_ids":["\#(id)"]}"# : "{}", id: id, issued: text(now),
          expires: text(now + 3600))), retain: false)
    func replies() async throws -> [CommandReply] {
      var replies: [CommandReply] = []
      for item in try await outbox.pending(.event, after: 0, limit: 256) where item.topicSuffix == "reply" {
        replies.append(try JSONDecoder().decode(CommandReply.self, from: Data(try await outbox.payload(of: item.id))))
      }
      return replies
    }
    // A device that cannot say that it ends does not end.
    #expect(await service.handle(message) == false)
    #expect(try await replies().isEmpty)
    for _ in 0..<3 { #expect(await service.handle(message) == false) }
    #expect(done.value == 1)
    #expect(await service.writeUnwritten() == false)
    try disk.giveBack()
    #expect(await service.writeUnwritten())
    let expected: CommandReply.State = name == "resend" ? .done : .failed
    #expect(try await replies().map(\.state) == [expected])
    _ = await service.handle(message)
    #expect(try await replies().map(\.state) == [expected, expected])
    #expect(done.value == 1)
    #expect(try await outbox.interruptedCommands().isEmpty)
    await outbox.close()
  }
}
