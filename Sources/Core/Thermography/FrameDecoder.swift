/// One frame file decoded for a person or a program: the maths alone, with what is odd about the words beside it.
package struct DecodedFrame: Sendable, Codable {
  /// Volts; nil when the words give no finite number. So for all others.
  package var vdd: Double?
  /// Die temperature in degC.
  package var ta: Double?
  /// The gain's EEPROM value divided by the measured one.
  package var gain: Double?
  package var subpage: Int
  /// `chess` or `interleaved`.
  package var mode: String
  /// 768 degC, row-major; nil outside of this sub-page and where there is no value.
  package var to: [Double?]
  /// Indices of broken and outlier pixels (of the whole image) and of pixels of this sub-page without a value.
  package var invalid: [Int]

  private enum CodingKeys: String, CodingKey { case vdd, ta, gain, subpage, mode, to, invalid }

  /// Absent numbers are written as null, so that every frame has the same members.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(vdd, forKey: .vdd)
    try container.encode(ta, forKey: .ta)
    try container.encode(gain, forKey: .gain)
    try container.encode(subpage, forKey: .subpage)
    try container.encode(mode, forKey: .mode)
    try container.encode(to, forKey: .to)
    try container.encode(invalid, forKey: .invalid)
  }
}

/// What `camera decode` prints.
package struct DecodedFrames: Sendable, Codable {
  package var frames: [DecodedFrame]
  package var warnings: [String]

  package init(frames: [DecodedFrame], warnings: [String]) {
    self.frames = frames
    self.warnings = warnings
  }
}

/// Which evaluation of the maths decodes a frame.
package enum TemperatureMaths: String, Sendable, CaseIterable {
  /// Double precision, one pixel at a time: the definition of right.
  case reference
  /// What a capture uses: single precision with the reference for numbers that it cannot hold.
  case device
}

/// Decodes raw frames with an EEPROM's calibration.
package struct FrameDecoder: Sendable {
  package var emissivity = 1.0
  /// nil stands for Ta - 8.
  package var reflectedCelsius: Double?
  package var interpolates = false
  package var maths = TemperatureMaths.reference

  package let eeprom: EEPROMImage
  private let calibration: Calibration
  private let defects: DefectivePixels

  package init(_ eeprom: EEPROMImage) {
    self.eeprom = eeprom
    calibration = Calibration(eeprom)
    defects = eeprom.defectivePixels
  }

  /// What is odd about the EEPROM: faults first, then its defective pixels.
  package var warnings: [String] {
    var warnings = eeprom.faults.map { "EEPROM: \($0)" }
    if !defects.broken.isEmpty { warnings.append("EEPROM: broken pixels: \(list(defects.broken))") }
    if !defects.outliers.isEmpty { warnings.append("EEPROM: outlier pixels: \(list(defects.outliers))") }
    if defects.isDegraded { warnings.append("EEPROM: more than four defective pixels, or adjacent ones") }
    return warnings
  }

  /// Reasons not to believe a frame's words, as a person reads them.
  package func warnings(for subPage: SubPage) -> [String] {
    var warnings = subPage.faults(calibration: calibration).map { "\($0)" }
    let missing = subPage.unmeasuredPixelCount
    if missing > 0, missing <= MLX90640Geometry.subPagePixelCount / 4 {
      warnings.append("\(missing) pixel words hold 0x7fff (not measured)")
    }
    return warnings
  }

  package func decode(_ subPage: SubPage) -> DecodedFrame {
    let point = OperatingPoint(calibration: calibration, subPage: subPage)
    var temperatures = self.temperatures(subPage, point)
    let pattern = subPage.control.pattern
    for pixel in 0..<MLX90640Geometry.pixelCount where subPage.words[pixel] == SubPage.unmeasured {
      temperatures[pixel] = nil
    }
    let missing = (0..<MLX90640Geometry.pixelCount).filter {
      pattern.subPage(ofPixel: $0) == subPage.number && temperatures[$0] == nil
    }
    let invalid = Set(defects.all + missing).sorted()
    if interpolates { interpolate(&temperatures, over: invalid, pattern: pattern, subPage: subPage.number) }
    func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
    return DecodedFrame(
      vdd: finite(point.vddVolts), ta: finite(point.taCelsius), gain: finite(point.gain), subpage: subPage.number,
      mode: pattern == .chess ? "chess" : "interleaved", to: temperatures, invalid: invalid)
  }

  private func temperatures(_ subPage: SubPage, _ point: OperatingPoint) -> [Double?] {
    switch maths {
    case .reference:
      return ReferenceTemperatures(
        calibration: calibration, point: point, emissivity: emissivity, reflectedCelsius: reflectedCelsius
      ).image(subPage)
    case .device:
      var image = TemperatureImage()
      TemperatureConverter(calibration).convert(
        subPage, at: point, emissivity: emissivity, reflectedCelsius: reflectedCelsius, into: &image)
      return zip(image.celsius, image.valid).map { $1 ? Double($0) : nil }
    }
  }

  /// Within one sub-page a pixel's measured neighbours are those at its corners (chess) or in its row (interleaved).
  private func interpolate(
    _ temperatures: inout [Double?], over invalid: [Int], pattern: ReadingPattern, subPage: Int
  ) {
    let bad = Set(invalid)
    let measured = temperatures
    for pixel in invalid where pattern.subPage(ofPixel: pixel) == subPage {
      let values = PixelNeighbours(.mlx90640).around(pixel).filter { !bad.contains($0) }.compactMap { measured[$0] }
      temperatures[pixel] = values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
  }

  private func list(_ pixels: [Int]) -> String {
    let shown = pixels.prefix(16).map { String($0) }.joined(separator: ", ")
    return pixels.count > 16 ? "\(shown) and \(pixels.count - 16) more" : shown
  }
}
