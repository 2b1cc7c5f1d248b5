/// From raw sub-pages to thermograms, without a bus: filter, maths, flat field, motion, pixel health, averaging.
package struct CapturePipeline: Sendable {
  /// The latest temperatures, at the emissivity of the capture under way or last begun.
  package private(set) var live = TemperatureImage()
  /// Pixels that are not measured on: the maker's and those found while running.
  package private(set) var defects: DefectivePixels

  private let converter: TemperatureConverter
  private let flatField: FlatField?
  private let chessParts = ReadingPattern.chess.parts
  private let interleavedParts = ReadingPattern.interleaved.parts
  private var filter = AuxiliaryFilter()
  private var health = PixelHealth()
  private var assembly: FrameAssembly

  /// - Parameter settlingSeconds: how long the sensor counts as settling after the first sub-page; nil: the usual.
  package init(
    converter: TemperatureConverter, defects: DefectivePixels, flatField: FlatField? = nil,
    settlingSeconds: Double? = nil
  ) {
    assembly = FrameAssembly(
      geometry: .mlx90640, partCount: chessParts.count, settlingSeconds: settlingSeconds)
    self.converter = converter
    self.defects = defects
    self.flatField = flatField
  }

  /// Takes in one good sub-page.
  package mutating func add(
    _ subPage: SubPage, refreshRate: RefreshRate, nowMicroseconds: UInt64
  ) -> CameraStep {
    let part = subPage.control.pattern == .chess ? chessParts[subPage.number] : interleavedParts[subPage.number]
    let auxiliary = filter.add(AuxiliaryWords(subPage))
    let point = OperatingPoint(calibration: converter.calibration, auxiliary: auxiliary, control: subPage.control)
    let request = assembly.request
    converter.convert(
      subPage, at: point, emissivity: request.emissivity, reflectedCelsius: request.reflectedCelsius, into: &live)
    flatField?.correct(&live, part)
    let moved = assembly.motionCelsius(of: live, part)
    if health.add(subPage, live, isStill: moved <= request.motionLimitCelsius) { defects.found = health.suspects }
    return assembly.add(
      live, part, motionCelsius: moved, ambientCelsius: point.taCelsius, supplyVolts: point.vddVolts,
      partsPerSecond: refreshRate.subPagesPerSecond, nowMicroseconds: nowMicroseconds, defects: defects)
  }

  /// Starts averaging; a capture under way is given up.
  package mutating func begin(_ request: CaptureRequest) { assembly.begin(request) }

  /// Gives up the capture under way, if any.
  package mutating func cancel() { assembly.cancel() }

  /// The thermogram that the last sub-page completed, once.
  package mutating func takeThermogram() -> Thermogram? { assembly.takeThermogram() }

  /// The stream of sub-pages broke off: nothing before it may be averaged or compared with what comes.
  package mutating func interrupt() {
    filter.forget()
    assembly.interrupt()
  }
}
