import Forwarding
import Testing

@Suite struct DeliveryMachineTests {
  @Test func classesGoInTheirOrderAndMessagesInTheirs() {
    let items = [
      makeItem(1, .health), makeItem(2, .image), makeItem(3, .capture), makeItem(4, .event), makeItem(5, .alert),
      makeItem(6, .capture), makeItem(7, .image), makeItem(8, .alert),
    ]
    var bench = Bench(quick { $0.window = 1 }, waiting: items)
    bench.connect()
    bench.answerAll()
    #expect(bench.sent.map(\.item.id) == [5, 8, 3, 6, 2, 7, 4, 1])
    #expect(bench.delivered == [5, 8, 3, 6, 2, 7, 4, 1])
    #expect(bench.waiting.isEmpty)
  }

  @Test(arguments: [(20, 65_535, 20), (20, 5, 5), (1000, 1, 1), (3, 3, 3)])
  func windowIsTheSmallerOfOursAndTheBrokers(ours: Int, receiveMaximum: Int, expected: Int) {
    var bench = Bench(quick { $0.window = ours }, waiting: (1...50).map { makeItem($0) })
    bench.connect(ConnectionLimits(receiveMaximum: receiveMaximum))
    #expect(bench.wire.count == expected)
    bench.answer()
    #expect(bench.wire.count == expected)
    bench.answerAll()
    #expect(bench.delivered == Array(1...50))
  }

  @Test func anAlertOvertakesAtTheNextMessageBoundaryButNotInsideADividedImage() throws {
    var bench = Bench(
      quick {
        $0.window = 1
        $0.partBytes = 1024
      }, waiting: [makeItem(1, .image, bytes: 4000), makeItem(2, .image, bytes: 500)])
    bench.connect()
    bench.store(makeItem(3, .alert))
    bench.answerAll()
    #expect(bench.sent.map(\.item.id) == [1, 1, 1, 1, 3, 2])
    #expect(bench.sent.prefix(4).map { $0.part?.index } == [1, 2, 3, 4])
    #expect(bench.sent.prefix(4).allSatisfy { $0.part?.count == 4 })
    #expect(bench.sent.prefix(4).map(\.range) == [0..<1024, 1024..<2048, 2048..<3072, 3072..<4000])
    #expect(bench.delivered == [1, 3, 2])
  }

  @Test func withoutAnAcknowledgementTheSameMessagesComeAgainInOrderAndMarked() {
    var bench = Bench(quick { $0.window = 4 })
    bench.connect()
    for id in 1...6 { bench.store(makeItem(Int64(id))) }
    #expect(bench.sent.map(\.item.id) == [1, 2, 3, 4])
    #expect(bench.sent.allSatisfy { !$0.replayed })
    bench.answer()
    bench.lose()
    #expect(bench.wire.isEmpty)
    let before = bench.sent.count
    bench.sleep()
    #expect(bench.connects == 2)
    bench.send(.link(.connected(ConnectionLimits())))
    bench.store(makeItem(7))
    bench.answerAll()
    #expect(bench.sent.dropFirst(before).map(\.item.id) == [2, 3, 4, 5, 6, 7])
    #expect(bench.sent.dropFirst(before).map(\.replayed) == [true, true, true, true, true, false])
    #expect(bench.delivered == [1, 2, 3, 4, 5, 6, 7])
  }

  @Test func lateOutcomesOfAnOldConnectionChangeNothing() {
    var bench = Bench(quick { $0.window = 2 }, waiting: [makeItem(1), makeItem(2)])
    bench.connect()
    let old = bench.wire
    bench.lose()
    for order in old { bench.send(.link(.published(token: order.token, outcome: .acknowledged(reason: 0)))) }
    #expect(bench.delivered.isEmpty)
    #expect(bench.waiting.count == 2)
  }

  @Test func receiptModeKeepsRecordsAndImagesUntilTheReceiptAndSendsThemAgain() {
    var bench = Bench(
      quick {
        $0.confirm = .receipt
        $0.receiptTimeoutSeconds = 8
      }, waiting: [makeItem(1, .capture), makeItem(2, .image), makeItem(3, .event)])
    bench.connect()
    for _ in 0..<3 { bench.answer() }
    #expect(bench.delivered == [3])
    #expect(bench.awaitingReceipt.map(\.id) == [1, 2])
    bench.sleep()
    #expect(bench.sent.map(\.item.id) == [1, 2, 3, 1, 2])
    #expect(bench.reports.contains(.receiptsOverdue(count: 2)))
    #expect(bench.sent.suffix(2).map(\.replayed) == [true, true])
  }

