import Audit
import CaptureDatabase
import Forwarding
import Foundation
import Provenance
import Receiving
import TestSupport
import Testing

/// The worker holds the heads that records carry against each other, whichever worker took them.
@Suite(.enabled(if: hasPostgres, "needs postgresql-15"), .serialized)
struct AuditHeadTests {
  private static func member(_ size: Int, _ salt: UInt8 = 0) -> String {
    let digest = (0..<32).map { UInt8(truncatingIfNeeded: size) &+ $0 &+ salt }
    return #""audit":{"size":\#(size),"head":"\#(Hexadecimal.text(of: digest))"},"#
  }

  private func alarms(_ bench: DatabaseBench) throws -> [[String]] {
    try bench.database.query("SELECT code FROM audit_alarm ORDER BY code").map { $0.map { $0 } }
  }

  /// Two workers, every message twice, in any order: no alarm, and every receipt cosigns a head of this device.
  @Test func honestDevicesRaiseNothingWithTwoWorkers() throws {
    let bench = try DatabaseBench()
    let workers = try [bench.receiver(), bench.receiver()]
    var generator = SeededGenerator(seed: 11)
    let captures = try (1...60).map { number in
      try bench.capture(
        Int64((number + 2) / 3), images: ["master.png": 90], fields: Self.member(2 + number / 5),
        device: "unit-\(number % 3)")
    }
    let messages = (captures + captures).flatMap(\.messages).shuffled(using: &generator)
    var reactions: [Receiver.Reaction] = []
    for start in stride(from: 0, to: messages.count, by: 17) {
      reactions += try workers[start / 17 % 2].take(Array(messages[start..<min(start + 17, messages.count)]))
    }
    #expect(reactions.completed == 60 && reactions.notes == [])
    #expect(try alarms(bench).isEmpty)
    let cosigned = reactions.flatMap(\.receipts).map(\.receipt.cosignature)
    #expect(!cosigned.isEmpty && cosigned.allSatisfy { $0 != nil })
    #expect(try bench.database.number("SELECT count(*) FROM audit_head") == 60)
  }

  /// Two workers at once, each with one of two devices made of one card.
  @Test func aCopiedCardIsSeenWhicheverWorkerTakesIt() throws {
    let bench = try DatabaseBench()
    let workers = try [bench.receiver(), bench.receiver()]
    #expect(try workers[0].take(bench.capture(1, fields: Self.member(5)).messages).notes == [])
    _ = try workers[0].take(bench.capture(2, fields: Self.member(8)).messages)
    let copy = try bench.capture(2, fields: Self.member(7, 1))
    let reactions = try workers[1].take(copy.messages)
    #expect(reactions.notes.contains { $0.contains("audit-cloned") }, "\(reactions.notes)")
    #expect(try alarms(bench) == [["audit-cloned"]])
    #expect(
      try bench.database.query("SELECT code, severity FROM message WHERE kind = 'alert'")
        == [["audit-cloned", "critical"]])
    // Told once, and nothing is cosigned any more.
    #expect(try workers[0].take(copy.messages).notes.allSatisfy { !$0.contains("audit-") })
    let next = try workers[0].take(bench.capture(3, fields: Self.member(9)).messages)
    #expect(next.flatMap(\.receipts).allSatisfy { $0.receipt.cosignature == nil })
    #expect(next.completed == 1)
  }

  @Test func aForkAndAShorterLogAreSeenInAnyOrder() throws {
    for (size, salt, code) in [(7, UInt8(0), "audit-shrunk"), (8, 1, "audit-fork")] {
      for isReversed in [false, true] {
        let bench = try DatabaseBench()
        let receiver = try bench.receiver()
        let captures = try [
          bench.capture(1, fields: Self.member(8)), bench.capture(2, fields: Self.member(size, salt)),
        ]
        for capture in isReversed ? captures.reversed() : captures { _ = try receiver.take(capture.messages) }
        #expect(try alarms(bench) == [[code]], "\(code) \(isReversed)")
        #expect(try bench.database.number("SELECT count(complete_at) FROM capture") == 2)
      }
    }
  }

  /// A new enrolment has a new outbox, and its log begins at nothing.
  @Test func aNewEnrolmentIsNoFork() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    var generator = SeededGenerator(seed: 4)
    _ = try receiver.take(bench.capture(9, fields: Self.member(90)).messages)
    let anew = try bench.capture(1, fields: Self.member(2, 1), outboxID: RandomIdentifier(using: &generator))
    let reactions = try receiver.take(anew.messages)
    #expect(reactions.notes == [] && reactions.completed == 1)
    #expect(try alarms(bench).isEmpty)
  }
}
