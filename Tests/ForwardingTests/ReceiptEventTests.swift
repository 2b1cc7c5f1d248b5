import Forwarding
import Provenance
import Testing

/// Receipts are events of the delivery logic like any other: what they free is not sent (again).
@Suite struct ReceiptEventTests {
  private func receipt(for items: [OutboxItem]) throws -> Receipt {
    Receipt(
      receiver: "archive",
      entries: try items.map { item in
        Receipt.Entry(
          captureID: try #require(item.captureID), name: item.name ?? "", sha256: Hexadecimal.text(of: item.sha256))
      })
  }

  @Test func whatAReceiptFreesWhileItWaitsIsNotSentAgain() throws {
    let items = (1...4).map { makeItem($0) }
    var bench = Bench(quick { ($0.confirm, $0.window) = (.receipt, 1) }, waiting: items)
    bench.connect()
    #expect(bench.sent.map(\.item.id) == [1])
    // Two and three wait behind it: an earlier connection had sent them.
    bench.acknowledged = [2, 3]
    bench.send(.receipt(try receipt(for: [items[1], items[2]])))
    #expect(bench.delivered == [2, 3])
    bench.answerAll()
    #expect(bench.sent.map(\.item.id) == [1, 4])
    #expect(bench.reports.contains(.delivered(count: 2)))
  }

  @Test func aReceiptThatOvertakesItsAcknowledgementKeepsTheWindow() throws {
    let items = (1...3).map { makeItem($0) }
    var bench = Bench(quick { ($0.confirm, $0.window) = (.receipt, 2) }, waiting: items)
    bench.connect()
    #expect(bench.wire.map(\.item.id) == [1, 2])
    bench.send(.receipt(try receipt(for: [items[0]])))
    // The broker has not acknowledged the first yet, so its place is not free.
    #expect(bench.sent.map(\.item.id) == [1, 2] && bench.machine.inFlight == 2)
    bench.answerAll()
    #expect(bench.sent.map(\.item.id) == [1, 2, 3])
    #expect(bench.delivered == [1] && bench.awaitingReceipt.map(\.id) == [2, 3], "its word was kept for the PUBACK")
    #expect(bench.machine.counters.receiptsUnfounded == 0)
  }

  @Test func theRestOfADividedImageIsNotSentOnceItsReceiptIsThere() throws {
    let image = makeItem(1, .image, bytes: 10_000)
    var bench = Bench(
      quick { ($0.confirm, $0.window, $0.partBytes) = (.receipt, 2, 1024) }, waiting: [image, makeItem(2, .event)])
    bench.connect()
    #expect(bench.sent.map(\.part?.index) == [1, 2])
    bench.acknowledged = [1]
    bench.send(.receipt(try receipt(for: [image])))
    bench.answerAll()
    #expect(bench.sent.map(\.item.id) == [1, 1, 2])
    #expect(bench.machine.inFlight == 0)
  }

  @Test func receiptsThatCameTogetherAreAppliedTogether() throws {
    let items = (1...2).map { makeItem($0) }
    var generator = SeededGenerator(seed: 1)
    var machine = DeliveryMachine(quick { $0.confirm = .receipt }, highestStored: 2)
    let receipts = try items.map { try receipt(for: [$0]) }
    let actions = machine.handle(receipts.map { .receipt($0) }, now: 1, using: &generator)
    #expect(actions.first == .apply(receipts, after: Settlement()))
  }

  /// A forger who reads `up/capture` knows the hashes of images that wait behind it.
  @Test func aReceiptForWhatWasNeverSentFreesNothingAndIsTold() throws {
    let items = (1...4).map { makeItem($0) }
    var bench = Bench(quick { ($0.confirm, $0.window) = (.receipt, 1) }, waiting: items)
    bench.connect()
    bench.send(.receipt(try receipt(for: [items[1], items[2], items[3]])))
    #expect(bench.delivered == [])
    #expect(bench.reports == [.unfounded(count: 3)])
    #expect(bench.machine.counters.receiptsUnfounded == 3)
    bench.answerAll()
    #expect(bench.sent.map(\.item.id) == [1, 2, 3, 4])
    #expect(bench.delivered == [] && bench.awaitingReceipt.map(\.id) == [1, 2, 3, 4])
  }

  /// A word that came early is not kept beyond the publish that it may belong to.
  @Test func anEarlyReceiptEndsWithTheConnectionAndWithARefusal() throws {
    let items = (1...2).map { makeItem($0) }
    var bench = Bench(quick { ($0.confirm, $0.window) = (.receipt, 1) }, waiting: items)
    bench.connect()
    bench.send(.receipt(try receipt(for: [items[0]])))
    bench.lose()
    bench.sleep()
    bench.send(.link(.connected(ConnectionLimits())))
    bench.answer()
    #expect(bench.delivered == [] && bench.awaitingReceipt.map(\.id) == [1])
    bench.send(.receipt(try receipt(for: [items[1]])))
    bench.answer(.acknowledged(reason: 0x97))
    bench.sleep()
    bench.answerAll()
    #expect(bench.delivered == [] && bench.awaitingReceipt.map(\.id) == [1, 2])
  }

  @Test func theAcknowledgementIsWrittenDownWithTheReceiptThatNeedsIt() throws {
    let items = [makeItem(1)]
    var bench = Bench(
      quick { ($0.confirm, $0.window, $0.settlementBatch, $0.settlementDelayMilliseconds) = (.receipt, 4, 100, 1000) },
      waiting: items + [makeItem(2)])
    bench.connect()
    bench.answer()
    #expect(bench.awaitingReceipt == [], "not written down yet")
    bench.send(.receipt(try receipt(for: items)))
    #expect(bench.delivered == [1])
  }

  /// The receiver has it, and the PUBACK was lost with the connection: its word is no forgery, and waits for the next.
  @Test func theAnswerToWhatALostConnectionCarriedIsKept() throws {
    let items = (1...4).map { makeItem($0) }
    var bench = Bench(quick { ($0.confirm, $0.window) = (.receipt, 2) }, waiting: items)
    bench.connect()
    #expect(bench.sent.map(\.item.id) == [1, 2])
    bench.lose()
    bench.sleep()
    // Before anything is sent again, and of what is sent again only later.
    bench.send(.receipt(try receipt(for: [items[0], items[1]])))
    #expect(bench.delivered == [] && bench.machine.counters.receiptsUnfounded == 0)
    bench.send(.link(.connected(ConnectionLimits())))
    bench.answerAll()
    #expect(bench.sent.map(\.item.id) == [1, 2, 1, 2, 3, 4])
    #expect(bench.delivered == [1, 2] && bench.awaitingReceipt.map(\.id) == [3, 4])
    #expect(bench.reports.allSatisfy { if case .unfounded = $0 { false } else { true } })
  }

  @Test func aFloodOfForgeriesLeavesAFewLines() throws {
    let items = (1...4).map { makeItem($0) }
    var bench = Bench(quick { ($0.confirm, $0.window) = (.receipt, 1) }, waiting: items)
    bench.connect()
    for _ in 0..<10_000 { bench.send(.receipt(try receipt(for: [items[1], items[2]]))) }
    #expect(bench.machine.counters.receiptsUnfounded == 20_000)
    #expect(bench.reports.count == 14 && bench.delivered == [])
  }

  @Test func whatIsNotBelievedIsCounted() {
    var bench = Bench()
    for _ in 0..<3 { bench.send(.receiptRefused) }
    #expect(bench.machine.counters.receiptsRefused == 3)
  }

  @Test func whatAReceiverRefusesAndWhatDiffersIsTold() throws {
    var generator = SeededGenerator(seed: 1)
    let entry = Receipt.Entry(
      captureID: RandomIdentifier(using: &generator), name: "record.json", sha256: String(repeating: "0", count: 64))
    var outcome = ReceiptOutcome()
    outcome.refused = [entry.captureID]
    outcome.mismatched = [Receipt.Entry](repeating: entry, count: 256)
    var bench = Bench()
    bench.send(.applied(outcome))
    #expect(bench.reports == [.refusedForEver(capture: entry.captureID), .differ(count: 256, first: entry)])
    #expect(bench.reports.allSatisfy { $0.severity == .error })
  }

  @Test func birthComesBeforeTheFirstMessageAndFarewellBeforeTheGoodbye() {
    var generator = SeededGenerator(seed: 1)
    var machine = DeliveryMachine(quick(), highestStored: 1)
    _ = machine.handle(.start, now: 1, using: &generator)
    let up = machine.handle(.link(.connected(ConnectionLimits())), now: 2, using: &generator)
    #expect(up.first == .announce(.online) && machine.counters.connections == 1)
    let down = machine.handle(.stop, now: 3, using: &generator)
    #expect(down.first == .announce(.stopped))
    #expect(down.contains { if case .disconnect = $0 { true } else { false } })
    // Nobody hears a farewell without a connection.
    var lonely = DeliveryMachine(quick(), highestStored: 1)
    #expect(!lonely.handle(.stop, now: 1, using: &generator).contains(.announce(.stopped)))
  }

  @Test func theSyncWindowIsToldOnceAndOnlyByAClockThatSomebodyVouchesFor() throws {
    let window = try #require(SyncWindow("22:00-05:30"))
    func instant(_ hour: Int64, synchronised: Bool = true) -> Timestamp {
      Timestamp(
        utcNanoseconds: hour * 3_600_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: synchronised)
    }
    var watch = SyncWindowWatch(window)
    #expect(watch.change(at: instant(12, synchronised: false)) == nil)
    #expect(watch.change(at: instant(12)) == false)
    #expect(watch.change(at: instant(13)) == nil)
    #expect(watch.change(at: instant(23)) == true)
    #expect(watch.change(at: instant(24)) == nil)
  }
}
