import Testing

@testable import Sentinel

@Suite struct PowerWatchTests {
  private static let second: UInt64 = 1_000_000_000

  private func reading(
    low: Bool = false, slow: Bool = false, wasLow: Bool? = nil, wasSlow: Bool? = nil
  ) -> PowerWatch.Reading {
    .init(isUnderVoltage: low, isThrottled: slow, wasUnderVoltage: wasLow ?? low, wasThrottled: wasSlow ?? slow)
  }

  @Test func eachBeginningIsCountedAndToldOnceAnHour() {
    var watch = PowerWatch()
    var alerts: [PowerWatch.Alert] = []
    for second in 0..<7200 {
      let isLow = second % 60 < 5
      alerts += watch.read(reading(low: isLow, wasLow: true), at: UInt64(second) * Self.second)
      #expect(watch.isUnderVoltage == isLow)
    }
    #expect(watch.brownOuts == 120 && watch.throttlings == 0)
    #expect(alerts == [.underVoltage, .underVoltage])
  }

  /// Shorter than the time between two looks: the board remembers it.
  @Test func whatPassedBetweenTwoReadingsIsTold() {
    var watch = PowerWatch()
    #expect(watch.read(reading(), at: 0).isEmpty)
    #expect(watch.read(reading(wasLow: true, wasSlow: true), at: 1) == [.underVoltage, .throttled])
    #expect(watch.brownOuts == 1 && watch.throttlings == 1 && !watch.isUnderVoltage)
    #expect(watch.read(reading(wasLow: true, wasSlow: true), at: 2).isEmpty)
    #expect(watch.brownOuts == 1)
  }

  /// What happened before this program began is the board's past.
  @Test func thePastIsNoNews() {
    var watch = PowerWatch()
    #expect(watch.read(reading(wasLow: true), at: 0).isEmpty && watch.brownOuts == 0)
    #expect(watch.read(reading(low: true), at: 1) == [.underVoltage])
    #expect(watch.brownOuts == 1)
  }

  @Test func aClockAtItsEndDoesNotTrap() {
    var watch = PowerWatch()
    #expect(watch.read(reading(low: true), at: UInt64.max - 1) == [.underVoltage])
    _ = watch.read(reading(), at: UInt64.max - 1)
    _ = watch.read(reading(low: true), at: UInt64.max)
    #expect(watch.brownOuts == 2)
  }
}
