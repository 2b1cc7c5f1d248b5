import CMosquitto
import Testing

@testable import CloudLink

/// The rule that tells a slow line from a dead one, without a socket.
@Suite struct LinkWatchTests {
  private func progress(
    acknowledged: UInt64 = 0, received: UInt64 = 0, outstanding: UInt64 = 0, unheard: UInt64 = 0
  ) -> link_socket_progress {
    link_socket_progress(
      acknowledged_bytes: acknowledged, received_bytes: received, outstanding_bytes: outstanding,
      unheard_milliseconds: unheard, established: true)
  }

  private func makeWatch(_ keepAliveSeconds: UInt16) -> LinkWatch {
    LinkWatch(keepAliveSeconds: keepAliveSeconds, stallMilliseconds: 60_000, now: 0)
  }

  @Test func aSlowLineIsNotJudged() {
    var watch = makeWatch(60)
    // 10 kbit/s, a publish of 96 KiB: nothing comes back for 77 s.
    for second in 1...77 as ClosedRange<Int64> {
      let verdict = watch.judge(
        progress(acknowledged: UInt64(second) * 1250, outstanding: 98_304 - UInt64(second) * 1250), publishes: 1,
        now: second * 1000)
      #expect(verdict == .busy)
      let moved = watch.takeMovement(publishes: 1)
      #expect(moved)
    }
  }

  @Test func aReceiverThatKeepsItsWindowClosedIsNotJudged() {
    var watch = makeWatch(5)
    // It answers the probes of its window and opens it once in 30 s.
    for second in 1...600 as ClosedRange<Int64> {
      let taken = UInt64(second / 30) * 64_000
      let verdict = watch.judge(
        progress(acknowledged: taken, outstanding: 98_304, unheard: 900), publishes: 20, now: second * 1000)
      #expect(verdict == .busy)
      let moved = watch.takeMovement(publishes: 20)
      #expect(moved == (second % 30 == 0))
    }
  }

  @Test func aReceiverThatTakesNothingAnyMoreIsGivenUp() {
    var watch = makeWatch(5)
    let stuck = progress(acknowledged: 1000, outstanding: 98_304, unheard: 900)
    #expect(watch.judge(stuck, publishes: 20, now: 1000) == .busy)
    #expect(watch.judge(stuck, publishes: 20, now: 61_000) == .busy)
    #expect(watch.judge(stuck, publishes: 20, now: 61_001) == .stalled(milliseconds: 60_001))
    // An idle connection has nothing to take.
    #expect(watch.judge(progress(acknowledged: 1000, unheard: 900), publishes: 0, now: 200_000) == .mayAsk)
  }

  @Test func aDeadLineEndsAfterOneAndAHalfKeepAlives() {
    var watch = makeWatch(60)
    #expect(watch.judge(progress(acknowledged: 5000, outstanding: 9000), publishes: 1, now: 10_000) == .busy)
    let late = progress(acknowledged: 5000, outstanding: 9000, unheard: 90_000)
    #expect(watch.judge(late, publishes: 1, now: 50_000) == .busy)
    let dead = progress(acknowledged: 5000, outstanding: 9000, unheard: 90_001)
    #expect(watch.judge(dead, publishes: 1, now: 50_001) == .silent(milliseconds: 90_001))
    #expect(watch.judge(progress(unheard: 90_001), publishes: 0, now: 50_002) == .silent(milliseconds: 90_001))
  }

  @Test func anIdleLineIsAskedAndItsAnswerCounts() {
    var watch = makeWatch(10)
    for minute in 1...600 as ClosedRange<Int64> {
      let now = minute * 10_000
      // The answer to the last question came a second ago.
      #expect(watch.judge(progress(received: UInt64(minute) * 2, unheard: 1), publishes: 0, now: now - 9000) == .busy)
      #expect(watch.judge(progress(received: UInt64(minute) * 2, unheard: 9000), publishes: 0, now: now) == .mayAsk)
    }
  }

  @Test func whatSomethingInBetweenHoldsIsWaitedForOneKeepAlive() {
    var watch = makeWatch(10)
    // Acknowledged by a proxy's TCP, not by the broker.
    let held = progress(acknowledged: 400_000, unheard: 3000)
    #expect(watch.judge(held, publishes: 5, now: 1000) == .busy)
    #expect(watch.judge(held, publishes: 5, now: 10_999) == .busy)
    #expect(watch.judge(held, publishes: 5, now: 11_000) == .mayAsk)
    #expect(watch.judge(held, publishes: 0, now: 10_999) == .mayAsk)
  }

  /// Its machine's TCP takes and acknowledges everything, the broker itself is stopped. Looked at every quarter second.
  @Test(arguments: [0, 5])
  func aStoppedBrokerIsNoticedInTimeAtAShortKeepAlive(publishes: Int) throws {
    var watch = makeWatch(5)
    var noticed: Int64?
    _ = watch.judge(progress(acknowledged: 100, received: 100), publishes: publishes, now: 0)
    for now in stride(from: 250, through: 30_000, by: 250) as StrideThrough<Int64> {
      // Our PINGREQ, after a keep-alive, is acknowledged like everything.
      let acknowledged: UInt64 = now < 6000 ? 100 : 102
      let verdict = watch.judge(
        progress(acknowledged: acknowledged, received: 100), publishes: publishes, now: now)
      if case .unanswered = verdict {
        noticed = now
        break
      }
    }
    let milliseconds = try #require(noticed)
    #expect((8000...9750).contains(milliseconds), "\(milliseconds)")
  }

  /// An answer that needs two seconds, as over a satellite: the connection stands, for an hour.
  @Test func aBrokerThatAnswersLateIsNotGivenUp() {
    var watch = makeWatch(5)
    var received: UInt64 = 100
    var heard: Int64 = 0
    for now in stride(from: 250, through: 3_600_000, by: 250) as StrideThrough<Int64> {
      // PINGREQ at most six and a quarter seconds after the last word, its answer two later.
      if now - heard >= 8250 {
        received += 2
        heard = now
      }
      let verdict = watch.judge(progress(received: received), publishes: 0, now: now)
      #expect(verdict == .busy || verdict == .mayAsk, "\(now)")
    }
  }

  @Test func acknowledgementsOfTheOtherDirectionAreNoMovement() {
    var watch = makeWatch(10)
    var told = 0
    for second in 1...100 as ClosedRange<Int64> {
      // Our PUBACK of one receipt a second.
      _ = watch.judge(progress(acknowledged: UInt64(second) * 5), publishes: 1, now: second * 1000)
      if watch.takeMovement(publishes: 1) { told += 1 }
    }
    #expect(told == 0)
  }
}
