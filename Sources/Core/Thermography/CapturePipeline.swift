/// From raw sub-pages to thermograms, without a bus: filter, maths, flat field, motion, pixel health, averaging.
package struct CapturePipeline: Sendable {
  /// The latest temperatures, at the emissivity of the capture under way or last begun.
  package private(set) var live = TemperatureImage()
  /// Pixels that are not measured on: the maker's and those found while running.
  package private(set) var defects: DefectivePixels

  private let converter: TemperatureConverter
  private let flatField: FlatField?
  private var filter = AuxiliaryFilter()
  private var motion = MotionScore()
  private var health = PixelHealth()
  private var warmUp: WarmUp
  private var request = CaptureRequest()
  private var averager: FrameAverager?
  private var finished: Thermogram?

  /// - Parameter settlingSeconds: how long the sensor counts as settling after the first sub-page; nil: the usual.
  package init(
    converter: TemperatureConverter, defects: DefectivePixels, flatField: FlatField? = nil,
    settlingSeconds: Double? = nil
  ) {
    warmUp = WarmUp(minimumSeconds: settlingSeconds ?? WarmUp.defaultSeconds)
    self.converter = converter
    self.defects = defects
    self.flatField = flatField
  }

  /// Takes in one good sub-page.
  package mutating func add(
    _ subPage: SubPage, refreshRate: RefreshRate, nowMicroseconds: UInt64
  ) -> CameraStep {
    let pattern = subPage.control.pattern
    let auxiliary = filter.add(AuxiliaryWords(subPage))
    let point = OperatingPoint(calibration: converter.calibration, auxiliary: auxiliary, control: subPage.control)
    converter.convert(
      subPage, at: point, emissivity: request.emissivity, reflectedCelsius: request.reflectedCelsius, into: &live)
    flatField?.correct(&live, pattern: pattern, subPage: subPage.number)
    let moved = motion.add(live, pattern: pattern, subPage: subPage.number)
    let settling = warmUp.isSettling(ambientCelsius: point.taCelsius, nowMicroseconds: nowMicroseconds)
    if health.add(subPage, live, isStill: moved <= request.motionLimitCelsius) { defects.found = health.suspects }
    averager?.add(live, pattern: pattern, subPage: subPage.number, point: point, motionCelsius: moved)
    if averager?.isComplete == true {
      finished = averager?.thermogram(refreshRate: refreshRate, settling: settling)?.interpolated(over: defects)
    }
    let step = CameraStep(
      subPage: subPage.number, ambientCelsius: point.taCelsius, supplyVolts: point.vddVolts, motionCelsius: moved,
      settling: settling, framesAveraged: averager?.frames, captureComplete: finished != nil)
    if finished != nil { averager = nil }
    return step
  }

  /// Starts averaging; a capture under way is given up.
  package mutating func begin(_ request: CaptureRequest) {
    self.request = request
    averager = FrameAverager(request)
    finished = nil
  }

  /// Gives up the capture under way, if any.
  package mutating func cancel() { averager = nil }

  /// The thermogram that the last sub-page completed, once.
  package mutating func takeThermogram() -> Thermogram? {
    defer { finished = nil }
    return finished
  }

  /// The stream of sub-pages broke off: nothing before it may be averaged or compared with what comes.
  package mutating func interrupt() {
    filter.forget()
    motion.forget()
  }
}
