/// What a capture asks of the camera.
package struct CaptureRequest: Sendable, Hashable {
  /// Sub-page pairs to average, 1...1024.
  package var frames: Int
  /// 0.1...1; skin is 0.98.
  package var emissivity: Double
  /// The radiation that the skin reflects, as a temperature in degC; nil stands for Ta - 8 of the sensor.
  package var reflectedCelsius: Double?
  /// A motion score above this many degC starts the averaging again.
  package var motionLimitCelsius: Double
  /// After so many restarts the capture goes on through motion; its thermogram says how much there was.
  package var maximumRestarts: Int

  package init(
    frames: Int = 32, emissivity: Double = 0.98, reflectedCelsius: Double? = nil, motionLimitCelsius: Double = 1.5,
    maximumRestarts: Int = 8
  ) {
    self.frames = min(max(frames, 1), 1024)
    self.emissivity = min(max(emissivity, 0.1), 1)
    self.reflectedCelsius = reflectedCelsius
    self.motionLimitCelsius = motionLimitCelsius
    self.maximumRestarts = maximumRestarts
  }
}

/// One sub-page's worth of news from the camera.
package struct CameraStep: Sendable, Hashable {
  /// 0 or 1.
  package var subPage: Int
  package var ambientCelsius: Double
  package var supplyVolts: Double
  /// How much the picture moved since the sub-page before, in degC (see `MotionScore`).
  package var motionCelsius: Double
  /// The sensor has not yet warmed up.
  package var settling: Bool
  /// Frames averaged so far for the capture under way, or nil when there is none.
  package var framesAveraged: Int?
  /// This sub-page completed the capture: `takeThermogram` has it.
  package var captureComplete: Bool
}

/// Why a camera could not start.
package enum CameraError: Error, Equatable, Sendable, CustomStringConvertible {
  case sensor(SensorError)
  /// The EEPROM cannot be a calibration.
  case eeprom([EEPROMFault])

  package var description: String {
    switch self {
    case .sensor(let error): error.description
    case .eeprom(let faults):
      "MLX90640 EEPROM 0x2400: " + faults.map(\.description).joined(separator: "; ")
    }
  }
}

