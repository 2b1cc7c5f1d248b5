import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

@Suite struct QuotaTests {
  private let clock = ManualClock()

  private func configuration(
    _ scratch: ScratchFolder, onFull: OutboxQuota.OnFull = .refuse, rows: Int = 100_000, retention: Int = 0
  ) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(42)), retentionSeconds: retention,
      quota: OutboxQuota(
        totalBytes: 1 << 20, rowsPerClass: rows, freeSpaceFloorBytes: 0, onFull: onFull, ballastBytes: 0))
  }

  private func gaps(_ outbox: Outbox) async throws -> [GapRecord] {
    var records: [GapRecord] = []
    for item in try await outbox.pending(.event, after: 0, limit: 10_000) {
      records.append(try JSONDecoder().decode(GapRecord.self, from: Data(await outbox.payload(of: item.id))))
    }
    return records
  }

  @Test func aFullOutboxRefusesVisiblyAndKeepsRoomForAlerts() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    var stored = 0
    var refusals = 0
    for index in 1...40 {
      let refusal = try await quotaRefusal(
        of: makeCapture(UInt64(index), at: clock.now(), imageBytes: [50_000]), by: outbox)
      guard let refusal else {
        stored += 1
        continue
      }
      refusals += 1
      #expect(refusal.limit == .bytes)
      #expect(refusal.deliveryClass == .capture)
    }
    #expect(stored == 19)
    #expect(refusals == 21)
    let told = try await gaps(outbox).filter { $0.reason == .refused }
    #expect(told.count == refusals)
    #expect(told.allSatisfy { $0.captureID != nil })
    // 80, 90 and 95 percent, each once, and alerts still go in.
    #expect(try await outbox.pending(.alert, after: 0, limit: 10).count >= 2)
    _ = try await outbox.enqueue(.alert([UInt8](repeating: 1, count: 10_000), created: clock.now()))
    #expect(try await outbox.accounts().total.bytes <= 1 << 20)
    // Delivery makes room again.
    var settlement = Settlement()
    settlement.delivered = try await outbox.pending(.image, after: 0, limit: 3).map(\.id)
    try await outbox.settle(settlement)
    let after = try await outbox.enqueue(makeCapture(99, at: clock.now(), imageBytes: [50_000]))
    #expect(after.number.sequence == Int64(stored + 1), "refusals use no number")
    await outbox.close()
  }

  @Test func theOldestImageGivesWayAndItsRecordStays() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch, onFull: .dropOldestImage), time: clock)
    for index in 1...40 {
      _ = try await outbox.enqueue(makeCapture(UInt64(index), at: clock.now(), imageBytes: [50_000]))
    }
    let records = try await outbox.pending(.capture, after: 0, limit: 100)
    let images = try await outbox.pending(.image, after: 0, limit: 100)
    #expect(records.compactMap(\.sequence) == Array(1...40))
    #expect(images.compactMap(\.sequence) == Array((41 - Int64(images.count))...40), "not the oldest went")
    let told = try await gaps(outbox)
    #expect(told.filter { $0.reason == .dropped }.compactMap(\.sequence) == Array(1...(40 - Int64(images.count))))
    #expect(told.allSatisfy { $0.name == "master.png" })
    // The record, and the verdict in it, stays as it was stored.
    for (record, index) in zip(records, 1...) {
      let capture = makeCapture(UInt64(index), at: clock.now(), imageBytes: [50_000])
      let expected = try capture.record(CaptureNumber(outboxID: outbox.outboxID, sequence: Int64(index)))
      #expect(try await outbox.payload(of: record.id) == expected)
    }
    await outbox.close()
  }

  @Test func healthAndRetainedMessagesGoFirst() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch, retention: 1000), time: clock)
    for index in 1...10 {
      let stored = try await outbox.enqueue(makeCapture(UInt64(index), at: clock.now(), imageBytes: [80_000]))
      var settlement = Settlement()
      settlement.delivered = stored.itemIDs
      try await outbox.settle(settlement)
    }
    try await outbox.enqueue(.health([UInt8](repeating: 2, count: 100_000), created: clock.now()))
    for index in 11...22 {
      _ = try await outbox.enqueue(makeCapture(UInt64(index), at: clock.now(), imageBytes: [80_000]))
    }
    #expect(try await outbox.accounts()[.health, .pending].rows == 0)
    #expect(try await outbox.accounts()[.image, .pending].rows == 12)
    // What had arrived is no loss; the health message that gave way is one, and is told.
    #expect(try await gaps(outbox).map(\.deliveryClass) == ["health"])
    await outbox.close()
  }

  @Test(arguments: [OutboxQuota.OnFull.refuse, .dropOldestImage])
  func aClassHasALimitOfItsOwn(onFull: OutboxQuota.OnFull) async throws {
    let scratch = try ScratchFolder(inMemory: true)
    var configuration = try configuration(scratch, onFull: onFull)
    configuration.quota.bytesByClass = [.image: 200_000, .event: 20_000]
    let outbox = try Outbox(configuration, time: clock)
    var refusals: [QuotaRefusal] = []
    for index in 1...6 {
      let capture = makeCapture(UInt64(index), at: clock.now(), imageBytes: [50_000])
      if let refusal = try await quotaRefusal(of: capture, by: outbox) { refusals.append(refusal) }
    }
    #expect(try await outbox.accounts().total(.image).bytes <= 200_000)
    let records = try await outbox.accounts().total(.capture).rows
    let dropped = try await outbox.figures().counters[.image].dropped
    if onFull == .refuse {
      #expect(records == 3 && refusals.count == 3 && dropped == 0)
      #expect(refusals.allSatisfy { $0.limit == .classBytes && $0.deliveryClass == .image })
    } else {
      #expect(records == 6 && refusals.isEmpty && dropped == 3)
      #expect(try await gaps(outbox).count { $0.reason == .dropped } == 3)
    }
    // The whole outbox is a fifth full; events have a limit of their own, alerts have none.
    await #expect(throws: OutboxError.self) {
      try await outbox.enqueue(.event([UInt8](repeating: 1, count: 20_000), created: clock.now()))
    }
    _ = try await outbox.enqueue(.alert([UInt8](repeating: 1, count: 30_000), created: clock.now()))
    await outbox.close()
  }

  @Test func countersSayWhatBecameOfEveryMessage() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    let stored = try await outbox.enqueue(makeCapture(1, at: clock.now()))
    let alert = try await outbox.enqueue(.alert([1], created: clock.now()))
    for _ in 0..<3 { try await outbox.enqueue(.health([2], created: clock.now())) }
    clock.advance(seconds: 7)
    #expect(try await outbox.figures().oldest[.capture]?.monotonicNanoseconds == 1_000_000_000_000)
    var settlement = Settlement()
    settlement.awaitingReceipt = [stored.itemIDs[0]]
    settlement.delivered = [alert]
    settlement.quarantined = [.init(id: stored.itemIDs[1], reason: "test")]
    try await outbox.settle(settlement)
    // A message without a receipt is still the oldest of its class.
    #expect(try await outbox.figures().oldest[.capture]?.monotonicNanoseconds == 1_000_000_000_000)
    let record = try await outbox.item(stored.itemIDs[0]).item
    let entry = Receipt.Entry(
      captureID: try #require(record.captureID), name: OutboxItem.recordName,
      sha256: Hexadecimal.text(of: record.sha256))
    for _ in 0..<2 { _ = try await outbox.apply(Receipt(receiver: "r", entries: [entry])) }
    let figures = try await outbox.figures()
    let counters = figures.counters
    #expect(counters[.capture].enqueued == 1 && counters[.capture].delivered == 1 && counters[.capture].receipted == 1)
    #expect(counters[.image].enqueued == 2 && counters[.image].quarantined == 1 && counters[.image].delivered == 0)
    #expect(counters[.alert].delivered == 1 && counters[.alert].receipted == 0)
    #expect(counters[.health].enqueued == 3 && counters[.health].dropped == 2)
    #expect(figures.oldest[.capture] == nil && figures.oldest[.image] != nil)
    #expect(figures.sync.commits > 0 && figures.sync.buckets.reduce(0, +) == figures.sync.commits)
    await outbox.close()
  }

  /// Captures may fill 95 %, gap records and events 98 %, alerts all of it; each refusal says so in words.
  @Test func theLastTwentiethBelongsToAlertsAndGapRecords() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    var shares: [Int] = []
    for deliveryClass in [DeliveryClass.capture, .event, .alert] {
      var refusal: QuotaRefusal?
      for index in 1...400 where refusal == nil {
        let payload = [UInt8](repeating: 1, count: 500)
        switch deliveryClass {
        case .event: refusal = try await quotaRefusal(of: .event(payload, created: clock.now()), by: outbox)
        case .alert: refusal = try await quotaRefusal(of: .alert(payload, created: clock.now()), by: outbox)
        default:
          refusal = try await quotaRefusal(
            of: makeCapture(UInt64(index), at: clock.now(), imageBytes: [3000]), by: outbox)
        }
      }
      #expect(refusal?.limit == .bytes && refusal?.deliveryClass == deliveryClass)
      #expect(refusal?.description.contains("deliver or export what waits, or raise the quota") == true)
      shares.append(try await outbox.accounts().total.bytes * 100 / (1 << 20))
    }
    // Each stopped within the size of a message below its share.
    #expect(shares[0] >= 94 && shares[0] <= 96, "\(shares)")
    #expect(shares[1] >= 97 && shares[1] <= 98, "\(shares)")
    #expect(shares[2] >= 99 && shares[2] <= 100, "\(shares)")
    await outbox.close()
  }

  /// Losses that find no room for their gap records are told in one as soon as there is room.
  @Test func everyRefusalIsToldInTheEnd() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    var refused = 0
    for index in 1...200 {
      let refusal = try await quotaRefusal(
        of: makeCapture(UInt64(index), at: clock.now(), imageBytes: [50_000]), by: outbox)
      if refusal != nil { refused += 1 }
    }
    let toldWhileFull = try await gaps(outbox).reduce(0) { $0 + $1.count }
    #expect(refused == 181)
    #expect(toldWhileFull < refused, "the reserve was meant to run out")
    var settlement = Settlement()
    settlement.delivered = try await outbox.pending(.image, after: 0, limit: 3).map(\.id)
    try await outbox.settle(settlement)
    _ = try await outbox.enqueue(makeCapture(9000, at: clock.now(), imageBytes: [50_000]))
    #expect(try await gaps(outbox).reduce(0) { $0 + $1.count } == refused)
    _ = try await outbox.enqueue(makeCapture(9001, at: clock.now(), imageBytes: [50_000]))
    #expect(try await gaps(outbox).reduce(0) { $0 + $1.count } == refused, "told twice")
    await outbox.close()
  }

  @Test func rowsAreBoundedPerClass() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch, rows: 3), time: clock)
    for index in 1...3 { try await outbox.enqueue(.event([UInt8(index)], created: clock.now())) }
    await #expect(throws: OutboxError.self) { try await outbox.enqueue(.event([4], created: clock.now())) }
    _ = try await outbox.enqueue(makeCapture(1, at: clock.now(), imageBytes: [10]))
    await outbox.close()
  }

  @Test func deliveredCapturesAreKeptForTheRetentionTimeAndNoLonger() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch, retention: 100), time: clock)
    let stored = try await outbox.enqueue(makeCapture(1, at: clock.now()))
    let event = try await outbox.enqueue(.event([1], created: clock.now()))
    var settlement = Settlement()
    settlement.delivered = stored.itemIDs + [event]
    try await outbox.settle(settlement)
    #expect(try await outbox.accounts()[.image, .delivered].rows == 2)
    // A session's end is kept as long as its captures.
    #expect(try await outbox.accounts()[.event, .delivered].rows == 1)
    clock.advance(seconds: 99)
    #expect(try await outbox.maintain() == 0)
    clock.advance(seconds: 2)
    #expect(try await outbox.maintain() == 4)
    let second = try await outbox.enqueue(makeCapture(2, at: clock.now()))
    settlement.delivered = second.itemIDs
    try await outbox.settle(settlement)
    // Another boot: only the wall clock can tell, when it is right.
    clock.reboot("boot-b")
    #expect(try await outbox.maintain() == 0)
    clock.advance(seconds: 101)
    #expect(try await outbox.maintain() == 3)
    #expect(try await outbox.accounts() == OutboxAccounts())
    await outbox.close()
  }

  @Test func watermarksSpeakOnceOnTheWayUp() {
    var marks = QuotaWatermarks()
    let course = [10, 79, 80, 85, 89, 91, 96, 99, 96, 88, 91, 96, 70, 81, 99]
    #expect(
      course.map { marks.crossed(used: $0 * 10, total: 1000) }
        == [nil, nil, 80, nil, nil, 90, 95, nil, nil, nil, nil, 95, nil, 80, 95])
  }
}

