import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing
import Trust

/// T_total = T_edge + T_queue + T_cloud + T_response against delays that the test injects, under clocks that jump.
@Suite struct CaptureCourseTests {
  /// A device whose wall clock can be set and which can start again, and the time that really passes.
  private struct World {
    var realNanoseconds: Int64 = 1_800_000_000 * 1_000_000_000
    private var bootedNanoseconds: Int64 = 1_800_000_000 * 1_000_000_000 - 5_000_000_000
    private var boot = 1
    /// What the wall clock is wrong by.
    private var errorNanoseconds: Int64 = 0
    private(set) var isSynchronised = true

    mutating func pass(milliseconds: Int64) { realNanoseconds += milliseconds * 1_000_000 }

    /// The clock jumps and nobody vouches for it.
    mutating func jump(seconds: Int64) {
      errorNanoseconds = seconds * 1_000_000_000
      isSynchronised = false
    }

    mutating func synchronise() { (errorNanoseconds, isSynchronised) = (0, true) }

    mutating func reboot() {
      boot += 1
      bootedNanoseconds = realNanoseconds - 4_000_000_000
    }

    var now: Timestamp {
      Timestamp(
        utcNanoseconds: realNanoseconds + errorNanoseconds, bootID: "boot-\(boot)",
        monotonicNanoseconds: UInt64(realNanoseconds - bootedNanoseconds), synchronised: isSynchronised)
    }
  }

  private static func isNear(_ measured: Int64?, _ real: Int64) -> Bool {
    measured.map { abs($0 - real) <= 50 } ?? false
  }

  private static func check(_ times: CaptureTimes, _ label: String) {
    for term in CaptureTimes.Term.allCases {
      #expect(times[term].map { $0 >= 0 } ?? true, "\(term) is negative: \(times) \(label)")
    }
    guard let total = times.total, let edge = times.edge, let queue = times.queue, let cloud = times.cloud,
      let response = times.response
    else { return }
    let sum: Int64 = edge + queue + cloud + response
    #expect(total == sum, "the terms are not the whole: \(times) \(label)")
  }

