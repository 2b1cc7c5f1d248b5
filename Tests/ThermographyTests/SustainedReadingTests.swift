import DeviceSimulation
import Testing
import Thermography

/// Ten thousand sub-pages at each safe setting, with oscillators that disagree by up to 8 %.
@Suite("Sustained reading")
struct SustainedReadingTests {
  @Test(
    "10,000 sub-pages, none lost, none torn",
    arguments: [
      (RefreshRate.hertz4, 100_000.0), (.hertz16, 400_000), (.hertz32, 1_000_000),
    ], [0.92, 1.0, 1.08])
  func tenThousand(setting: (rate: RefreshRate, busHertz: Double), oscillatorRatio: Double) throws {
    var bench = try DriverBench(rate: setting.rate, busHertz: setting.busHertz)
    bench.sensor.oscillatorRatio = oscillatorRatio
    bench.sensor.noiseCelsiusAtOneHertz = 0.05
    try bench.read(1)
    let measuredBefore = bench.sensor.subPagesMeasured
    let transactionsBefore = bench.sensor.transactionCount
    var alternates = true
    for _ in 0..<10_000 {
      let before = bench.subPage.number
      try bench.read(1)
      alternates = alternates && bench.subPage.number != before
    }
    #expect(alternates)
    #expect(bench.counters.subPages == 10_001)
    #expect(bench.counters.missedSubPages == 0)
    #expect(bench.counters.tornBlocks == 0)
    #expect(bench.counters.derates == 0)
    // What the sensor measured meanwhile, so that a miss the driver does not see would show.
    #expect(bench.sensor.subPagesMeasured - measuredBefore <= 10_001)
    // Clear, block, status, control, and at most three polls.
    #expect(bench.sensor.transactionCount - transactionsBefore <= 10_000 * 7)
  }
}