  @Test func withoutReasonCodesOnlyAReceiptCounts() {
    var bench = Bench(quick { $0.confirm = .broker }, waiting: [makeItem(1, .capture), makeItem(2, .alert)])
    bench.connect(ConnectionLimits(protocolVersion: .mqtt311))
    for _ in 0..<2 { bench.answer() }
    #expect(bench.delivered == [2])
    #expect(bench.awaitingReceipt.map(\.id) == [1])
  }

  @Test func refusalHoldsItsClassAndNoOther() throws {
    var bench = Bench(
      quick { $0.window = 1 }, waiting: [makeItem(1, .capture), makeItem(2, .capture), makeItem(3, .event)])
    bench.connect()
    bench.answer(.refused(reason: 0x87))
    #expect(bench.reports == [.refused(.capture, reason: 0x87, nextAttemptSeconds: 2)])
    #expect(bench.wire.map(\.item.id) == [3])
    bench.answer()
    #expect(bench.wire.isEmpty)
    #expect(bench.waiting.map(\.id) == [1, 2])
    // Forty refusals later it still waits, with ever longer pauses and never set aside.
    for _ in 0..<40 {
      bench.sleep()
      bench.answer(.refused(reason: 0x97))
    }
    #expect(bench.quarantined.isEmpty)
    #expect(bench.reports.last == .refused(.capture, reason: 0x97, nextAttemptSeconds: 120))
    bench.sleep()
    bench.answerAll()
    #expect(bench.delivered == [3, 1, 2])
    #expect(bench.machine.counters.refused[DeliveryClass.capture.rawValue] == 41)
    #expect(bench.machine.counters.acknowledgementsByReason[0x97] == 40)
  }

  /// Between the refusals of one window the outbox is looked at anew: the last of them must not overtake the first.
  @Test func aRefusalAfterANewLookKeepsItsPlace() {
    var bench = Bench(quick { $0.window = 3 }, waiting: (1...6).map { makeItem($0) })
    bench.connect()
    #expect(bench.sent.map(\.item.id) == [1, 2, 3])
    bench.answer(.refused(reason: 0x87))
    bench.answer(.refused(reason: 0x87))
    bench.send(.outboxChanged)
    bench.answer(.refused(reason: 0x87))
    #expect(bench.wire.isEmpty)
    bench.answerAll()
    #expect(bench.sent.dropFirst(3).map(\.item.id) == [1, 2, 3, 4, 5, 6])
    #expect(bench.delivered == [1, 2, 3, 4, 5, 6])
  }

  /// A window that is refused as a whole is one refusal, and the next attempt is a single message: were the rights
  /// given back in the middle of a second window, its later messages would be taken before its earlier ones.
  @Test func afterARefusalOneMessageAsks() {
    var bench = Bench(quick { $0.window = 5 }, waiting: (1...8).map { makeItem($0) })
    bench.connect()
    for expected in [2, 4, 8] {
      while !bench.wire.isEmpty { bench.answer(.refused(reason: 0x87)) }
      #expect(bench.reports.last == .refused(.capture, reason: 0x87, nextAttemptSeconds: expected))
      let before = bench.sent.count
      bench.sleep()
      #expect(bench.sent.dropFirst(before).map(\.item.id) == [1])
    }
    bench.answer()
    #expect(bench.wire.map(\.item.id) == [2, 3, 4, 5, 6], "the window is open again")
    bench.answerAll()
    #expect(bench.delivered == Array(1...8))
  }

  @Test func aSuccessWithAHighReasonIsARefusal() {
    var bench = Bench(quick(), waiting: [makeItem(1)])
    bench.connect()
    bench.answer(.acknowledged(reason: 0x80))
    #expect(bench.delivered.isEmpty)
    bench.sleep()
    bench.answer(.acknowledged(reason: 0x10))
    #expect(bench.delivered == [1])
  }

