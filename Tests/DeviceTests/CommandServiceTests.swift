import Forwarding
import Foundation
import Logging
import Provenance
import Remote
import Storage
import Synchronization
import TestSupport
import Testing
import Trust

@testable import Device

/// Commands from the message to the effect and the reply, over a real outbox and with every kind of interruption.
@Suite struct CommandServiceTests {
  private let scratch: ScratchFolder
  private let sender: CommandSender
  private let clock = ManualClock(
    Timestamp(
      utcNanoseconds: (ClockFloor.releaseSeconds + 3600) * 1_000_000_000, bootID: "b",
      monotonicNanoseconds: 1_000_000_000_000, synchronised: true))
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  private let key: SealingKey

  init() throws {
    scratch = try ScratchFolder(inMemory: true)
    sender = try CommandSender()
    var generator = SystemRandomNumberGenerator()
    key = try KeyFile.create(path: scratch.file("key"), digests: OpenSSLDigests(), using: &generator)
  }

  /// What was done, by the capture that a `resend` named.
  private final class Done: Sendable {
    let counts = Mutex<[RandomIdentifier: Int]>([:])
    let challenges = Mutex<[String]>([])

    var effects: CommandEffects {
      CommandEffects(
        announce: { challenge in if let challenge { self.challenges.withLock { $0.append(challenge) } } },
        diagnose: { $0.map { .pass($0, "fine") } },
        resend: { ids in
          self.counts.withLock { for id in ids { $0[id, default: 0] += 1 } }
          return ids.count
        },
        holdImages: { _ in }, logLevel: TimedLogLevel(LogLevel(.info), configured: { .info }),
        captureRequest: { _ in .waiting(seconds: 60) }, identify: { .waiting(seconds: $0) }, isIdle: { true })
    }

    var challenge: String { challenges.withLock { $0.last ?? "" } }
  }

  private func openOutbox() throws -> Outbox {
    try Outbox(
      OutboxConfiguration(path: scratch.file("outbox.sqlite"), keys: KeyRing(current: key)), time: clock)
  }

  private var clockFloor: ClockFloor { ClockFloor(path: scratch.file("trusted-time"), logger: logger) }

  private func service(_ outbox: Outbox, _ done: Done, _ floor: ClockFloor? = nil) throws -> CommandService {
    CommandService(
      intake: DownlinkIntake("commands", keys: sender.keys, logger: logger), outbox: outbox,
      topics: TopicSchema(site: try TopicIdentifier(sender.site), device: try TopicIdentifier(sender.device)),
      effects: done.effects, time: clock,
      clockFloor: floor ?? clockFloor,
      generator: SystemRandomNumberGenerator(), logger: logger)
  }

  private func time(_ seconds: Int64) -> String {
    let stamp = Timestamp(
      utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: true)
    return String(stamp.rfc3339.prefix(19)) + "Z"
  }

  private var nowSeconds: Int64 { clock.now().utcNanoseconds / 1_000_000_000 }

  private func message(_ statement: String) throws -> IncomingMessage {
    IncomingMessage(topic: "tg/v1/s1/d1/dn/command", payload: try sender.envelope(statement), retain: false)
  }

  private func resend(_ id: RandomIdentifier, challenge: String? = nil) throws -> IncomingMessage {
    try message(
      sender.statement(
        "resend", #"{"capture_ids":["\#(id)"]}"#, id: id, issued: time(nowSeconds), expires: time(nowSeconds + 86_400),
        challenge: challenge))
  }

  private func replies(_ outbox: Outbox) async throws -> [CommandReply] {
    var replies: [CommandReply] = []
    var after: Int64 = 0
    while true {
      let items = try await outbox.pending(.event, after: after, limit: 256)
      guard let last = items.last else { return replies }
      after = last.id
      for item in items where item.topicSuffix == "reply" {
        replies.append(
          try JSONDecoder().decode(CommandReply.self, from: Data(try await outbox.payload(of: item.id))))
      }
    }
  }

  /// How many; `THERMOGRAPH_COMMANDS=10000` for the long form.
  private static let commands = ProcessInfo.processInfo.environment["THERMOGRAPH_COMMANDS"].flatMap { Int($0) } ?? 600

  /// Tripled, in any order, with restarts between, kills in the middle of an effect, and a clock that goes on.
  @Test func nothingIsDoneTwiceAndEveryReplyComes() async throws {
    var generator = SeededGenerator(seed: 4)
    var outbox = try openOutbox()
    let done = Done()
    // As one that runs all the time: the trusted time follows.
    let floor = clockFloor
    var service = try service(outbox, done, floor)
    await service.begin()
    var sent: Set<RandomIdentifier> = []
    var interrupted: Set<RandomIdentifier> = []
    while sent.count < Self.commands {
      var batch: [(RandomIdentifier, IncomingMessage)] = []
      for _ in 0..<20 {
        let id = RandomIdentifier(using: &generator)
        sent.insert(id)
        let message = try resend(id)
        batch += [(id, message), (id, message), (id, message)]
      }
      for (id, message) in batch.shuffled(using: &generator) {
        clock.advance(seconds: 121)
        try floor.note(clock.now())
        let chance = generator.uniform()
        if chance < 0.1 {
          await outbox.close()
          outbox = try openOutbox()
          service = try self.service(outbox, done, floor)
          await service.begin()
        } else if chance < 0.2, try await outbox.command(id).known == nil {
          // Killed after the row and before the reply; the effect may have happened.
          let digest = OpenSSLDigests().sha256(try statement(in: message))
          try await outbox.begin(
            LedgerEntry(id: id, digest: digest, name: "resend", expiresSeconds: nowSeconds + 86_400))
          if generator.uniform() < 0.5 { done.counts.withLock { $0[id, default: 0] += 1 } }
          interrupted.insert(id)
          await outbox.close()
          outbox = try openOutbox()
          service = try self.service(outbox, done, floor)
          await service.begin()
        } else {
          #expect(await service.handle(message) == false)
        }
      }
      // Whatever did not get through is offered again.
      for (_, message) in batch {
        clock.advance(seconds: 121)
        try floor.note(clock.now())
        _ = await service.handle(message)
      }
    }
    let counts = done.counts.withLock { $0 }
    #expect(counts.values.allSatisfy { $0 == 1 })
    #expect(sent.subtracting(interrupted).allSatisfy { counts[$0] == 1 })
    var states: [RandomIdentifier: Set<CommandReply.State>] = [:]
    for reply in try await replies(outbox) where reply.state != .busy {
      states[reply.id, default: []].insert(reply.state)
    }
    #expect(sent.allSatisfy { states[$0] == (interrupted.contains($0) ? [.unknown] : [.done]) })
    #expect(!interrupted.isEmpty)
    await outbox.close()
  }

