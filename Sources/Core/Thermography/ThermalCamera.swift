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
  /// The driver, for its counters and events.
  package private(set) var sensor: MLX90640
  /// The latest temperatures, at the emissivity of the capture under way or last begun.
  package private(set) var live = TemperatureImage()
  /// The EEPROM in use; nil before `start`.
  package private(set) var eeprom: EEPROMImage?

  private let clock: any SensorClock
  private var converter: TemperatureConverter?
  private var subPage = SubPage.unread
  private var filter = AuxiliaryFilter()
  private var motion = MotionScore()
  private var warmUp = WarmUp()
  private var request = CaptureRequest()
  private var averager: FrameAverager?
  private var finished: Thermogram?
  private var defects = DefectivePixels()

  package init(bus: any I2CBus, clock: any SensorClock, settings: MLX90640.Settings = MLX90640.Settings()) {
    self.clock = clock
    sensor = MLX90640(bus: bus, clock: clock, settings: settings)
  }

  /// Finds the sensor, reads and judges its EEPROM, and configures it.
  package mutating func start() throws(CameraError) {
    let found: EEPROMImage
    do { found = try sensor.connect() } catch { throw .sensor(error) }
    let faults = found.faults
    guard faults.isEmpty else { throw .eeprom(faults) }
    let calibration = Calibration(found)
    sensor.use(calibration)
    converter = TemperatureConverter(calibration)
    defects = found.defectivePixels
    eeprom = found
    filter.forget()
    motion.forget()
    warmUp = WarmUp()
  }

  /// Reads and converts the next sub-page. Call `start` before.
  package mutating func step() throws(SensorError) -> CameraStep {
    do {
      try sensor.readSubPage(into: &subPage)
    } catch {
      filter.forget()
      motion.forget()
      throw error
    }
    guard let converter else { preconditionFailure("start() comes before step()") }
    let auxiliary = filter.add(AuxiliaryWords(subPage))
    let point = OperatingPoint(
      calibration: converter.calibration, auxiliary: auxiliary, control: subPage.control)
    converter.convert(
      subPage, at: point, emissivity: request.emissivity, reflectedCelsius: request.reflectedCelsius, into: &live)
    let pattern = subPage.control.pattern
    let moved = motion.add(live, pattern: pattern, subPage: subPage.number)
    let settling = warmUp.isSettling(ambientCelsius: point.taCelsius, nowMicroseconds: clock.nowMicroseconds)
    averager?.add(live, pattern: pattern, subPage: subPage.number, point: point, motionCelsius: moved)
    var complete = false
    if let averager, averager.isComplete {
      finished = averager.thermogram(refreshRate: sensor.refreshRate, settling: settling)?.interpolated(over: defects)
      complete = finished != nil
    }
    let frames = averager?.frames
    if complete { averager = nil }
    return CameraStep(
      subPage: subPage.number, ambientCelsius: point.taCelsius, supplyVolts: point.vddVolts, motionCelsius: moved,
      settling: settling, framesAveraged: frames, captureComplete: complete)
  }

  /// Starts averaging; a capture under way is given up.
  package mutating func begin(_ request: CaptureRequest) {
    self.request = request
    averager = FrameAverager(request)
    finished = nil
  }

  /// Gives up the capture under way, if any.
  package mutating func cancel() { averager = nil }

  /// The thermogram that the last step completed, once.
  package mutating func takeThermogram() -> Thermogram? {
    defer { finished = nil }
    return finished
  }

  /// One capture from begin to end, for tools: at most `maximumSteps` sub-pages.
  ///
  /// - Returns: nil when motion or dropped sub-pages used them up.
  package mutating func capture(_ request: CaptureRequest) throws(SensorError) -> Thermogram? {
    begin(request)
    let maximumSteps = request.frames * 2 * (request.maximumRestarts + 2)
    for _ in 0..<maximumSteps {
      if try step().captureComplete { return takeThermogram() }
    }
    cancel()
    return nil
  }

  package mutating func takeEvents() -> [MLX90640.Event] { sensor.takeEvents() }
}
