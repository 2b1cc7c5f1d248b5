import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

@Suite struct OutboxTests {
  private let clock = ManualClock()

  private func configuration(_ scratch: ScratchFolder, retentionSeconds: Int = 0) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(42)), retentionSeconds: retentionSeconds)
  }

  @Test func captureIsStoredWholeAndReadBack() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    let capture = makeCapture(1, at: clock.now())
    let stored = try await outbox.enqueue(capture)
    #expect(stored.number == CaptureNumber(outboxID: outbox.outboxID, sequence: 1))
    #expect(stored.itemIDs == [1, 2, 3])
    let record = try #require(try await outbox.pending(.capture, after: 0, limit: 10).first)
    #expect(record.topicSuffix == "capture")
    #expect(record.sequence == 1)
    #expect(record.created == clock.now())
    let json = try await outbox.payload(of: record.id)
    #expect(json == (try capture.record(stored.number)))
    #expect(record.sha256 == OpenSSLDigests().sha256(json))
    let images = try await outbox.pending(.image, after: 0, limit: 10)
    #expect(
      images.map(\.topicSuffix)
        == capture.images.map { "image/\(capture.captureID)_\($0.name.replacing(".", with: "_"))" })
    for (item, image) in zip(images, capture.images) {
      #expect(try await outbox.payload(of: item.id) == image.bytes)
      #expect(item.contentType == "image/png")
    }
    let accounts = try await outbox.accounts()
    #expect(accounts[.capture, .pending] == OutboxUsage(rows: 1, bytes: json.count + 190))
    #expect(accounts[.image, .pending] == OutboxUsage(rows: 2, bytes: 6700 + 228 + 224))
    await outbox.close()
  }

  @Test func nothingOfThePayloadIsOnDiskInTheClear() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    var generator = SeededGenerator(seed: 5)
    let marker = "a-sentence-that-nobody-else-would-write"
    _ = try await outbox.enqueue(
      NewCapture(captureID: RandomIdentifier(using: &generator), created: clock.now(), images: []) { _ in
        Array("{\"patient_ref\":\"\(marker)\"}".utf8)
      })
    var files = 0
    for name in try FileManager.default.contentsOfDirectory(atPath: scratch.path) {
      let data = try Data(contentsOf: URL(fileURLWithPath: scratch.file(name)))
      #expect(data.range(of: Data(marker.utf8)) == nil, "\(name) shows the payload")
      let mode = try FileManager.default.attributesOfItem(atPath: scratch.file(name))[.posixPermissions] as? Int
      #expect(mode == 0o600, "\(name) is open to others")
      files += 1
    }
    #expect(files >= 2)
    await outbox.close()
  }

  @Test func stateSurvivesAnAbandonedOutbox() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let configuration = try configuration(scratch)
    let first = try Outbox(configuration, time: clock)
    for index in 1...5 { _ = try await first.enqueue(makeCapture(UInt64(index), at: clock.now())) }
    var settlement = Settlement()
    settlement.delivered = [1]
    settlement.awaitingReceipt = [4]
    try await first.settle(settlement)
    let before = try await first.accounts()
    // Neither closed nor checkpointed: the second connection reads the write-ahead log.
    let second = try Outbox(configuration, time: clock)
    #expect(second.outboxID == first.outboxID)
    #expect(second.highestStoredAtStart >= 15)
    // The commit counter says that nothing is missing: no number is left out, and there is nothing to tell.
    #expect(try await second.accounts() == before)
    #expect(try await second.pending(.capture, after: 0, limit: 10).map(\.sequence) == [3, 4, 5])
    #expect(try await second.item(4).state == .awaitingReceipt)
    let next = try await second.enqueue(makeCapture(6, at: clock.now())).number.sequence
    #expect(next == 6)
    await second.close()
    await first.close()
  }

  @Test func refusedCapturesLeaveNoGapInTheSequence() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    struct Fault: Error {}
    var good = 0
    for index in 1...9 {
      var capture = makeCapture(UInt64(index), at: clock.now())
      switch index % 3 {
      case 0: capture.record = { _ in throw Fault() }
      case 1: capture.images[1].bytes = [UInt8](repeating: 0, count: OutboxDatabase.maximumPayloadBytes + 1)
      default: break
      }
      do {
        good += 1
        let stored = try await outbox.enqueue(capture)
        #expect(stored.number.sequence == Int64(good))
      } catch {
        good -= 1
      }
    }
    #expect(good == 3)
    #expect(try await outbox.accounts().total.rows == 9)
    await #expect(throws: OutboxError.self) { try await outbox.enqueue(makeCapture(2, at: clock.now())) }
    await outbox.close()
  }

  @Test func storesThatWaitTogetherKeepTheirOrderAndResults() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    let time = clock.now()
    let numbers = try await withThrowingTaskGroup(of: Int64.self) { group in
      for index in 0..<300 {
        group.addTask { try await outbox.enqueue(makeCapture(UInt64(index), at: time)).number.sequence }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(numbers.sorted() == Array(1...300))
    #expect(try await outbox.accounts()[.image, .pending].rows == 600)
    await outbox.close()
  }

  @Test func newestHealthReplacesTheWaitingOnes() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    for index in 0..<4 { try await outbox.enqueue(.health([UInt8(index)], created: clock.now())) }
    let waiting = try await outbox.pending(.health, after: 0, limit: 10)
    #expect(waiting.count == 1)
    #expect(try await outbox.payload(of: waiting[0].id) == [3])
    await outbox.close()
  }

  @Test func receiptsFreeOnlyWhatTheyProve() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    let capture = makeCapture(1, at: clock.now())
    var settlement = Settlement()
    settlement.awaitingReceipt = try await outbox.enqueue(capture).itemIDs
    try await outbox.settle(settlement)
    let items = try await outbox.items(ofCapture: capture.captureID).map(\.item)
    let entries = items.map {
      Receipt.Entry(captureID: capture.captureID, name: $0.name ?? "", sha256: Hexadecimal.text(of: $0.sha256))
    }
    var forged = entries[1]
    forged.sha256 = String(repeating: "0", count: 64)
    let refused = try await outbox.apply(Receipt(receiver: "clinic", entries: [forged]))
    #expect(refused.mismatched == [forged])
    #expect(refused.delivered.isEmpty)
    let outcome = try await outbox.apply(Receipt(receiver: "clinic", entries: entries))
    #expect(outcome.delivered == [1, 2, 3])
    let again = try await outbox.apply(Receipt(receiver: "clinic", entries: entries))
    #expect(again.delivered.isEmpty)
    #expect(again.unknown == 3)
    #expect(try await outbox.accounts() == OutboxAccounts())
    await outbox.close()
  }

  /// PUBACKs are written down in groups, so a quick receiver's receipt is written down with the word of its PUBACK.
  @Test func aReceiptBeforeTheWordOfItsAcknowledgementStands() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch, retentionSeconds: 1000), time: clock)
    let capture = makeCapture(1, at: clock.now())
    let ids = try await outbox.enqueue(capture).itemIDs
    let entries = try await outbox.items(ofCapture: capture.captureID).map(\.item).map {
      Receipt.Entry(captureID: capture.captureID, name: $0.name ?? "", sha256: Hexadecimal.text(of: $0.sha256))
    }
    var settlement = Settlement()
    settlement.awaitingReceipt = ids
    #expect(
      try await outbox.apply([Receipt(receiver: "clinic", entries: entries)], after: settlement).delivered == ids)
    // The word of the same acknowledgement, again.
    try await outbox.settle(settlement)
    #expect(try await outbox.items(ofCapture: capture.captureID).allSatisfy { $0.state == .delivered })
    clock.advance(seconds: 500)
    #expect(try await outbox.requeueUnreceipted(olderThanSeconds: 60) == 0)
    await outbox.close()
  }

  /// A session's end is kept as long as its captures: without it a delivered session would look unfinished.
  @Test func eventsAreKeptForTheRetentionTimeAndThenFreed() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch, retentionSeconds: 1000), time: clock)
    let event = try await outbox.enqueue(.event([1], created: clock.now()))
    let health = try await outbox.enqueue(.health([2], created: clock.now()))
    var settlement = Settlement()
    settlement.delivered = [event, health]
    try await outbox.settle(settlement)
    #expect(try await outbox.list().map(\.item.id) == [event])
    #expect(try await outbox.item(event).state == .delivered)
    #expect(try await outbox.payload(of: event) == [1])
    clock.advance(seconds: 1001)
    try await outbox.maintain()
    #expect(try await outbox.list().isEmpty)
    await outbox.close()
  }

  @Test func severalPayloadsComeTogetherAndAMessageThatIsGoneHarmsNoOther() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    for byte in UInt8(1)...3 { try await outbox.enqueue(.event([byte], created: clock.now())) }
    let items = try await outbox.pending(.event, after: 0, limit: 9)
    var settlement = Settlement()
    settlement.delivered = [items[1].id]
    try await outbox.settle(settlement)
    let payloads = await outbox.payloads(of: items)
    #expect(try payloads[0].get() == [1])
    #expect(try payloads[2].get() == [3])
    guard case .failure(.missing(items[1].id)) = payloads[1] else {
      Issue.record("expected a message that is gone, got \(payloads[1])")
      return
    }
    await outbox.close()
  }

  @Test func overdueReceiptsAreAskedForAgain() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    _ = try await outbox.enqueue(makeCapture(1, at: clock.now(), imageBytes: []))
    _ = try await outbox.enqueue(makeCapture(2, at: clock.now(), imageBytes: []))
    var settlement = Settlement()
    settlement.awaitingReceipt = [1]
    try await outbox.settle(settlement)
    clock.advance(seconds: 50)
    settlement.awaitingReceipt = [2]
    try await outbox.settle(settlement)
    clock.advance(seconds: 50)
    #expect(try await outbox.requeueUnreceipted(olderThanSeconds: 60) == 1)
    #expect(try await outbox.pending(.capture, after: 0, limit: 9).map(\.id) == [1])
    clock.reboot("boot-b")
    #expect(try await outbox.requeueUnreceipted(olderThanSeconds: 60) == 1)
    #expect(try await outbox.pending(.capture, after: 0, limit: 9).map(\.id) == [1, 2])
    await outbox.close()
  }

  /// What a busy receiver has not reached yet is not sent again, or the queue at the broker would grow without end.
  @Test func onlyWhatAReceiptOvertookIsSentAgainWhileReceiptsCome() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    var entries: [Receipt.Entry] = []
    for id in UInt64(1)...3 {
      let capture = makeCapture(id, at: clock.now(), imageBytes: [])
      _ = try await outbox.enqueue(capture)
      let items = try await outbox.items(ofCapture: capture.captureID)
      let item = try #require(items.first).item
      entries.append(
        Receipt.Entry(
          captureID: capture.captureID, name: OutboxItem.recordName, sha256: Hexadecimal.text(of: item.sha256)))
      var settlement = Settlement()
      settlement.awaitingReceipt = [Int64(id)]
      try await outbox.settle(settlement)
      clock.advance(seconds: 10)
    }
    clock.advance(seconds: 100)
    // The receiver is at the first: the others are in its queue.
    #expect(try await outbox.apply(Receipt(receiver: "clinic", entries: [entries[0]])).delivered == [1])
    #expect(try await outbox.requeueUnreceipted(olderThanSeconds: 60) == 0)
    // It has the third: the second got lost.
    #expect(try await outbox.apply(Receipt(receiver: "clinic", entries: [entries[2]])).delivered == [3])
    #expect(try await outbox.requeueUnreceipted(olderThanSeconds: 60) == 1)
    #expect(try await outbox.pending(.capture, after: 0, limit: 9).map(\.id) == [2])
    await outbox.close()
  }

  @Test func wrongKeyIsNamedAndNothingIsLost() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let right = try configuration(scratch)
    let outbox = try Outbox(right, time: clock)
    _ = try await outbox.enqueue(makeCapture(1, at: clock.now(), imageBytes: []))
    await outbox.close()
    var wrong = right
    wrong.keys = KeyRing(current: try makeKey(43))
    let other = try Outbox(wrong, time: clock)
    let error = await #expect(throws: OutboxError.self) { try await other.payload(of: 1) }
    #expect(error?.description.contains(SealingKey.text(ofID: right.keys.current.id)) == true)
    await other.close()
    var both = right
    both.keys = KeyRing(current: wrong.keys.current, older: [right.keys.current])
    let repaired = try Outbox(both, time: clock)
    #expect(try await repaired.payload(of: 1).isEmpty == false)
    await repaired.close()
  }

  @Test func callsAfterCloseAreRefused() async throws {
    let scratch = try ScratchFolder(inMemory: true)
    let outbox = try Outbox(configuration(scratch), time: clock)
    await outbox.close()
    await #expect(throws: OutboxError.self) { try await outbox.enqueue(.event([1], created: clock.now())) }
    await #expect(throws: OutboxError.self) { try await outbox.accounts() }
  }
}