  /// Ten thousand captures with random delays and random jumps between every two stations. Each term that is told is right
  /// to 50 ms; one that no clock proves is unknown.
  @Test func everyTermIsRightOrUnknown() {
    var generator = SeededGenerator(seed: 21)
    var (known, unknown) = (0, 0)
    for round in 0..<10_000 {
      var world = World()
      func happen() {
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: world.jump(seconds: Int64.random(in: -10_000_000...10_000_000, using: &generator))
        case 1: world.jump(seconds: Int64.random(in: -3...3, using: &generator))
        case 2: world.synchronise()
        case 3: world.reboot()
        default: break
        }
      }
      func delay(_ most: Int64) -> Int64 { Int64.random(in: 0...most, using: &generator) }
      let edge = delay(3000)
      let (up, cloudReceipt, back) = (delay(90_000_000), delay(4000), delay(4000))
      let (toWorklist, read, down) = (delay(60_000), delay(900_000_000), delay(4000))

      let ended = world.now
      // What was captured is in memory until it is stored: a start between the two would have lost it.
      if Bool.random(using: &generator) { world.jump(seconds: Int64.random(in: -99_999...99_999, using: &generator)) }
      world.pass(milliseconds: edge)
      var course = CaptureCourse(ended: ended, stored: world.now)
      let stored = world.now
      happen()
      world.pass(milliseconds: up + cloudReceipt + back)
      course.receipt(at: world.now, cloud: cloudReceipt)
      let receipted = world.now
      let first = course.timesToReceipt
      Self.check(first, "\(round)")
      let isProven =
        ended.bootID == receipted.bootID || (ended.synchronised && receipted.synchronised)
      #expect((first.total != nil) == isProven, "\(round)")
      #expect(Self.isNear(first.edge, edge), "\(round)")
      if isProven {
        known += 1
        let travelled: Int64 = up + back
        let whole: Int64 = edge + travelled + cloudReceipt
        #expect(Self.isNear(first.total, whole), "\(round)")
        #expect(Self.isNear(first.queue, travelled), "\(round)")
        #expect(Self.isNear(first.cloud, cloudReceipt) && first.response == 0, "\(round)")
      } else {
        unknown += 1
        #expect(first.queue == nil && first.response == nil, "\(round)")
      }
      happen()
      // The reader's worklist has it beside the receipt.
      world.pass(milliseconds: max(0, toWorklist - back) + read + down)
      let answered = world.now
      let second = course.timesToAnswer(at: answered, cloud: toWorklist)
      Self.check(second, "\(round)")
      let isTotalProven = ended.bootID == answered.bootID || (ended.synchronised && answered.synchronised)
      #expect((second.total != nil) == isTotalProven, "\(round)")
      let atReceipt: Int64 = edge + up + cloudReceipt + back
      let afterReceipt: Int64 = max(0, toWorklist - back) + read + down
      if isTotalProven { #expect(Self.isNear(second.total, atReceipt + afterReceipt), "\(round)") }
      let travelled: Int64 = up + back
      if isTotalProven, isProven { #expect(Self.isNear(second.queue, travelled), "\(round)") }
      #expect(stored.bootID == ended.bootID)
    }
    #expect(known > 1000 && unknown > 300, "both were walked through: \(known), \(unknown)")
  }

  @Test func theFarSidesClockIsNotBelievedBeyondWhatPassedHere() {
    var world = World()
    var course = CaptureCourse(ended: world.now, stored: world.now)
    world.pass(milliseconds: 1000)
    var late = course
    course.receipt(at: world.now, cloud: 1040)
    #expect(course.timesToReceipt == CaptureTimes(total: 1000, edge: 0, queue: 0, cloud: 1000, response: 0), "rounding")
    late.receipt(at: world.now, cloud: 1051)
    #expect(late.timesToReceipt == CaptureTimes(total: 1000, edge: 0), "a clock that ran away proves nothing")
    var silent = CaptureCourse(ended: world.now, stored: world.now)
    silent.receipt(at: world.now, cloud: nil)
    #expect(silent.timesToReceipt == CaptureTimes(total: 0, edge: 0))
    #expect(silent.timesToAnswer(at: world.now, cloud: 5).response == nil)
    // A clock of the far side that went back between two of its moments.
    var back = CaptureCourse(ended: world.now, stored: world.now)
    back.receipt(at: world.now, cloud: -7)
    #expect(back.timesToReceipt.cloud == nil)
  }

  @Test func aReceiptThatComesAgainChangesNothing() {
    var world = World()
    var course = CaptureCourse(ended: world.now, stored: world.now)
    world.pass(milliseconds: 500)
    course.receipt(at: world.now, cloud: 100)
    world.pass(milliseconds: 500)
    course.receipt(at: world.now, cloud: 900)
    #expect(course.timesToReceipt.total == 500 && course.timesToReceipt.cloud == 100)
  }

  @Test func anAnswerBeforeItsReceiptHasNoQueue() {
    var world = World()
    let course = CaptureCourse(ended: world.now, stored: world.now)
    world.pass(milliseconds: 800)
    #expect(course.timesToAnswer(at: world.now, cloud: 300) == CaptureTimes(total: 800, edge: 0, cloud: 300))
    // One of which nobody knows any more when it was stored.
    #expect(
      CaptureCourse(ended: world.now, stored: nil).timesToAnswer(at: world.now, cloud: 0)
        == CaptureTimes(total: 0, cloud: 0))
  }

