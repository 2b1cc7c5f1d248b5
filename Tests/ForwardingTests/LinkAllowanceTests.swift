import Forwarding
import Testing

@Suite struct LinkAllowanceTests {
  private static let hour: Int64 = 3_600_000_000_000

  @Test func windowsOfOneDayAndPastMidnight() throws {
    let day = try #require(SyncWindow("08:30-17:00"))
    #expect(day.startMinute == 510 && day.endMinute == 1020)
    for (hours, isInside) in [(8, false), (9, true), (16, true), (17, false), (23, false)] as [(Int64, Bool)] {
      #expect(day.contains(utcNanoseconds: 20_000 * 24 * Self.hour + hours * Self.hour) == isInside, "\(hours) h")
    }
    let night = try #require(SyncWindow("22:00-05:30"))
    for (hours, isInside) in [(21, false), (22, true), (0, true), (5, true), (6, false)] as [(Int64, Bool)] {
      #expect(night.contains(utcNanoseconds: 20_000 * 24 * Self.hour + hours * Self.hour) == isInside, "\(hours) h")
    }
    // Before 1970 the day still has 24 hours: 23:00 of the day before.
    #expect(night.contains(utcNanoseconds: -Self.hour))
  }

  @Test(arguments: [
    "", "22:00", "22:00-22:00", "24:00-01:00", "10:60-11:00", "1:00-02:00", "10:00-11:00-12:00", "ab:cd-ef:gh",
  ])
  func whatIsNoWindow(text: String) {
    #expect(SyncWindow(text) == nil)
  }

  @Test func outsideTheWindowOnlyAlertsAreSentAndTheConnectionEndsWithThem() {
    var bench = Bench(quick(), waiting: [makeItem(1), makeItem(2, .image)])
    bench.send(.syncWindow(isOpen: false))
    bench.send(.start)
    #expect(bench.connects == 0)
    // An alert is reason enough; the captures stay.
    bench.store(makeItem(3, .alert, bytes: 100))
    #expect(bench.connects == 1)
    bench.send(.link(.connected(ConnectionLimits())))
    bench.answerAll()
    #expect(bench.delivered == [3])
    #expect(bench.disconnects == 1)
    bench.lose(.requested)
    #expect(bench.connects == 1)
    #expect(bench.machine.standing(now: bench.now).state == .resting)
    // A capture does not wake it, the window does, and what is under way at its end is finished.
    bench.store(makeItem(4))
    #expect(bench.connects == 1)
    bench.send(.syncWindow(isOpen: true))
    #expect(bench.connects == 2)
    bench.send(.link(.connected(ConnectionLimits())))
    bench.send(.syncWindow(isOpen: false))
    bench.answerAll()
    #expect(bench.disconnects == 2)
    #expect(bench.delivered.sorted() == [1, 2, 3, 4])
  }

  @Test func anAlertOutsideTheWindowIsTriedAgainAfterAFailure() {
    var bench = Bench(quick())
    bench.send(.syncWindow(isOpen: false))
    bench.send(.start)
    bench.store(makeItem(1, .alert, bytes: 100))
    bench.send(.link(.connectionFailed(LinkFailure(kind: .unreachable, detail: "test"))))
    bench.sleep()
    #expect(bench.connects == 2)
    bench.send(.link(.connected(ConnectionLimits())))
    bench.answerAll()
    #expect(bench.delivered == [1])
  }

  @Test func aMeteredLineCarriesItsBytesADayAndNoMore() {
    let configuration = quick { $0.bytesPerDay = 2_400_000 }
    var bench = Bench(configuration, waiting: (1...1000).map { makeItem($0, bytes: 8976) })
    bench.connect()
    bench.answerAll()
    // 8976 bytes and the reserve for headers are 10,000: a full allowance carries 240.
    #expect((240...241).contains(bench.delivered.count))
    // Nothing runs hot while the allowance fills: the next wake is the time of the next byte, not now.
    #expect(bench.wake.map { $0 > bench.now } == true)
    // 2.4 MB a day are 100 kB an hour: ten messages.
    let before = bench.delivered.count
    bench.now += 3_600_000_000_000
    bench.send(.tick)
    bench.answerAll()
    #expect((9...11).contains(bench.delivered.count - before))
    // Alerts are not held.
    bench.store(makeItem(2000, .alert, bytes: 100))
    bench.answerAll()
    #expect(bench.delivered.contains(2000))
  }

  @Test func theAllowanceHoldsADayAtMost() {
    var bench = Bench(quick { $0.bytesPerDay = 2_400_000 }, waiting: (1...2000).map { makeItem($0, bytes: 8976) })
    bench.now += 30 * 86_400_000_000_000
    bench.connect()
    bench.answerAll()
    #expect((240...241).contains(bench.delivered.count))
  }
}

/// A hundred devices and a broker that restarts, in simulated time.
@Suite struct ReconnectStormTests {
  @Test(arguments: 1...5) func noSecondOfTheFirstMinuteSeesMoreThanATenth(seed: Int) {
    let restartNanoseconds: UInt64 = 120_000_000_000
    let downNanoseconds: UInt64 = 3_000_000_000
    var perSecond = [Int](repeating: 0, count: 60)
    var lateComers = 0
    for device in 0..<100 {
      var bench = Bench(DeliveryConfiguration(), seed: UInt64(seed * 1000 + device))
      bench.connect()
      bench.now = restartNanoseconds
      bench.lose()
      var attempts = 0
      while attempts < 20 {
        attempts += 1
        let connects = bench.connects
        bench.sleep()
        guard bench.connects > connects else { continue }
        guard bench.now < restartNanoseconds + downNanoseconds else { break }
        bench.send(.link(.connectionFailed(LinkFailure(kind: .unreachable, detail: "test"))))
      }
      let second = Int((bench.now - restartNanoseconds) / 1_000_000_000)
      if second < 60 { perSecond[second] += 1 } else { lateComers += 1 }
    }
    #expect(perSecond.reduce(0, +) + lateComers == 100)
    #expect((perSecond.max() ?? 0) <= 10, "\(perSecond)")
    #expect(lateComers <= 10)
  }
}
