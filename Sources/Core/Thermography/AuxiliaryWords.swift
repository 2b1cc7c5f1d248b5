/// The auxiliary words of a sub-page, as numbers so that they can be averaged (datasheet 11.2.2).
package struct AuxiliaryWords: Sendable, Hashable {
  package var vbe: Double
  package var ptat: Double
  package var gain: Double
  package var vdd: Double
  /// Compensation pixel of sub-page 0.
  package var compensationPixel0: Double
  /// Compensation pixel of sub-page 1.
  package var compensationPixel1: Double

  package init(_ subPage: SubPage) {
    self.init { subPage.words[$0] }
  }

  /// From the 64 words at 0x0700 alone.
  package init(words: [UInt16]) {
    self.init { words[$0 - MLX90640Geometry.pixelCount] }
  }

  private init(_ wordAt: (Int) -> UInt16) {
    func word(_ index: Int) -> Double { Double(Int16(bitPattern: wordAt(index))) }
    vbe = word(AuxiliaryIndex.vbe)
    ptat = word(AuxiliaryIndex.ptat)
    gain = word(AuxiliaryIndex.gain)
    vdd = word(AuxiliaryIndex.vdd)
    compensationPixel0 = word(AuxiliaryIndex.compensationPixel0)
    compensationPixel1 = word(AuxiliaryIndex.compensationPixel1)
  }
}

/// The part's own state during a sub-page: what every pixel's compensation needs (datasheet 11.2.2.1 to 11.2.2.6).
package struct OperatingPoint: Sendable, Hashable {
  /// Supply voltage in volts.
  package var vddVolts: Double
  /// Ambient temperature of the die in degC.
  package var taCelsius: Double
  /// The gain's EEPROM value divided by the measured one.
  package var gain: Double
  /// Compensation pixels of both sub-pages after gain and offset compensation, in counts.
  package var compensationPixel0: Double
  package var compensationPixel1: Double
  /// The reading pattern in force.
  package var pattern: ReadingPattern

  package init(calibration: Calibration, auxiliary: AuxiliaryWords, control: ControlRegister) {
    let correction = Double(1 << calibration.resolution.rawValue) / Double(1 << control.resolution.rawValue)
    let vdd = (correction * auxiliary.vdd - calibration.vdd25) / calibration.kVdd + 3.3
    let ptatArt = auxiliary.ptat / (auxiliary.ptat * calibration.alphaPTAT + auxiliary.vbe) * 262_144
    let ta =
      (ptatArt / (1 + calibration.kvPTAT * (vdd - 3.3)) - calibration.vPTAT25) / calibration.ktPTAT + 25
    let gain = calibration.gain / auxiliary.gain
    let drift = (1 + calibration.cpKta * (ta - 25)) * (1 + calibration.cpKv * (vdd - 3.3))
    let chessTerm = control.pattern == calibration.pattern ? 0 : calibration.chessCorrection1
    vddVolts = vdd
    taCelsius = ta
    self.gain = gain
    compensationPixel0 = auxiliary.compensationPixel0 * gain - calibration.cpOffset0 * drift
    compensationPixel1 = auxiliary.compensationPixel1 * gain - (calibration.cpOffset1 + chessTerm) * drift
    pattern = control.pattern
  }

  /// From the words of one sub-page, unfiltered.
  package init(calibration: Calibration, subPage: SubPage) {
    self.init(calibration: calibration, auxiliary: AuxiliaryWords(subPage), control: subPage.control)
  }

  /// Whether every number is finite; a zero or 0x7FFF word can make them otherwise.
  package var isFinite: Bool {
    vddVolts.isFinite && taCelsius.isFinite && gain.isFinite && compensationPixel0.isFinite
      && compensationPixel1.isFinite
  }
}
