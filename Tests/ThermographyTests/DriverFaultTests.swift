import DeviceSimulation
import Testing
import Thermography

/// Every fault that the driver knows, scripted in the simulated sensor: detected, counted, and over when it is over.
@Suite("Driver faults")
struct DriverFaultTests {
  /// A kind of failure with the counter that belongs to it.
  struct CountedFailure: Sendable, CustomTestStringConvertible {
    var kind: I2CError.Kind
    var count: @Sendable (SensorCounters) -> UInt64
    var testDescription: String { "\(kind)" }
  }

  @Test(
    "a failing transfer is tried again, counted by kind, and loses nothing",
    arguments: [
      CountedFailure(kind: .noAcknowledgeAddress) { $0.addressNotAcknowledged },
      CountedFailure(kind: .noAcknowledgeData) { $0.dataNotAcknowledged },
      CountedFailure(kind: .arbitrationLost) { $0.arbitrationLost },
      CountedFailure(kind: .bus) { $0.busErrors },
      CountedFailure(kind: .timeout) { $0.busTimeouts },
      CountedFailure(kind: .shortTransfer) { $0.shortTransfers },
      CountedFailure(kind: .other) { $0.otherBusFailures },
    ])
  func transientBusFailure(failure: CountedFailure) throws {
    var bench = try DriverBench()
    try bench.read(5)
    bench.script(.transfer(failure.kind), times: 3)
    try bench.read(20)
    #expect(failure.count(bench.counters) == 3)
    #expect(bench.counters.retries == 3)
    #expect(bench.counters.reopens == 0)
    #expect(bench.counters.missedSubPages == 0)
    #expect(bench.counters.subPages == 25)
  }

  @Test("a burst that outlasts the retries opens the bus again")
  func burstReopens() throws {
    var bench = try DriverBench()
    try bench.read(5)
    bench.script(.transfer(.bus), times: 4)
    try bench.read(5)
    #expect(bench.counters.busErrors == 4)
    #expect(bench.counters.reopens == 1)
    #expect(bench.sensor.reopenCount == 1)
    #expect(bench.counters.losses == 0)
  }

