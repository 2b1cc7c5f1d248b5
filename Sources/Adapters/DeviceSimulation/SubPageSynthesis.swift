import Thermography

/// Sensor words from temperatures, through the inverse of the calibration: what the maths makes of the words is the
/// scene again, with the noise and the steps of the converter.
package struct SubPageSynthesis: Sendable {
  /// The state of the part that the auxiliary words tell.
  package struct Conditions: Sendable, Hashable {
    package var supplyVolts = 3.3
    package var ambientCelsius = 28.0
    /// The gain's EEPROM value divided by the measured one at equal resolution.
    package var gainRatio = 1.01
    package var emissivity = 0.98
    /// nil stands for Ta - 8, as in the maths.
    package var reflectedCelsius: Double?

    package init() {}
  }

  private let calibration: Calibration
  private let control: ControlRegister
  private let auxiliary: [UInt16]
  private let reference: ReferenceTemperatures

  package init(calibration: Calibration, control: ControlRegister, conditions: Conditions) {
    self.calibration = calibration
    self.control = control
    auxiliary = Self.auxiliaryWords(calibration, control, conditions)
    // The point is computed back from the rounded words, so that scene and maths agree on Ta and Vdd exactly.
    let point = OperatingPoint(
      calibration: calibration, auxiliary: AuxiliaryWords(words: auxiliary), control: control)
    reference = ReferenceTemperatures(
      calibration: calibration, point: point, emissivity: conditions.emissivity,
      reflectedCelsius: conditions.reflectedCelsius)
  }

  /// 64 words of RAM from 0x0700 on.
  package var auxiliaryRAM: [UInt16] { auxiliary }
  /// What the maths will find.
  package var point: OperatingPoint { reference.point }

  /// The exact RAM value of each pixel (not rounded) and how many counts a degC makes there.
  package func rawCounts(celsius: [Double]) -> (counts: [Double], countsPerCelsius: [Double]) {
    var counts = Array(repeating: 0.0, count: MLX90640Geometry.pixelCount)
    var slopes = counts
    for pixel in 0..<MLX90640Geometry.pixelCount {
      let subPage = control.pattern.subPage(ofPixel: pixel)
      guard let signal = reference.infrared(celsius: celsius[pixel], pixel: pixel) else { continue }
      counts[pixel] = reference.raw(infrared: signal, pixel: pixel, subPage: subPage)
      let kelvin = celsius[pixel] + 273.15
      slopes[pixel] =
        4 * kelvin * kelvin * kelvin * reference.sensitivity(pixel: pixel) * reference.emissivity / reference.point.gain
    }
    return (counts, slopes)
  }

  /// A count with noise as the converter gives it.
  package static func word(_ counts: Double) -> UInt16 {
    UInt16(bitPattern: Int16(min(max(counts.rounded(), -32_768), 32_766)))
  }

  private static func auxiliaryWords(
    _ calibration: Calibration, _ control: ControlRegister, _ conditions: Conditions
  ) -> [UInt16] {
    var words = Array(repeating: UInt16(0), count: 64)
    func set(_ index: Int, _ value: Double) { words[index - MLX90640Geometry.pixelCount] = word(value) }
    // All counts of the converter scale with its resolution; the PTAT pair is a ratio and stays in range unscaled.
    let scale = Double(1 << control.resolution.rawValue) / Double(1 << calibration.resolution.rawValue)
    let volts = conditions.supplyVolts - 3.3
    let warmth = conditions.ambientCelsius - 25
    set(AuxiliaryIndex.vdd, (volts * calibration.kVdd + calibration.vdd25) * scale)
    let art = (warmth * calibration.ktPTAT + calibration.vPTAT25) * (1 + calibration.kvPTAT * volts)
    // art = ptat / (ptat * alpha + vbe) * 2^18, with a PTAT word as real parts have it.
    let ptat = 1700.0
    set(AuxiliaryIndex.ptat, ptat)
    set(AuxiliaryIndex.vbe, ptat * 262_144 / art - ptat * calibration.alphaPTAT)
    let gain = calibration.gain * scale / conditions.gainRatio
    set(AuxiliaryIndex.gain, gain)
    let drift = (1 + calibration.cpKta * warmth) * (1 + calibration.cpKv * volts)
    let factor = calibration.gain / gain
    let chess = control.pattern == calibration.pattern ? 0 : calibration.chessCorrection1
    set(AuxiliaryIndex.compensationPixel0, calibration.cpOffset0 * drift / factor)
    set(AuxiliaryIndex.compensationPixel1, (calibration.cpOffset1 + chess) * drift / factor)
    return words
  }
}
