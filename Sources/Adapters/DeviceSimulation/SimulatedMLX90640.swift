import Provenance
import Thermography

/// An MLX90640 at register level: 16-bit addressed RAM and EEPROM, status and control registers, sub-pages in time,
/// the data-ready bit that the host clears, and scripted faults. A transfer takes its time on the bus, during which
/// new data may overwrite the RAM.
///
/// One thread at a time uses it: its owner is a driver.
package final class SimulatedMLX90640: I2CBus {
  /// Bits a second on the bus; nil makes transfers take no time.
  package var busHertz: Double?
  package var scene: any ThermalScene { didSet { cachedVersion = nil } }
  package var conditions: SubPageSynthesis.Conditions { didSet { synthesis = nil } }
  /// Noise of a pixel at one sub-page a second, in degC; it grows with the root of the rate (datasheet 12.3).
  package var noiseCelsiusAtOneHertz: Double
  /// The part's oscillator relative to the nominal one: 1.05 gives sub-pages 5 % faster.
  package var oscillatorRatio = 1.0
  package var faults: [ScriptedFault] = []
  /// Pixels whose noise is so many times that of the others.
  package var noisyPixels: [Int: Double] = [:]
  /// What happened, for tests.
  package private(set) var transactionCount = 0
  package private(set) var writes: [(address: UInt16, value: UInt16)] = []
  package private(set) var subPagesMeasured: UInt64 = 0
  package private(set) var reopenCount = 0

  private let address: UInt8
  private let clock: any SensorClock
  private var eeprom: [UInt16]
  private var calibration: Calibration
  private var ram = Array(repeating: UInt16(0x7FFF), count: SubPage.wordCount)
  private var status = StatusRegister(rawValue: 0x0010)
  private var control = ControlRegister.powerUpDefault
  private var conversionStart: UInt64
  private var conversions: UInt64 = 0
  private var generator: SeededGenerator
  private var synthesis: SubPageSynthesis?
  private var driftInSynthesis = 0.0
  private var cachedVersion: UInt64?
  private var counts: [Double] = []
  private var countsPerCelsius: [Double] = []
  private var handledBrownOuts: Set<Int> = []

  package init(
    eeprom: EEPROMImage, clock: any SensorClock, scene: any ThermalScene = TorsoScene(),
    conditions: SubPageSynthesis.Conditions = SubPageSynthesis.Conditions(), noiseCelsiusAtOneHertz: Double = 0.08,
    seed: UInt64 = 1, busHertz: Double? = 400_000, address: UInt8 = MLX90640Address.defaultDevice
  ) {
    self.eeprom = eeprom.words
    calibration = Calibration(eeprom)
    self.clock = clock
    self.scene = scene
    self.conditions = conditions
    self.noiseCelsiusAtOneHertz = noiseCelsiusAtOneHertz
    self.busHertz = busHertz
    self.address = address
    generator = SeededGenerator(seed: seed)
    conversionStart = clock.nowMicroseconds
  }

  /// Another part on the same wires.
  package func replacePart(eeprom: EEPROMImage) {
    self.eeprom = eeprom.words
    calibration = Calibration(eeprom)
    synthesis = nil
  }

  // MARK: - The bus

  package func transaction(
    address: UInt8, write: UnsafeRawBufferPointer, read: UnsafeMutableRawBufferPointer
  ) throws(I2CError) {
    transactionCount += 1
    let start = clock.nowMicroseconds
    runConversions(until: start)
    guard address == self.address, !isActive(.unplugged, at: start) else {
      throw I2CError(kind: .noAcknowledgeAddress, device: name, systemErrorNumber: 6)
    }
    try failIfScripted(at: start)
    guard write.count >= 2 else { throw I2CError(kind: .noAcknowledgeData, device: name, systemErrorNumber: 5) }
    let register = UInt16(write[0]) << 8 | UInt16(write[1])
    pass(bytes: write.count + 1)
    if write.count == 4 { store(UInt16(write[2]) << 8 | UInt16(write[3]), at: register) }
    defer { settle() }
    guard !read.isEmpty else { return }
    pass(bytes: 1)
    for index in 0..<read.count / 2 {
      // A word is latched as it is sent: one measured meanwhile is read new, its neighbours before were read old.
      runConversions(until: clock.nowMicroseconds)
      let word = load(register &+ UInt16(index))
      read[2 * index] = UInt8(word >> 8)
      read[2 * index + 1] = UInt8(word & 0xFF)
      pass(bytes: 2)
    }
  }

  package func reopen() throws(I2CError) { reopenCount += 1 }

  private var name: String { "simulated i2c" }
  private var pendingMicroseconds = 0.0

  /// Lets the time of `bytes` bytes with their acknowledge bits pass, a millisecond at a time.
  private func pass(bytes: Int) {
    guard let busHertz else { return }
    pendingMicroseconds += Double(bytes * 9) * 1e6 / busHertz
    if pendingMicroseconds >= 1000 { settle() }
  }

  private func settle() {
    let whole = pendingMicroseconds.rounded(.down)
    pendingMicroseconds -= whole
    if whole > 0 { clock.sleep(untilMicroseconds: clock.nowMicroseconds + UInt64(whole)) }
  }

  // MARK: - Registers

  private func load(_ register: UInt16) -> UInt16 {
    let now = clock.nowMicroseconds
    switch register {
    case MLX90640Address.ram..<MLX90640Address.ram + UInt16(SubPage.wordCount):
      return ram[Int(register - MLX90640Address.ram)]
    case MLX90640Address.eeprom..<MLX90640Address.eeprom + UInt16(EEPROMImage.wordCount):
      let word = eeprom[Int(register - MLX90640Address.eeprom)]
      return isActive(.eepromNoise, at: now) ? word ^ UInt16(truncatingIfNeeded: generator.next() & 1) : word
    case MLX90640Address.status:
      var shown = status.rawValue
      if isActive(.dataReadyStuckLow, at: now) { shown &= ~8 }
      if isActive(.dataReadyStuckHigh, at: now) { shown |= 8 }
      return shown
    case MLX90640Address.control: return control.rawValue
    default: return 0
    }
  }

  private func store(_ value: UInt16, at register: UInt16) {
    writes.append((register, value))
    switch register {
    case MLX90640Address.status:
      // The sub-page bits are the sensor's own; the host sets the others, data-ready among them.
      status.rawValue = status.rawValue & 7 | value & ~7
    case MLX90640Address.control:
      control = ControlRegister(rawValue: value)
      synthesis = nil
      conversionStart = clock.nowMicroseconds
      conversions = 0
    default:
      break  // other registers are read-only, and the EEPROM needs an unlock that the house does not have
    }
  }

  // MARK: - Conversions

  private func runConversions(until now: UInt64) {
    brownOutIfScripted(at: now)
    let period = Double(control.refreshRate.periodMicroseconds) / oscillatorRatio
    let due = UInt64(Double(now - min(conversionStart, now)) / period)
    guard due > conversions else { return }
    // Only the last two can still be seen.
    if due - conversions > 2 {
      subPagesMeasured += due - conversions - 2
      conversions = due - 2
    }
    while conversions < due {
      conversions += 1
      subPagesMeasured += 1
      finishConversion(at: conversionStart + UInt64(Double(conversions) * period))
    }
  }

  private func finishConversion(at time: UInt64) {
    var subPage = Int((conversions - 1) & 1)
    if let stuck = stuckSubPage(at: time) { subPage = stuck }
    status.rawValue = status.rawValue & ~7 | UInt16(subPage) | 8
    guard !isActive(.frozen, at: time) else { return }
    prepare(at: time)
    let deviation =
      noiseCelsiusAtOneHertz * noiseFactor(at: time) * control.refreshRate.subPagesPerSecond.squareRoot()
    for pixel in 0..<MLX90640Geometry.pixelCount where control.pattern.subPage(ofPixel: pixel) == subPage {
      ram[pixel] = SubPageSynthesis.word(
        counts[pixel] + countsPerCelsius[pixel] * deviation * (noisyPixels[pixel] ?? 1) * generator.normal())
    }
    guard let synthesis else { return }
    for (index, word) in synthesis.auxiliaryRAM.enumerated() { ram[MLX90640Geometry.pixelCount + index] = word }
    spoilIfScripted(at: time)
  }

  /// Makes `synthesis` and the scene's counts ready for `time`.
  private func prepare(at time: UInt64) {
    let version = scene.version(atMicroseconds: time)
    let drift = driftCelsius(at: time)
    // In steps far below the converter's own.
    if synthesis == nil || abs(drift - driftInSynthesis) >= 0.005 {
      var conditions = conditions
      conditions.ambientCelsius += drift
      synthesis = SubPageSynthesis(calibration: calibration, control: control, conditions: conditions)
      driftInSynthesis = drift
      cachedVersion = nil
    }
    guard cachedVersion != version, let synthesis else { return }
    (counts, countsPerCelsius) = synthesis.rawCounts(celsius: scene.celsius(atMicroseconds: time))
    cachedVersion = version
  }

  // MARK: - Faults

  private func isActive(_ kind: ScriptedFault.Kind, at time: UInt64) -> Bool {
    faults.contains { $0.kind == kind && $0.isActive(atMicroseconds: time) }
  }

  private func failIfScripted(at time: UInt64) throws(I2CError) {
    for index in faults.indices {
      guard case .transfer(let kind) = faults[index].kind, faults[index].isActive(atMicroseconds: time) else {
        continue
      }
      if let left = faults[index].remaining {
        guard left > 0 else { continue }
        faults[index].remaining = left - 1
      }
      throw I2CError(kind: kind, device: name, systemErrorNumber: kind.errorNumber)
    }
  }

  private func noiseFactor(at time: UInt64) -> Double {
    faults.reduce(1) { factor, fault in
      guard case .noise(let times) = fault.kind, fault.isActive(atMicroseconds: time) else { return factor }
      return factor * times
    }
  }

  /// What a drift has come to by `time`; it stays when its time is over.
  private func driftCelsius(at time: UInt64) -> Double {
    faults.reduce(0) { drift, fault in
      guard case .drift(let celsiusPerMinute) = fault.kind, time > fault.fromMicroseconds else { return drift }
      return drift + celsiusPerMinute * Double(min(time, fault.untilMicroseconds) - fault.fromMicroseconds) / 60e6
    }
  }

  private func stuckSubPage(at time: UInt64) -> Int? {
    for fault in faults where fault.isActive(atMicroseconds: time) {
      if case .subPageStuck(let number) = fault.kind { return number }
    }
    return nil
  }

  private func brownOutIfScripted(at now: UInt64) {
    for (index, fault) in faults.enumerated() where fault.kind == .brownOut && now >= fault.fromMicroseconds {
      guard handledBrownOuts.insert(index).inserted else { continue }
      control = .powerUpDefault
      status = StatusRegister(rawValue: 0x0010)
      for place in ram.indices { ram[place] = SubPage.unmeasured }
      synthesis = nil
      conversionStart = now
      conversions = 0
    }
  }

  private func spoilIfScripted(at time: UInt64) {
    for fault in faults where fault.isActive(atMicroseconds: time) {
      if case .word(let index, let value) = fault.kind { ram[index] = value }
    }
  }
}
