import Testing

@testable import Forwarding

/// What the broker acknowledges and gives to nobody: MQTT 5's reason 0x10.
@Suite struct UnheardTests {
  private static let second: UInt64 = 1_000_000_000

  private func bench(_ items: [OutboxItem], window: Int = 20) -> Bench {
    var bench = Bench(
      quick {
        $0.confirm = .receipt
        $0.window = window
      }, waiting: items)
    bench.connect()
    return bench
  }

  /// Goes to the next moment at which something was sent; how long that took.
  private func untilNextPublish(_ bench: inout Bench) -> UInt64 {
    let (start, sent) = (bench.now, bench.sent.count)
    for _ in 0..<1000 where bench.sent.count == sent { bench.sleep() }
    return bench.now - start
  }

  private func receipt(_ item: OutboxItem) throws -> Receipt {
    Receipt(
      receiver: "archive",
      entries: [
        Receipt.Entry(
          captureID: try #require(item.captureID), name: try #require(item.name),
          sha256: String(repeating: "07", count: 32))
      ])
  }

  @Test func whatNobodyHearsWaitsAndOneMessageAsks() {
    var bench = bench((1...6).map { makeItem($0) }, window: 3)
    for _ in 0..<3 { bench.answer(.acknowledged(reason: 0x10)) }
    #expect(bench.wire.isEmpty && bench.awaitingReceipt.isEmpty && bench.waiting.count == 6)
    for seconds in [1, 2, 4, 8, 16, 32] as [UInt64] {
      let waited = untilNextPublish(&bench)
      #expect(waited >= (seconds - 1) * Self.second && waited <= seconds * Self.second, "\(seconds)")
      #expect(bench.wire.map(\.item.id) == [1])
      if seconds < 32 { bench.answer(.acknowledged(reason: 0x10)) }
    }
    #expect(bench.reports == [.unheard(.capture, nextAttemptSeconds: 1)], "told once")
    // Somebody listens: the window is open, and the order is kept.
    bench.answer()
    #expect(bench.wire.map(\.item.id) == [2, 3, 4])
    bench.answerAll()
    #expect(bench.awaitingReceipt.map(\.id) == Array(1...6))
    #expect(bench.machine.counters.acknowledgementsByReason[0x10] == 8)
  }

  /// They have no receipt: taken for delivered, they would be gone.
  @Test func alertsAndEventsAreNotLostWithIt() {
    var bench = bench([makeItem(1, .alert), makeItem(2, .event), makeItem(3, .health)])
    for _ in 0..<3 { bench.answer(.acknowledged(reason: 0x10)) }
    #expect(bench.delivered == [3], "of health only the newest counts")
    #expect(bench.waiting.map(\.id) == [1, 2])
    bench.answerAll()
    #expect(bench.delivered == [3, 1, 2])
  }

  /// A class that nobody wants holds no other up.
  @Test func eachClassAsksForItself() {
    var bench = bench([makeItem(1, .alert), makeItem(2, .capture), makeItem(3, .capture)], window: 1)
    bench.answer(.acknowledged(reason: 0x10))
    bench.answer()
    bench.answer()
    #expect(bench.awaitingReceipt.map(\.id) == [2, 3])
    #expect(bench.waiting.map(\.id) == [1])
  }

  /// Whoever waits for a reply need not listen to events, although both are of one class.
  @Test func aReplyDoesNotWaitForEventsThatNobodyHears() {
    // More events than are read at a time stand before it.
    let events = (1...300).map { makeItem(Int64($0), .event) }
    var bench = bench(events + [makeItem(301, .event, kind: "reply"), makeItem(302, .event)], window: 4)
    for _ in 0..<4 { bench.answer(.acknowledged(reason: 0x10)) }
    #expect(bench.wire.map(\.item.id) == [301], "before anything asks again")
    bench.answer()
    #expect(bench.delivered == [301] && bench.wire.isEmpty)
    _ = untilNextPublish(&bench)
    #expect(bench.wire.map(\.item.id) == [1], "one event asks")
    bench.answerAll()
    #expect(bench.delivered == [301] + events.map(\.id) + [302], "in their order")
  }

  /// Nor does a reply that nobody hears hold the events up; both ask, each for itself.
  @Test func aReplyThatNobodyHearsHoldsNoEventUp() {
    var bench = bench([makeItem(1, .event, kind: "reply"), makeItem(2, .event), makeItem(3, .event)], window: 1)
    bench.answer(.acknowledged(reason: 0x10))
    #expect(bench.wire.map(\.item.id) == [2])
    bench.answer(.acknowledged(reason: 0x10))
    #expect(bench.wire.isEmpty)
    let waited = untilNextPublish(&bench)
    #expect(waited <= Self.second && bench.wire.count == 1)
    bench.answerAll()
    #expect(bench.delivered.sorted() == [1, 2, 3])
  }

