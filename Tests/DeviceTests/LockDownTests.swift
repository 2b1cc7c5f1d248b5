import Forwarding
import Foundation
import Provenance
import Remote
import Synchronization
import TestSupport
import Testing

@testable import Device

/// What a lock-down refuses, and what it never touches.
@Suite struct LockDownTests {
  private final class Doings: Sendable {
    let done = Mutex<[String]>([])
    func note(_ what: String) { done.withLock { $0.append(what) } }
  }

  private func effects(_ doings: Doings, refusal: String?) -> CommandEffects {
    CommandEffects(
      announce: { _ in doings.note("announce") }, diagnose: { $0.map { .pass($0, "fine") } },
      resend: { ids in
        doings.note("resend")
        return ids.count
      }, holdImages: { _ in doings.note("hold") },
      logLevel: TimedLogLevel(LogLevel(.info), configured: { .info }),
      captureRequest: { _ in
        doings.note("capture")
        return .waiting(seconds: 1)
      },
      identify: { .waiting(seconds: $0) }, isIdle: { true }, lockDownRefusal: { refusal },
      release: {
        doings.note("release")
        return .done()
      })
  }

  @Test func onlyWhatChangesNothingAndTheReleaseAreDone() async throws {
    var generator = SystemRandomNumberGenerator()
    let id = RandomIdentifier(using: &generator)
    let actions: [CommandAction] = [
      .status, .doctor(parts: []), .resend([id]), .holdImages(seconds: 5), .logLevel("debug", minutes: 1),
      .captureRequest(patient: "aaaaaaaaaaaaaaaaaaaaaaaaaa"), .identify(seconds: 1), .restart,
      .updateRollback(.screening), .sentinelRelease,
    ]
    let locked = Doings()
    for action in actions {
      let outcome = await effects(locked, refusal: "the device is locked down").perform(action, id: id)
      let isTaken = [.status, .doctor(parts: []), .sentinelRelease].contains(action)
      #expect((outcome.state == .done) == isTaken, "\(action): \(outcome)")
      if !isTaken { #expect(outcome.reason == "the device is locked down") }
    }
    #expect(locked.done.withLock { $0 } == ["announce", "release"])
    let free = Doings()
    for action in actions { _ = await effects(free, refusal: nil).perform(action, id: id) }
    #expect(free.done.withLock { $0 }.contains("resend") && free.done.withLock { $0 }.contains("hold"))
  }

  /// Ten commands at once are allowed, five while the device is locked down.
  @Test func commandsAreHalved() throws {
    let sender = try CommandSender()
    func accepted(isHalved: Bool) throws -> Int {
      var desk = CommandDesk(challenge: "c", ledgerBeganSeconds: 0)
      desk.isHalved = isHalved
      var generator = SystemRandomNumberGenerator()
      var count = 0
      for _ in 0..<30 {
        let id = RandomIdentifier(using: &generator)
        let envelope = try sender.envelope(sender.statement("status", id: id, challenge: "c"))
        var reader = sender.reader
        guard case .statement(let command, let digest) = reader.read(envelope, isRetained: false, now: 1) else {
          throw TestFault(description: "not read")
        }
        let seconds: Int64 = 1_772_359_800
        let decision = desk.decide(
          command, digest: digest, known: nil, entries: 0,
          clock: CommandClock(nowSeconds: seconds, isProven: true, floorSeconds: 0), at: ManualClock().now())
        if case .begin = decision { count += 1 }
      }
      return count
    }
    #expect(try accepted(isHalved: false) == 10)
    #expect(try accepted(isHalved: true) == 5)
  }

  /// Entering, leaving, and the end by a configuration that no longer allows it; a restart changes nothing.
  @Test func eachChangeStandsInTheAuditLog() throws {
    let scratch = try ScratchFolder(inMemory: true)
    let heard = Mutex<[String]>([])
    func lockDown(isAllowed: Bool = true) -> LockDown {
      LockDown(path: scratch.file("lock-down"), isAllowed: isAllowed, logger: .init(label: "test")) {
        isLockedDown, why in
        heard.withLock { $0.append("\(isLockedDown) \(why)") }
      }
    }
    lockDown().enter("bad signatures", at: ManualClock().now())
    #expect(try lockDown().release("a technician"))
    #expect(try !lockDown().release("again"))
    _ = lockDown(isAllowed: false)
    #expect(heard.withLock { $0 } == ["true bad signatures", "false a technician"])
    lockDown().enter("a flood", at: ManualClock().now())
    _ = lockDown(isAllowed: false)
    #expect(heard.withLock { $0.count } == 4)
    #expect(heard.withLock { $0.last } == "false the configuration no longer allows it")
  }

  @Test func whoeverFollowsHearsEachChange() throws {
    let scratch = try ScratchFolder(inMemory: true)
    let heard = Mutex<[Bool]>([])
    let lockDown = LockDown(path: scratch.file("lock-down"), isAllowed: true, logger: .init(label: "test"))
    lockDown.follow { isLockedDown in heard.withLock { $0.append(isLockedDown) } }
    lockDown.enter("why", at: ManualClock().now())
    lockDown.enter("again", at: ManualClock().now())
    #expect(try lockDown.release("who"))
    #expect(heard.withLock { $0 } == [false, true, false])
  }
}
