import Audit
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

/// The folder receiver holds the heads that records carry against each other.
@Suite struct AuditWatchTests {
  private static func member(_ size: Int, _ salt: UInt8 = 0) -> String {
    let digest = (0..<32).map { UInt8(truncatingIfNeeded: size) &+ $0 &+ salt }
    return #""audit":{"size":\#(size),"head":"\#(Hexadecimal.text(of: digest))"},"#
  }

  private func take(_ capture: TestCapture, _ receiver: Receiver) throws -> [Receiver.Reaction] {
    try ([capture.recordMessage()] + capture.images.keys.sorted().map { capture.imageMessage($0) }).map {
      try receiver.take($0)
    }
  }

  private func alerts(_ bench: ReceiverBench) throws -> [String] {
    let folder = bench.root.path + "/clinic/unit-1/messages"
    guard FileManager.default.fileExists(atPath: folder) else { return [] }
    return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("alert-audit-") }.sorted()
  }

  /// Reordered, sent again, and with receivers that begin anew: receipts cosign the greatest head, and nothing is said.
  @Test func receiptsCosignTheGreatestHeadOfAnHonestDevice() throws {
    let bench = try ReceiverBench()
    let captures = (1...12).map { bench.capture(Int64($0), images: ["master.png": 90], more: Self.member(3 + $0 / 2)) }
    var greatest = 0
    for index in [3, 0, 7, 1, 2, 11, 4, 4, 3, 9, 8, 10, 5, 6] {
      let reactions = try take(captures[index], index % 2 == 0 ? bench.receiver : try bench.anotherReceiver())
      greatest = max(greatest, 3 + (index + 1) / 2)
      #expect(reactions.flatMap(\.notes) == [])
      let receipt = try #require(reactions.flatMap(\.receipts).last).receipt
      #expect(receipt.cosignature?.size == UInt64(greatest))
    }
    #expect(try alerts(bench) == [])
  }

  @Test func aCopiedCardIsToldOnceAndNotCosigned() throws {
    let bench = try ReceiverBench()
    _ = try take(bench.capture(1, images: ["master.png": 90], more: Self.member(5)), bench.receiver)
    _ = try take(bench.capture(2, images: ["master.png": 90], more: Self.member(8)), bench.receiver)
    // The other card's second capture: the number is taken, and the log is another one.
    let copy = bench.capture(2, images: ["master.png": 90], more: Self.member(7, 1))
    let reactions = try take(copy, bench.receiver)
    #expect(reactions.flatMap(\.notes).contains { $0.contains("audit-cloned") })
    #expect(try alerts(bench) == ["alert-audit-cloned-\(bench.outboxID).json"])
    #expect(try take(copy, bench.receiver).flatMap(\.notes).allSatisfy { !$0.contains("audit-") })
    let next = try take(bench.capture(3, images: ["master.png": 90], more: Self.member(9)), bench.receiver)
    #expect(try #require(next.flatMap(\.receipts).last).receipt.cosignature == nil)
  }

  @Test func aShorterAndAForkedLogAreTold() throws {
    for (size, salt, code) in [(7, UInt8(0), "audit-shrunk"), (8, 1, "audit-fork")] {
      let bench = try ReceiverBench()
      _ = try take(bench.capture(1, images: ["master.png": 90], more: Self.member(8)), bench.receiver)
      let reactions = try take(
        bench.capture(2, images: ["master.png": 90], more: Self.member(size, salt)), bench.receiver)
      #expect(reactions.flatMap(\.notes).contains { $0.contains(code) })
      // The capture itself is taken: a picture is not lost for a log.
      #expect(reactions.contains { $0.completed != nil })
    }
  }

  /// A word on the log that is none is no fault of the record.
  @Test func aMemberOfAnotherFormIsPassedOver() throws {
    let bench = try ReceiverBench()
    for (number, member) in [#""audit":7,"#, #""audit":{"size":-1,"head":"x"},"#, #""audit":null,"#, ""].enumerated() {
      let reactions = try take(
        bench.capture(Int64(number + 1), images: ["master.png": 90], more: member), bench.receiver)
      #expect(reactions.contains { $0.completed != nil } && reactions.flatMap(\.notes) == [])
    }
  }
}
