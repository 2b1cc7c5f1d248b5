import CMosquitto
import Testing

@testable import CloudLink

/// The rule that tells a slow line from a dead one, without a socket.
@Suite struct LineWatchTests {
  private func progress(acknowledged: UInt64 = 0, received: UInt64 = 0, outstanding: UInt64 = 0) -> link_socket_progress
  {
    link_socket_progress(
      acknowledged_bytes: acknowledged, received_bytes: received, outstanding_bytes: outstanding, established: true)
  }

  @Test func aSlowLineIsNotJudged() {
    var watch = LineWatch(keepAliveSeconds: 60, now: 0)
    // 10 kbit/s, a publish of 96 KiB: nothing comes back for 77 s.
    for second in 1...77 as ClosedRange<Int64> {
      let verdict = watch.judge(
        progress(acknowledged: UInt64(second) * 1250, outstanding: 98_304 - UInt64(second) * 1250), now: second * 1000)
      #expect(verdict == .busy)
    }
  }

  @Test func aDeadLineEndsAfterOneAndAHalfKeepAlives() {
    var watch = LineWatch(keepAliveSeconds: 60, now: 0)
    #expect(watch.judge(progress(acknowledged: 5000, outstanding: 9000), now: 10_000) == .busy)
    // Half a keep-alive without an acknowledgement: libmosquitto may ask.
    #expect(watch.judge(progress(acknowledged: 5000, outstanding: 9000), now: 39_000) == .busy)
    #expect(watch.judge(progress(acknowledged: 5000, outstanding: 9000), now: 41_000) == .mayAsk)
    #expect(watch.judge(progress(acknowledged: 5000, outstanding: 9000), now: 100_000) == .mayAsk)
    #expect(watch.judge(progress(acknowledged: 5000, outstanding: 9000), now: 100_001) == .silent(milliseconds: 90_001))
  }

  @Test func anIdleLineIsAskedAndItsAnswerCounts() {
    var watch = LineWatch(keepAliveSeconds: 10, now: 0)
    for minute in 1...600 as ClosedRange<Int64> {
      #expect(watch.judge(progress(received: UInt64(minute) * 2), now: minute * 10_000) == .mayAsk)
    }
  }
}