  private func statement(in message: IncomingMessage) throws -> [UInt8] {
    let object = try #require(try JSONSerialization.jsonObject(with: Data(message.payload)) as? [String: Any])
    return [UInt8](try #require(Data(base64Encoded: object["payload"] as? String ?? "")))
  }

  /// A bit of a row turned: the command is not begun again, and the next start lets in nothing that is older.
  @Test(arguments: [0, 1, 2]) func aDamagedLedgerLetsNothingInAgain(_ kind: Int) async throws {
    var outbox = try openOutbox()
    let done = Done()
    var service = try service(outbox, done)
    await service.begin()
    var generator = SeededGenerator(seed: 9)
    let id = RandomIdentifier(using: &generator)
    let message = try resend(id)
    _ = await service.handle(message)
    #expect(done.counts.withLock { $0 } == [id: 1])
    await outbox.close()
    let sql = [
      "UPDATE command SET sealed = \(damaged("sealed", at: "21")) WHERE id <> zeroblob(16)",
      "UPDATE command SET key_id = key_id + 1", "DELETE FROM command",
    ][kind]
    try run(sql)
    clock.advance(seconds: 600)
    outbox = try openOutbox()
    service = try self.service(outbox, done)
    await service.begin()
    _ = await service.handle(message)
    #expect(done.counts.withLock { $0 } == [id: 1])
    #expect(try await replies(outbox).last?.state == .refused)
    // And what is new is done.
    let other = RandomIdentifier(using: &generator)
    _ = await service.handle(try resend(other))
    #expect(done.counts.withLock { $0[other] } == 1)
    await outbox.close()
  }

  private func run(_ sql: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    process.arguments = [
      "-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()",
      scratch.file("outbox.sqlite"), sql,
    ]
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
  }

  /// With a clock that nothing proves only the challenge of this very start opens the door, also to what was caught.
  @Test func withoutAProvenClockTheChallengeDecides() async throws {
    clock.change { $0.synchronised = false }
    let outbox = try openOutbox()
    let done = Done()
    var service = try service(outbox, done)
    await service.begin()
    var generator = SeededGenerator(seed: 10)
    let ids = (0..<3).map { _ in RandomIdentifier(using: &generator) }
    _ = await service.handle(try resend(ids[0]))
    let caught = try resend(ids[1], challenge: done.challenge)
    let kept = try resend(ids[2], challenge: done.challenge)
    _ = await service.handle(caught)
    #expect(done.counts.withLock { $0 } == [ids[1]: 1])
    service = try self.service(outbox, done)
    await service.begin()
    for message in [caught, kept] { _ = await service.handle(message) }
    #expect(done.counts.withLock { $0 } == [ids[1]: 1])
    let states = try await replies(outbox).map(\.state)
    #expect(states == [.refused, .done, .done, .refused])
    await outbox.close()
  }

  @Test func aRestartIsAnsweredBeforeItHappensAndOnlyOnce() async throws {
    let outbox = try openOutbox()
    let done = Done()
    let service = try service(outbox, done)
    await service.begin()
    var generator = SeededGenerator(seed: 11)
    let restart = try message(
      sender.statement(
        "restart", id: RandomIdentifier(using: &generator), issued: time(nowSeconds), expires: time(nowSeconds + 60)))
    #expect(await service.handle(restart))
    #expect(try await replies(outbox).map(\.state) == [.done])
    #expect(await service.handle(restart) == false)
    await outbox.close()
  }

  @Test func whatIsOverIsForgottenAndStaysRefused() async throws {
    let outbox = try openOutbox()
    let done = Done()
    let service = try service(outbox, done)
    await service.begin()
    var generator = SeededGenerator(seed: 12)
    let old = RandomIdentifier(using: &generator)
    let message = try resend(old)
    _ = await service.handle(message)
    let after = nowSeconds + 86_400
    try ClockFloor.trust(after, path: scratch.file("trusted-time"))
    clock.advance(seconds: 86_401)
    let next = try self.service(outbox, done)
    await next.begin()
    _ = await next.handle(try resend(RandomIdentifier(using: &generator)))
    #expect(try await outbox.command(old).known == nil)
    _ = await next.handle(message)
    #expect(done.counts.withLock { $0[old] } == 1)
    await outbox.close()
  }
}
