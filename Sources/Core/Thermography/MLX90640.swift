/// The sensor's driver: a synchronous value that owns its bus. Every wait and every retry is bounded.
///
/// Use: `connect()` once, `use(_:)` with the calibration of its EEPROM, then `readSubPage(into:)` for ever. After an
/// error the next call tries again; when calls keep failing the sensor is `lost`, and the driver looks for it with
/// growing pauses until it answers again.
package struct MLX90640 {
  package struct Settings: Sendable, Hashable {
    /// 7-bit I2C address.
    package var address: UInt8
    /// 4, 16 and 32 sub-pages a second are safe on a bus of 100 kHz, 400 kHz and 1 MHz.
    package var refreshRate: RefreshRate
    /// 19 bit: anything less shows steps in skin temperatures.
    package var resolution: Resolution
    package var pattern: ReadingPattern

    package init(
      address: UInt8 = MLX90640Address.defaultDevice, refreshRate: RefreshRate = .hertz16,
      resolution: Resolution = .bits19, pattern: ReadingPattern = .chess
    ) {
      self.address = address
      self.refreshRate = refreshRate
      self.resolution = resolution
      self.pattern = pattern
    }
  }

  /// What is worth one line in the log. The caller takes them with `takeEvents`.
  package enum Event: Sendable, Hashable {
    case derated(from: RefreshRate, to: RefreshRate)
    case brownOut(control: UInt16)
    case lost
    case returned
    /// The live EEPROM differs from its backup, which is used in its place: an alarm.
    case calibrationFromBackup(differingWords: Int)
    /// The sensor's archive could not be read or written.
    case archiveFailed(reason: String)
  }

  package let settings: Settings
  /// The rate in force: `settings.refreshRate` or less after derating.
  package internal(set) var refreshRate: RefreshRate
  package internal(set) var counters = SensorCounters()
  /// The calibration against which supply, die temperature and gain are judged; nil before `use`.
  package private(set) var calibration: Calibration?

  var transport: SensorTransport
  let clock: any SensorClock
  var phase: DataReadyPhase
  var serialNumber: String?
  var consecutiveFailures = 0
  var lossCount = 0
  var nextAttemptMicroseconds: UInt64?
  var history = SubPageHistory()
  var overrun = 0
  private var events: [Event] = []

  /// Failed calls in a row after which the sensor counts as lost.
  static let failuresUntilLost = 3
  /// Sub-pages dropped in one call before it fails; at half of them the sensor is configured anew.
  static let maximumDrops = 8

  package init(bus: any I2CBus, clock: any SensorClock, settings: Settings = Settings()) {
    self.settings = settings
    self.clock = clock
    refreshRate = settings.refreshRate
    transport = SensorTransport(bus: bus, address: settings.address, clock: clock)
    phase = DataReadyPhase(nominalPeriodMicroseconds: settings.refreshRate.periodMicroseconds)
  }

  /// The register value that the driver wants.
  package var control: ControlRegister {
    ControlRegister(refreshRate: refreshRate, resolution: settings.resolution, pattern: settings.pattern)
  }

  /// Reads the EEPROM twice, compares, and configures the sensor.
  ///
  /// - Returns: the live EEPROM, as it is; whether it can be used is for `EEPROMImage.faults` to say.
  package mutating func connect() throws(SensorError) -> EEPROMImage {
    let eeprom = try readEEPROM()
    serialNumber = eeprom.serialNumber
    refreshRate = settings.refreshRate
    try configure()
    noteReturn()
    consecutiveFailures = 0
    return eeprom
  }

  /// Sets the calibration that sub-pages are checked against.
  package mutating func use(_ calibration: Calibration) { self.calibration = calibration }

  /// The next good sub-page, in at most `maximumDrops` + 8 periods.
  ///
  /// - Parameter subPage: its storage is used again; on an error its contents mean nothing.
  package mutating func readSubPage(into subPage: inout SubPage) throws(SensorError) {
    if let attempt = nextAttemptMicroseconds { try findAgain(notBefore: attempt) }
    do {
      try readGoodSubPage(into: &subPage)
    } catch {
      consecutiveFailures += 1
      if nextAttemptMicroseconds != nil || consecutiveFailures >= Self.failuresUntilLost { declareLost() }
      throw error
    }
    consecutiveFailures = 0
    noteReturn()
  }

  /// Events since the last call, oldest first; at most 32 are kept.
  package mutating func takeEvents() -> [Event] {
    defer { events.removeAll(keepingCapacity: true) }
    return events
  }

  mutating func note(_ event: Event) {
    if events.count < 32 { events.append(event) }
  }

  // MARK: - Configuration

  private mutating func readEEPROM() throws(SensorError) -> EEPROMImage {
    var first = Array(repeating: UInt16(0), count: EEPROMImage.wordCount)
    var second = first
    var differing = 0
    for _ in 0..<3 {
      try transport.read(MLX90640Address.eeprom, into: &first, counters: &counters, operation: "reading the EEPROM")
      try transport.read(MLX90640Address.eeprom, into: &second, counters: &counters, operation: "reading the EEPROM")
      differing = zip(first, second).count { $0 != $1 }
      if differing == 0 { return EEPROMImage(read: first) }
    }
    throw .unstableEEPROM(words: differing)
  }

  /// Writes the control register, reads it back, and finds the phase of data-ready.
  mutating func configure() throws(SensorError) {
    let wanted = control.rawValue
    var found: UInt16 = 0
    for _ in 0..<3 {
      try transport.write(.control, wanted, counters: &counters, operation: "writing the control register")
      found = try transport.readWord(MLX90640Address.control, counters: &counters)
      if found == wanted { break }
    }
    guard found == wanted else { throw .controlRejected(written: wanted, read: found) }
    phase = DataReadyPhase(nominalPeriodMicroseconds: refreshRate.periodMicroseconds)
    history.restart()
    try clearDataReady()
    phase.begin(nowMicroseconds: clock.nowMicroseconds)
  }

  mutating func clearDataReady() throws(SensorError) {
    try transport.write(
      .status, StatusRegister.cleared.rawValue, counters: &counters, operation: "clearing data-ready")
  }

  mutating func readStatus() throws(SensorError) -> StatusRegister {
    StatusRegister(rawValue: try transport.readWord(MLX90640Address.status, counters: &counters))
  }

  // MARK: - Loss and return

  private mutating func declareLost() {
    if nextAttemptMicroseconds == nil {
      counters.losses += 1
      lossCount = 0
      note(.lost)
    }
    // 1, 2, 4 ... 32 seconds: a sensor that is plugged in again is found soon, an absent one costs little.
    nextAttemptMicroseconds = clock.nowMicroseconds + 1_000_000 << UInt64(min(lossCount, 5))
    lossCount += 1
  }

  private mutating func findAgain(notBefore attempt: UInt64) throws(SensorError) {
    let now = clock.nowMicroseconds
    if now < attempt {
      clock.sleep(untilMicroseconds: min(attempt, now + 250_000))
      throw .lost(nextAttemptMicroseconds: attempt)
    }
    do throws(SensorError) {
      try transport.reopen(counters: &counters)
      let eeprom = try readEEPROM()
      guard serialNumber == nil || eeprom.serialNumber == serialNumber else {
        throw .otherSensor(expected: serialNumber ?? "", found: eeprom.serialNumber)
      }
      try configure()
    } catch {
      declareLost()
      throw error
    }
  }

  /// A lost sensor is back only when it has delivered.
  private mutating func noteReturn() {
    guard nextAttemptMicroseconds != nil else { return }
    nextAttemptMicroseconds = nil
    counters.returns += 1
    note(.returned)
  }
}