  /// Rules of a broker may take what nobody subscribes to, and nobody need subscribe to alerts.
  @Test func afterTenAnswersTheCodeCountsAsAnyOther() {
    var bench = bench([makeItem(1, .alert), makeItem(2, .alert)])
    let start = bench.now
    bench.answer(.acknowledged(reason: 0x10))
    bench.answer(.acknowledged(reason: 0x10))
    var asked = 0
    while bench.waiting.contains(where: { $0.id == 1 }), asked < 100 {
      _ = untilNextPublish(&bench)
      asked += 1
      bench.answer(.acknowledged(reason: 0x10))
    }
    #expect(asked == 9)
    #expect((510...512).contains((bench.now - start) / Self.second), "less than a receipt's timeout")
    bench.answer(.acknowledged(reason: 0x10))
    #expect(bench.delivered == [1, 2])
    // And back again once somebody has subscribed.
    bench.store(makeItem(3, .alert))
    bench.answer()
    bench.store(makeItem(4, .alert))
    bench.answer(.acknowledged(reason: 0x10))
    #expect(bench.waiting.map(\.id) == [4])
  }

  /// Somebody has it although the broker says that nobody does: its word counts for nothing, the receipt for all.
  @Test func aReceiptFreesItAndOpensTheClass() throws {
    let first = makeItem(1)
    var bench = bench([first, makeItem(2)], window: 1)
    bench.answer(.acknowledged(reason: 0x10))
    #expect(bench.wire.isEmpty)
    bench.send(.receipt(try receipt(first)))
    #expect(bench.delivered == [1])
    #expect(bench.wire.map(\.item.id) == [2])
    bench.answer(.acknowledged(reason: 0x10))
    #expect(bench.awaitingReceipt.map(\.id) == [2])
  }

  @Test func aReceiptThatIsQuickerThanTheAnswerCountsToo() throws {
    let item = makeItem(1)
    var bench = bench([item])
    bench.send(.receipt(try receipt(item)))
    bench.answer(.acknowledged(reason: 0x10))
    #expect(bench.delivered == [1] && bench.waiting.isEmpty)
  }

  @Test func anotherConnectionMayLeadToSomebody() {
    var bench = bench([makeItem(1), makeItem(2)])
    for _ in 0..<2 { bench.answer(.acknowledged(reason: 0x10)) }
    for _ in 0..<5 {
      _ = untilNextPublish(&bench)
      bench.answer(.acknowledged(reason: 0x10))
    }
    bench.lose()
    let before = bench.sent.count
    while bench.connects < 2 { bench.sleep() }
    bench.send(.link(.connected(ConnectionLimits())))
    #expect(bench.sent.dropFirst(before).map(\.item.id) == [1, 2])
    bench.answer(.acknowledged(reason: 0x10))
    #expect(bench.reports.suffix(1) == [.unheard(.capture, nextAttemptSeconds: 1)])
  }

  @Test func aDividedImageIsSentAgainAsAWhole() {
    var bench = Bench(
      quick {
        $0.confirm = .receipt
        $0.partBytes = 1024
      }, waiting: [makeItem(1, .image, bytes: 2500)])
    bench.connect()
    bench.answer()
    bench.answer(.acknowledged(reason: 0x10))
    bench.answer()
    #expect(bench.awaitingReceipt.isEmpty)
    _ = untilNextPublish(&bench)
    #expect(bench.sent.suffix(3).map { $0.part?.index } == [1, 2, 3])
    bench.answerAll()
    #expect(bench.awaitingReceipt.map(\.id) == [1])
  }

  @Test func whereTheBrokersWordIsEnoughItIs() {
    var bench = Bench(quick(), waiting: [makeItem(1), makeItem(2, .alert)])
    bench.connect()
    for _ in 0..<2 { bench.answer(.acknowledged(reason: 0x10)) }
    #expect(bench.delivered.sorted() == [1, 2] && bench.reports.isEmpty)
  }

  @Test func itIsSaidInWords() {
    #expect(
      "\(DeliveryReport.unheard(.capture, nextAttemptSeconds: 1))"
        == "nobody listens at the broker to capture messages; they wait, next attempt in 1 s")
  }
}