/// The camera: driver, maths, filters and averaging in one synchronous value.
///
/// Use: `start()`; then `step()` for ever, each step one sub-page. `begin(_:)` starts a capture, which later steps
/// complete; `takeThermogram()` then has it. Between captures the steps keep the live image and the filters fresh.
package struct ThermalCamera {
  /// The sensor settles for this long after power-up.
  package static let settlingSecondsByDefault = 240
  /// The driver, for its counters and events.
  package private(set) var sensor: MLX90640
  /// The EEPROM in use, which may be the backup; nil before `start`.
  package private(set) var eeprom: EEPROMImage?
  /// Where the EEPROM in use comes from; nil before `start`.
  package private(set) var calibrationSource: CalibrationSource?
  /// The flat field in use, if there is one for this sensor.
  package private(set) var flatField: FlatField?
  /// The words of the last step, for tools that keep them.
  package private(set) var lastSubPage = SubPage.unread

  private let clock: any SensorClock
  private let settlingSeconds: Double?
  private var pipeline: CapturePipeline?

  /// - Parameter settlingSeconds: how long the sensor counts as settling after the first sub-page; nil: the usual.
  package init(
    bus: any I2CBus, clock: any SensorClock, settings: MLX90640.Settings = MLX90640.Settings(),
    settlingSeconds: Double? = nil
  ) {
    self.clock = clock
    self.settlingSeconds = settlingSeconds
    sensor = MLX90640(bus: bus, clock: clock, settings: settings)
  }

  /// The latest temperatures, at the emissivity of the capture under way or last begun.
  package var live: TemperatureImage { pipeline?.live ?? TemperatureImage() }
  /// Pixels that are interpolated: the maker's and those found while running.
  package var defects: DefectivePixels { pipeline?.defects ?? DefectivePixels() }

  /// Finds the sensor, reads and judges its EEPROM, and configures it.
  ///
  /// - Parameter archive: with one, the EEPROM is compared with its backup, which is used (with the event
  ///   `calibrationFromBackup`) when the live copy has changed; the first copy seen is kept; a flat field is applied.
  ///   An archive that fails is an event, not an error.
  package mutating func start(archive: (any SensorArchive)? = nil) throws(CameraError) {
    let found: EEPROMImage
    do { found = try sensor.connect() } catch { throw .sensor(error) }
    let source = decideSource(found, archive)
    let used: EEPROMImage
    switch source {
    case .refused(let faults): throw .eeprom(faults)
    case .live, .liveFirstSeen: used = found
    case .backup(let backup, let differing):
      used = backup
      sensor.note(.calibrationFromBackup(differingWords: differing))
    }
    let calibration = Calibration(used)
    sensor.use(calibration)
    flatField = storedFlatField(used.serialNumber, archive)
    pipeline = CapturePipeline(
      converter: TemperatureConverter(calibration), defects: used.defectivePixels, flatField: flatField,
      settlingSeconds: settlingSeconds)
    eeprom = used
    calibrationSource = source
  }

  /// Reads and converts the next sub-page. Call `start` before.
  package mutating func step() throws(SensorError) -> CameraStep {
    do {
      try sensor.readSubPage(into: &lastSubPage)
    } catch {
      pipeline?.interrupt()
      throw error
    }
    let (rate, now) = (sensor.refreshRate, clock.nowMicroseconds)
    guard let step = pipeline?.add(lastSubPage, refreshRate: rate, nowMicroseconds: now) else {
      preconditionFailure("start() comes before step()")
    }
    return step
  }

  /// Starts averaging; a capture under way is given up.
  package mutating func begin(_ request: CaptureRequest) { pipeline?.begin(request) }

  /// Gives up the capture under way, if any.
  package mutating func cancel() { pipeline?.cancel() }

  /// The thermogram that the last step completed, once.
  package mutating func takeThermogram() -> Thermogram? { pipeline?.takeThermogram() }

  /// One capture from begin to end, for tools.
  ///
  /// - Returns: nil when motion used up all the sub-pages that its restarts allow.
  package mutating func capture(_ request: CaptureRequest) throws(SensorError) -> Thermogram? {
    begin(request)
    let maximumSteps = request.frames * 2 * (request.maximumRestarts + 2)
    for _ in 0..<maximumSteps {
      if try step().captureComplete { return takeThermogram() }
    }
    cancel()
    return nil
  }

  /// Events since the last call, oldest first.
  package mutating func takeEvents() -> [MLX90640.Event] { sensor.takeEvents() }

  private mutating func decideSource(_ live: EEPROMImage, _ archive: (any SensorArchive)?) -> CalibrationSource {
    guard let archive else {
      let faults = live.faults
      return faults.isEmpty ? .liveFirstSeen : .refused(faults)
    }
    do throws(SensorArchiveError) {
      let backup = try archive.eeprom(serialNumber: live.serialNumber)
      let source = try CalibrationSource.decide(live: live, backup: backup, others: try archive.allEEPROMs())
      if source == .liveFirstSeen { try archive.keep(live) }
      return source
    } catch {
      sensor.note(.archiveFailed(reason: error.description))
      let faults = live.faults
      return faults.isEmpty ? .liveFirstSeen : .refused(faults)
    }
  }

  private mutating func storedFlatField(_ serialNumber: String, _ archive: (any SensorArchive)?) -> FlatField? {
    guard let archive else { return nil }
    do throws(SensorArchiveError) {
      guard let stored = try archive.flatField(serialNumber: serialNumber) else { return nil }
      guard stored.isUsable(withSensor: serialNumber) else {
        throw SensorArchiveError("the flat field of sensor \(serialNumber) is damaged; make it again")
      }
      return stored
    } catch {
      sensor.note(.archiveFailed(reason: error.description))
      return nil
    }
  }
}