  @Test func theDistributionCountsWhatIsUnknown() {
    var generator = SeededGenerator(seed: 2)
    var distribution = TimesDistribution()
    #expect(distribution.table == nil)
    let ids = (0..<600).map { _ in RandomIdentifier(using: &generator) }
    for (index, id) in ids.enumerated() {
      distribution.note(id, CaptureTimes(total: Int64(index), edge: 7, queue: index % 2 == 0 ? nil : 1))
    }
    #expect(distribution.count == 512)
    let total = distribution.figures(.total)
    // 88...599 are left: by the nearest rank the 256th and the 487th of 512.
    #expect(total.medianMilliseconds == 88 + 255 && total.p95Milliseconds == 88 + 486 && total.unknown == 0)
    #expect(
      distribution.figures(.queue)
        == TimesDistribution.Figures(medianMilliseconds: 1, p95Milliseconds: 1, known: 256, unknown: 256))
    #expect(distribution.figures(.cloud) == TimesDistribution.Figures(known: 0, unknown: 512))
    // An answer takes the place of the receipt of the same capture.
    distribution.note(ids[599], CaptureTimes(total: 1))
    #expect(distribution.count == 512 && distribution.figures(.edge).unknown == 1)
  }

  @Test func theWireFormSaysWhatIsUnknown() throws {
    var generator = SeededGenerator(seed: 3)
    let id = RandomIdentifier(using: &generator)
    let at = Timestamp(
      utcNanoseconds: 1_772_357_400_125_000_000, bootID: "b", monotonicNanoseconds: 5, synchronised: true)
    let text = String(
      decoding: try TimesMessage(id, CaptureTimes(total: 9, edge: 4, cloud: 2), at: at).encoded(), as: UTF8.self)
    #expect(
      text == "{\"at\":\"2026-03-01T09:30:00.125Z\",\"capture_id\":\"\(id)\",\"cloud_ms\":2,\"edge_ms\":4,"
        + "\"kind\":\"times\",\"queue_ms\":null,\"response_ms\":null,\"schema\":\"thermograph.times.v1\",\"total_ms\":9}"
    )
  }

  /// The receiver's pair in a receipt: both or neither, two times, and no difference of two clocks.
  @Test func theReceiversTimesAreReadStrictly() throws {
    var generator = SeededGenerator(seed: 4)
    let id = RandomIdentifier(using: &generator)
    func entry(_ times: String) throws -> Receipt.Entry {
      let json =
        #"{"schema":"thermograph.receipt.v1","receiver":"r","entries":[{"capture_id":"\#(id)","name":"record.json","#
        + #""sha256":"\#(String(repeating: "0", count: 64))"\#(times)}]}"#
      return try #require(try Receipt(decoding: Array(json.utf8)).entries.first)
    }
    func pair(_ received: String, _ stored: String) -> String {
      #","received_at":"\#(received)","stored_at":"\#(stored)""#
    }
    #expect(try entry("").cloudMilliseconds == nil, "an old receipt stays one")
    #expect(
      try entry(pair("2026-03-01T09:30:00.100Z", "2026-03-01T09:30:01Z")).cloudMilliseconds == 900)
    #expect(try entry(pair("2026-03-01T09:30:01Z", "2026-03-01T09:30:00Z")).cloudMilliseconds == nil)
    for wrong in [
      pair("2026-03-01T09:30:00Z", "soon"), pair("", ""), #","received_at":"2026-03-01T09:30:00Z""#,
      #","stored_at":"2026-03-01T09:30:00Z""#, pair("2026-03-01T09:30:00.Z", "2026-03-01T09:30:01Z"),
    ] {
      #expect(throws: ReceiptError.self, "\(wrong)") { try entry(wrong) }
    }
    let written = Receipt(
      receiver: "r",
      entries: [
        .init(
          captureID: id, name: "record.json", sha256: String(repeating: "0", count: 64),
          receivedAt: "2026-03-01T09:30:00.100Z", storedAt: "2026-03-01T09:30:00.200Z")
      ])
    let read = try #require(try Receipt(decoding: written.encoded()).entries.first)
    #expect(read == written.entries[0] && read.cloudMilliseconds == 100)
    #expect(read.receivedAt == "2026-03-01T09:30:00.100Z" && read.storedAt == "2026-03-01T09:30:00.200Z")
  }
}
