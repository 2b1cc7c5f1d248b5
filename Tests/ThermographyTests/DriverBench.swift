import DeviceSimulation
import Thermography

/// A driver on a simulated sensor with a virtual clock.
struct DriverBench {
  let clock = VirtualSensorClock()
  let sensor: SimulatedMLX90640
  var driver: MLX90640
  var subPage = SubPage.unread
  var counters: SensorCounters { driver.counters }

  /// Connected, calibrated and delivering.
  init(
    rate: RefreshRate = .hertz16, busHertz: Double? = 400_000, seed: UInt64 = 1, connected: Bool = true
  ) throws {
    let eeprom = try GoldenData.exampleEEPROM()
    sensor = SimulatedMLX90640(eeprom: eeprom, clock: clock, seed: seed, busHertz: busHertz)
    driver = MLX90640(bus: sensor, clock: clock, settings: MLX90640.Settings(refreshRate: rate))
    guard connected else { return }
    _ = try driver.connect()
    driver.use(Calibration(eeprom))
  }

  /// Good sub-pages read in a row.
  mutating func read(_ count: Int) throws(SensorError) {
    for _ in 0..<count { try driver.readSubPage(into: &subPage) }
  }

  /// The errors of `count` calls, nil for a good one.
  mutating func outcomes(_ count: Int) -> [SensorError?] {
    var outcomes: [SensorError?] = []
    for _ in 0..<count {
      do throws(SensorError) {
        try driver.readSubPage(into: &subPage)
        outcomes.append(nil)
      } catch {
        outcomes.append(error)
      }
    }
    return outcomes
  }

  /// Reads until a good sub-page comes, through the pauses of a lost sensor; false when none does.
  mutating func recovers(maximumCalls: Int = 400) -> Bool {
    for _ in 0..<maximumCalls where outcomes(1) == [nil] { return true }
    return false
  }

  /// Adds a fault from now on, for so many periods.
  func script(_ kind: ScriptedFault.Kind, periods: Double = .infinity, times: Int? = nil) {
    let now = clock.nowMicroseconds
    let end = periods.isFinite ? now + UInt64(periods * Double(driver.refreshRate.periodMicroseconds)) : .max
    sensor.faults.append(
      ScriptedFault(kind, fromMicroseconds: now, untilMicroseconds: end, times: times))
  }
}