  @Test func aMessageThatIsItselfAtFaultIsSetAside() {
    var bench = Bench(quick { $0.window = 1 }, waiting: [makeItem(1), makeItem(2)])
    bench.connect()
    for _ in 0..<3 {
      bench.answer(.refused(reason: 0x99))
      if bench.wire.isEmpty { bench.sleep() }
    }
    #expect(bench.quarantined.map(\.id) == [1])
    bench.answerAll()
    #expect(bench.delivered == [2])
  }

  @Test func oversizeIsDividedOrSetAsideBeforeItIsHandedOver() {
    var bench = Bench(
      quick(),
      waiting: [makeItem(1, .capture, bytes: 60_000), makeItem(2, .image, bytes: 60_000), makeItem(3, .capture)])
    bench.connect(ConnectionLimits(maximumPacketBytes: 20_480))
    bench.answerAll()
    #expect(bench.quarantined.map(\.id) == [1])
    #expect(bench.quarantined.first?.reason.contains("20480") == true)
    let parts = bench.sent.filter { $0.item.id == 2 }
    #expect(parts.count == 4)
    #expect(parts.allSatisfy { $0.range.count <= 20_480 - 1024 })
    #expect(bench.delivered == [3, 2])
  }

  @Test(arguments: [1, 500, 1023, 1024])
  func aBrokerThatTakesAlmostNothingMakesNoEndlessLoop(maximum: Int) {
    var bench = Bench(quick(), waiting: [makeItem(1, .image), makeItem(2, .alert)])
    bench.connect(ConnectionLimits(maximumPacketBytes: maximum))
    #expect(bench.sent.isEmpty)
    #expect(Set(bench.quarantined.map(\.id)) == [1, 2])
  }

  @Test func aBrokerThatHangsUpAtLargePacketsGetsSmallerOnes() {
    let limit = 20_480
    var bench = Bench(
      quick { $0.window = 3 }, waiting: [makeItem(1, .image, bytes: 60_000), makeItem(2, .image, bytes: 500)])
    bench.connect(ConnectionLimits(protocolVersion: .mqtt5))
    var rounds = 0
    while !bench.waiting.isEmpty && rounds < 100 {
      rounds += 1
      if let order = bench.wire.first, order.range.count + 200 > limit {
        bench.lose()
        bench.sleep()
        bench.send(.link(.connected(ConnectionLimits())))
      } else if bench.wire.isEmpty {
        bench.sleep()
      } else {
        bench.answer()
      }
    }
    #expect(bench.delivered.sorted() == [1, 2])
    #expect(bench.quarantined.isEmpty)
    #expect(bench.reports.contains(.packetLimitAssumed(bytes: 30_512)))
  }

  @Test func aRestartingBrokerCostsNothingButTime() {
    var bench = Bench(quick(), waiting: (1...5).map { makeItem($0) })
    bench.connect()
    for _ in 0..<30 {
      bench.lose()
      bench.sleep()
      bench.send(.link(.connected(ConnectionLimits())))
    }
    bench.answerAll()
    for _ in 0..<3 where !bench.waiting.isEmpty {
      bench.now += 200_000_000_000
      bench.send(.tick)
      bench.answerAll()
    }
    #expect(bench.quarantined.isEmpty)
    #expect(bench.delivered == [1, 2, 3, 4, 5])
  }

  @Test func stalledAcknowledgementsEndTheConnection() {
    var bench = Bench(quick { $0.acknowledgementTimeoutSeconds = 60 }, waiting: [makeItem(1)])
    bench.connect()
    #expect(bench.wake == bench.now + 60_000_000_000)
    bench.sleep()
    #expect(bench.disconnects == 1)
    #expect(bench.reports == [.acknowledgementsStalled(seconds: 60)])
    bench.lose(.requested)
    bench.sleep()
    #expect(bench.connects == 2)
  }

  @Test func aSlowLineIsNotTakenForADeadOne() {
    var bench = Bench(quick { $0.acknowledgementTimeoutSeconds = 60 }, waiting: (1...20).map { makeItem($0, .event) })
    bench.connect()
    // A window that takes ten minutes: each publish has its outcome in time, measured from the one before.
    for _ in 1...10 {
      bench.now += 50_000_000_000
      bench.send(.tick)
      bench.answer()
    }
    // A single large one takes longer than the time-out, and gets through all the while.
    for _ in 1...10 {
      bench.now += 50_000_000_000
      bench.send(.link(.moving))
    }
    #expect(bench.disconnects == 0)
    bench.sleep()
    #expect(bench.reports == [.acknowledgementsStalled(seconds: 60)])
  }

