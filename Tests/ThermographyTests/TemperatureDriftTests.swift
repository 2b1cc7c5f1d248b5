import Provenance
import Testing
import Thermography

@Suite struct TemperatureDriftTests {
  private func instant(_ seconds: Double) -> Timestamp {
    Timestamp(
      utcNanoseconds: 0, bootID: "b", monotonicNanoseconds: UInt64(seconds * 1e9), synchronised: false)
  }

  @Test func nothingIsSaidBeforeAMinuteWasSeen() {
    var drift = TemperatureDrift()
    for tick in 0..<(50 * 8) { drift.add(25, at: instant(Double(tick) / 8)) }
    #expect(drift.celsiusPerMinute == nil)
  }

  @Test func aSteadyRiseIsMeasuredOverTheLastMinuteOnly() throws {
    var drift = TemperatureDrift()
    // Ten minutes at rest, then half a degree a minute.
    for second in 0..<600 { drift.add(25, at: instant(Double(second))) }
    #expect(drift.celsiusPerMinute == 0)
    for second in 600..<720 { drift.add(25 + 0.5 * Double(second - 600) / 60, at: instant(Double(second))) }
    #expect(abs(try #require(drift.celsiusPerMinute) - 0.5) < 0.01)
  }

  @Test func aLostCameraStartsAnew() {
    var drift = TemperatureDrift()
    for second in 0..<120 { drift.add(25, at: instant(Double(second))) }
    drift.forget()
    #expect(drift.celsiusPerMinute == nil)
  }
}