  @Test("an unplugged sensor is lost within bounded calls and found again")
  func lossAndReturn() throws {
    var bench = try DriverBench()
    try bench.read(10)
    bench.script(.unplugged, periods: 16 * 10)  // ten seconds
    let start = bench.clock.nowMicroseconds
    let transactionsBefore = bench.sensor.transactionCount
    let errors = bench.outcomes(3)
    #expect(
      errors.allSatisfy {
        if case .bus(let error, _) = $0 { error.kind == .noAcknowledgeAddress } else { false }
      })
    #expect(bench.sensor.transactionCount - transactionsBefore <= 3 * 5)
    #expect(bench.clock.nowMicroseconds - start < 1_000_000)
    #expect(bench.counters.losses == 1)
    #expect(bench.driver.takeEvents() == [.lost])
    var calls = 0
    while bench.counters.returns == 0, calls < 1000 {
      _ = bench.outcomes(1)
      calls += 1
    }
    #expect(bench.counters.returns == 1)
    #expect(bench.driver.takeEvents() == [.returned])
    #expect(Double(bench.clock.nowMicroseconds - start) / 1e6 < 20)
    try bench.read(50)
    #expect(bench.counters.losses == 1)
  }

  @Test("a sensor that was swapped is not read with the old calibration")
  func swappedSensor() throws {
    var bench = try DriverBench()
    try bench.read(2)
    bench.script(.unplugged, periods: 16 * 2)
    _ = bench.outcomes(3)
    var words = try GoldenData.exampleEEPROM().words
    words[8] ^= 0x0100
    bench.sensor.replacePart(eeprom: try EEPROMImage(words: words))
    var swapped: SensorError?
    for _ in 0..<200 where swapped == nil {
      if case .otherSensor(let expected, let found)? = bench.outcomes(1)[0] {
        swapped = .otherSensor(expected: expected, found: found)
      }
    }
    #expect(swapped == .otherSensor(expected: "1710a2240185", found: "1710a3240185"))
    let eeprom = try bench.driver.connect()
    bench.driver.use(Calibration(eeprom))
    try bench.read(10)
  }

  @Test("data-ready stuck at 0 ends in an error, not in a wait")
  func dataReadyStuckLow() throws {
    var bench = try DriverBench()
    try bench.read(5)
    bench.script(.dataReadyStuckLow)
    let start = bench.clock.nowMicroseconds
    #expect(bench.outcomes(1) == [.noData(periods: 8)])
    let periods = Double(bench.clock.nowMicroseconds - start) / Double(RefreshRate.hertz16.periodMicroseconds)
    #expect(periods < 10)
    #expect(bench.counters.dataReadyStuckLow == 2)
    bench.sensor.faults = []
    try bench.read(10)
  }

  @Test("data-ready stuck at 1 is told from new data")
  func dataReadyStuckHigh() throws {
    var bench = try DriverBench()
    try bench.read(5)
    bench.script(.dataReadyStuckHigh)
    #expect(bench.outcomes(1) == [.dataReadyStuck])
    #expect(bench.counters.dataReadyStuckHigh == 1)
    bench.sensor.faults = []
    try bench.read(10)
  }

  @Test("a sub-page number that does not alternate is dropped and reported", arguments: [0, 1])
  func stuckSubPage(number: Int) throws {
    var bench = try DriverBench()
    try bench.read(6)
    bench.script(.subPageStuck(number))
    let outcomes = bench.outcomes(3)
    #expect(outcomes.contains { if case .stuckSubPage(number, _)? = $0 { true } else { false } })
    #expect(bench.counters.repeatedSubPages >= 6)
    bench.sensor.faults = []
    let recovered = bench.recovers()
    #expect(recovered)
    try bench.read(10)
  }

  @Test("identical blocks are stale, however they are announced")
  func staleData() throws {
    var bench = try DriverBench()
    try bench.read(6)
    bench.script(.frozen)
    let outcomes = bench.outcomes(3)
    #expect(outcomes.contains { if case .staleData? = $0 { true } else { false } })
    #expect(bench.counters.staleSubPages >= 6)
    bench.sensor.faults = []
    let recovered = bench.recovers()
    #expect(recovered)
    try bench.read(10)
  }

  @Test("a brown-out is seen in the control register and repaired within the call")
  func brownOut() throws {
    var bench = try DriverBench()
    try bench.read(10)
    bench.script(.brownOut)
    try bench.read(10)
    #expect(bench.counters.brownOuts == 1)
    #expect(bench.subPage.control == bench.driver.control)
    #expect(bench.driver.takeEvents() == [.brownOut(control: 0x1901)])
    #expect(bench.sensor.writes.last { $0.address == 0x800D }?.value == bench.driver.control.rawValue)
  }

  @Test("0x7fff in an auxiliary word that the maths uses", arguments: [768, 778, 800, 810])
  func unmeasuredAuxiliary(index: Int) throws {
    var bench = try DriverBench()
    try bench.read(4)
    bench.script(.word(index: index, value: 0x7FFF))
    let expected = SubPageFault.auxiliaryUnmeasured(address: 0x0400 + UInt16(index))
    #expect(bench.outcomes(1) == [.unusableData(count: 8, last: expected)])
    #expect(bench.counters.unmeasuredWords == 8)
  }

  @Test("one pixel of 0x7fff makes that pixel invalid, not the image")
  func unmeasuredPixel() throws {
    var bench = try DriverBench()
    bench.script(.word(index: 100, value: 0x7FFF))
    try bench.read(4)
    let calibration = Calibration(try GoldenData.exampleEEPROM())
    var image = TemperatureImage()
    let converter = TemperatureConverter(calibration)
    for _ in 0..<2 {
      try bench.read(1)
      converter.convert(
        bench.subPage, at: OperatingPoint(calibration: calibration, subPage: bench.subPage), emissivity: 0.98,
        into: &image)
    }
    #expect(image.valid.indices.filter { !image.valid[$0] } == [100])
  }

  @Test("supply, die temperature and gain out of their windows")
  func implausibleState() throws {
    var supply = try DriverBench()
    supply.sensor.conditions.supplyVolts = 3.7
    guard case .unusableData(8, .supplyImplausible(let volts))? = supply.outcomes(1)[0] else {
      Issue.record("3.7 V passed")
      return
    }
    #expect(abs(volts - 3.7) < 0.01)
    #expect(supply.counters.implausibleSupply == 8)

    var ambient = try DriverBench()
    ambient.sensor.conditions.ambientCelsius = 90
    guard case .unusableData(8, .ambientImplausible(let celsius))? = ambient.outcomes(1)[0] else {
      Issue.record("90 degC passed")
      return
    }
    #expect(abs(celsius - 90) < 0.5)

    var gain = try DriverBench()
    gain.sensor.conditions.gainRatio = 0.45
    guard case .unusableData(8, .gainImplausible(let ratio))? = gain.outcomes(1)[0] else {
      Issue.record("a gain of 0.45 passed")
      return
    }
    #expect(abs(ratio - 0.45) < 0.01)
  }

  @Test("an EEPROM that reads differently each time is refused")
  func unstableEEPROM() throws {
    var bench = try DriverBench(connected: false)
    bench.script(.eepromNoise)
    #expect {
      _ = try bench.driver.connect()
    } throws: { error in
      if case .unstableEEPROM(let words)? = error as? SensorError { words > 100 } else { false }
    }
  }

  @Test("a host that cannot keep up gets a lower rate, with one event a step")
  func overrunDerates() throws {
    var bench = try DriverBench(rate: .hertz32, busHertz: 100_000)  // a block takes 152 ms of 31 ms
    _ = bench.outcomes(200)
    let derated = bench.driver.takeEvents()
    #expect(
      derated == [
        .derated(from: .hertz32, to: .hertz16), .derated(from: .hertz16, to: .hertz8),
        .derated(from: .hertz8, to: .hertz4),
      ])
    #expect(bench.driver.refreshRate == .hertz4)
    #expect(bench.counters.derates == 3)
    let torn = bench.counters.tornBlocks
    try bench.read(100)
    #expect(bench.counters.tornBlocks == torn)
  }

  @Test("a host that sleeps too long counts what it missed and delivers whole sub-pages")
  func lateHost() throws {
    var bench = try DriverBench()
    try bench.read(20)
    for _ in 0..<3 {
      bench.clock.advance(byMicroseconds: 62_500 * 5)
      try bench.read(20)
    }
    #expect(bench.counters.missedSubPages >= 12 && bench.counters.missedSubPages <= 18)
    #expect(bench.counters.subPages == 80)
  }
}