@Suite struct KeyRotationTests {
  @Test func resealingMovesEverythingAndTheOldKeyOpensNothing() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let clock = ManualClock()
    let (old, new) = (try makeKey(1), try makeKey(2))
    var configuration = OutboxConfiguration(path: scratch.file("outbox.sqlite"), keys: KeyRing(current: old))
    let first = try Outbox(configuration, time: clock)
    for index in 1...7 { _ = try await first.enqueue(makeCapture(UInt64(index), at: clock.now())) }
    await first.close()
    configuration.keys = KeyRing(current: new, older: [old])
    let second = try Outbox(configuration, time: clock)
    _ = try await second.enqueue(makeCapture(8, at: clock.now()))
    var rounds = 0
    while try await second.reseal(limit: 5) > 0 { rounds += 1 }
    #expect(rounds == 4)
    await second.close()
    configuration.keys = KeyRing(current: new)
    let third = try Outbox(configuration, time: clock)
    for index in 1...8 {
      let capture = makeCapture(UInt64(index), at: clock.now())
      let items = try await third.items(ofCapture: capture.captureID)
      #expect(items.count == 3)
      for stored in items { #expect(try await third.payload(of: stored.item.id).count == stored.item.byteCount) }
    }
    await third.close()
    configuration.keys = KeyRing(current: old)
    let fourth = try Outbox(configuration, time: clock)
    await #expect(throws: OutboxError.self) { try await fourth.payload(of: 1) }
    #expect(try await fourth.verify(limit: 100).locked.count == 24, "without the key nothing is thrown away")
    await fourth.close()
  }
}