  @Test func anAcknowledgementThatOthersOvertookIsNotAwaitedForEver() {
    var bench = Bench(
      quick {
        $0.acknowledgementTimeoutSeconds = 60
        $0.window = 2
      }, waiting: (1...400).map { makeItem($0, .event) })
    bench.connect()
    let first = bench.wire.removeFirst()
    var answered = 0
    while bench.disconnects == 0, answered < 300 {
      bench.now += 1_000_000_000
      bench.answer()
      answered += 1
    }
    #expect(answered == 61)
    #expect(bench.sent.filter { $0.item.id == first.item.id }.count == 1)
  }

  @Test func paceHoldsOverASecondAndAlertsAreExempt() {
    var bench = Bench(
      quick {
        $0.window = 1000
        $0.messagesPerSecond = 50
      }, waiting: (1...2000).map { makeItem($0, .event) })
    bench.connect()
    let burst = bench.sent.count
    #expect(burst == 1000)
    bench.answerAll(limit: 1000)
    let start = bench.now
    let before = bench.sent.count
    while bench.now < start + 1_000_000_000 {
      bench.sleep()
      while !bench.wire.isEmpty { bench.answer() }
    }
    #expect((49...52).contains(bench.sent.count - before))
    bench.store(makeItem(3000, .alert))
    #expect(bench.sent.last?.item.id == 3000)
  }

  @Test func outcomesAreWrittenTogether() {
    var bench = Bench(
      quick {
        // Room for one more, so that every class has been looked at before the first outcome.
        $0.window = 101
        $0.settlementBatch = 10
        $0.settlementDelayMilliseconds = 250
      }, waiting: (1...100).map { makeItem($0, .event) })
    bench.connect()
    for _ in 0..<9 { bench.answer() }
    #expect(bench.delivered.isEmpty)
    bench.answer()
    #expect(bench.delivered.count == 10)
    bench.answer()
    #expect(bench.wake == bench.now + 250_000_000)
    bench.sleep()
    #expect(bench.delivered.count == 11)
  }

  @Test func stopWritesDownWhatIsKnownAndDisconnects() {
    var bench = Bench(
      quick {
        $0.settlementBatch = 100
        $0.settlementDelayMilliseconds = 1000
        $0.window = 2
      }, waiting: [makeItem(1), makeItem(2), makeItem(3)])
    bench.connect()
    bench.answer()
    #expect(bench.delivered.isEmpty)
    bench.send(.stop)
    #expect(bench.delivered == [1])
    #expect(bench.disconnects == 1)
    #expect(bench.wake == nil)
    bench.store(makeItem(4))
    bench.lose()
    #expect(bench.connects == 1)
  }

  @Test func unreadableAndVanishedMessagesDoNotStopTheRest() {
    var bench = Bench(quick { $0.window = 3 }, waiting: (1...4).map { makeItem($0) })
    bench.connect()
    let orders = bench.wire
    bench.wire.removeAll { $0.item.id < 3 }
    bench.send(.unreadable(orders[0].token, reason: "damaged"))
    bench.waiting.removeAll { $0.id == 2 }
    bench.send(.vanished(orders[1].token))
    bench.answerAll()
    #expect(bench.quarantined == [Settlement.Quarantined(id: 1, reason: "damaged")])
    #expect(bench.delivered == [3, 4])
  }

  @Test func whatCannotBeReadForNowWaitsAndIsNeverSetAside() {
    var bench = Bench(quick { $0.window = 1 }, waiting: [makeItem(1), makeItem(2), makeItem(3, .event)])
    bench.connect()
    for _ in 0..<10 {
      let token = bench.wire.removeFirst().token
      bench.send(.unavailable(token))
      bench.answerAll()
      bench.now += 120_000_000_000
      bench.send(.tick)
    }
    #expect(bench.quarantined.isEmpty)
    #expect(bench.delivered == [3])
    bench.answerAll()
    #expect(bench.delivered == [3, 1, 2])
  }

  @Test func onlyAWindowOfTheBacklogIsHeld() {
    var bench = Bench(quick(), waiting: (1...1000).map { makeItem($0) })
    bench.connect()
    bench.answerAll()
    #expect(bench.largestLookAhead <= DeliveryMachine.lookAhead)
    #expect(bench.delivered == Array(1...1000))
  }
}
