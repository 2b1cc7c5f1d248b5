/// The calibration that an EEPROM holds, unpacked by datasheet rev 12 section 11.1 without any further quantisation.
///
/// Unpacking always succeeds; whether the result means anything is `EEPROMImage.faults`' business. Conventions where
/// the datasheet and the vendor's code differ are the vendor's: the compensation pixel's sensitivity is the mean of
/// both sub-pages and is subtracted from each pixel's sensitivity once, here.
package struct Calibration: Sendable, Hashable {
  /// Counts a volt, and counts at 3.3 V and 25 degC.
  package let kVdd: Double
  package let vdd25: Double
  package let kvPTAT: Double
  package let ktPTAT: Double
  package let vPTAT25: Double
  package let alphaPTAT: Double
  /// The gain word at calibration.
  package let gain: Double
  /// Temperature gradient coefficient (datasheet 11.1.16): 0 on all but the widest lens.
  package let tgc: Double
  package let cpKv: Double
  package let cpKta: Double
  package let cpOffset0: Double
  package let cpOffset1: Double
  package let cpAlpha0: Double
  package let cpAlpha1: Double
  /// The converter's resolution at calibration.
  package let resolution: Resolution
  /// The reading pattern at calibration.
  package let pattern: ReadingPattern
  package let ksTa: Double
  /// Sensitivity slopes of the four object temperature ranges, 1/degC.
  package let ksTo: [Double]
  /// Lower corner of each range in degC; the first is -40, the second 0.
  package let cornerCelsius: [Double]
  /// Corrections for the pattern that the part was not calibrated in (datasheet 11.1.3): IL_CHESS C1, C2, C3.
  package let chessCorrection1: Double
  package let chessCorrection2: Double
  package let chessCorrection3: Double

  /// Per pixel, 768 each, row-major: offset in counts.
  package let offset: [Double]
  /// Sensitivity in counts/K^4 at Ta 25 degC, gradient-compensated.
  package let alpha: [Double]
  package let kta: [Double]
  package let kv: [Double]

  package init(_ eeprom: EEPROMImage) {
    kVdd = Double(eeprom.signedField(51, 8, 8) * 32)
    vdd25 = Double((eeprom.field(51, 0, 8) - 256) * 32 - 8192)
    kvPTAT = Double(eeprom.signedField(50, 10, 6)) / 4096
    ktPTAT = Double(eeprom.signedField(50, 0, 10)) / 8
    vPTAT25 = Double(eeprom.signedField(49, 0, 16))
    alphaPTAT = Double(eeprom.field(16, 12, 4)) / 4 + 8
    gain = Double(eeprom.signedField(48, 0, 16))
    tgc = Double(eeprom.signedField(60, 0, 8)) / 32
    resolution = Resolution(code: eeprom.field(56, 12, 2))
    pattern = eeprom.field(10, 11, 1) == 0 ? .chess : .interleaved
    ksTa = Double(eeprom.signedField(60, 8, 8)) / 8192

    let step = eeprom.field(63, 12, 2) * 10
    let corner2 = eeprom.field(63, 4, 4) * step
    cornerCelsius = [-40, 0, Double(corner2), Double(corner2 + eeprom.field(63, 8, 4) * step)]
    let ksToScale = powerOfTwo(eeprom.field(63, 0, 4) + 8)
    ksTo = [
      eeprom.signedField(61, 0, 8), eeprom.signedField(61, 8, 8), eeprom.signedField(62, 0, 8),
      eeprom.signedField(62, 8, 8),
    ].map { Double($0) / ksToScale }

    let ktaScale1 = powerOfTwo(eeprom.field(56, 4, 4) + 8)
    let kvScale = powerOfTwo(eeprom.field(56, 8, 4))
    cpKta = Double(eeprom.signedField(59, 0, 8)) / ktaScale1
    cpKv = Double(eeprom.signedField(59, 8, 8)) / kvScale
    cpOffset0 = Double(eeprom.signedField(58, 0, 10))
    cpOffset1 = cpOffset0 + Double(eeprom.signedField(58, 10, 6))
    cpAlpha0 = Double(eeprom.signedField(57, 0, 10)) / powerOfTwo(eeprom.field(32, 12, 4) + 27)
    cpAlpha1 = cpAlpha0 * (1 + Double(eeprom.signedField(57, 10, 6)) / 128)
    chessCorrection1 = Double(eeprom.signedField(53, 0, 6)) / 16
    chessCorrection2 = Double(eeprom.signedField(53, 6, 5)) / 2
    chessCorrection3 = Double(eeprom.signedField(53, 11, 5)) / 8

    let pixels = PixelFields(eeprom: eeprom)
    offset = pixels.offsets()
    alpha = pixels.sensitivities(gradient: tgc * (cpAlpha0 + cpAlpha1) / 2)
    kta = pixels.temperatureCoefficients(scale: ktaScale1)
    kv = pixels.voltageCoefficients(scale: kvScale)
  }

  /// Counts to add to a pixel that is read in the pattern it was not calibrated in (datasheet 11.2.2.5.1).
  package func patternCorrection(pixel: Int) -> Double {
    let oddRow = Double(pixel / MLX90640Geometry.columns & 1)
    let conversion =
      Double((pixel + 2) / 4 - (pixel + 3) / 4 + (pixel + 1) / 4 - pixel / 4) * (1 - 2 * oddRow)
    return chessCorrection3 * (2 * oddRow - 1) - chessCorrection2 * conversion
  }

  /// The four ranges as `1 + ksTo * (To - corner)` times the product of the ranges before (datasheet 11.2.2.9):
  /// each a straight line `base + slope * To`.
  var rangeLines: [(base: Double, slope: Double)] {
    let correction0 = 1 / (1 + ksTo[0] * 40)
    let correction2 = 1 + ksTo[1] * cornerCelsius[2]
    let correction3 = correction2 * (1 + ksTo[2] * (cornerCelsius[3] - cornerCelsius[2]))
    return zip([correction0, 1, correction2, correction3], 0..<4).map { correction, range in
      (correction * (1 - ksTo[range] * cornerCelsius[range]), correction * ksTo[range])
    }
  }
}

/// The EEPROM's row, column and remainder fields that make up each pixel's constants.
private struct PixelFields {
  let eeprom: EEPROMImage
  private var columns: Int { MLX90640Geometry.columns }

  /// Four-bit two's complement numbers, four a word from `word` on, the lowest bits first.
  private func nibbles(from word: Int, count: Int) -> [Int] {
    (0..<count).map { eeprom.signedField(word + $0 / 4, $0 % 4 * 4, 4) }
  }

  /// Datasheet 11.1.3: counts.
  func offsets() -> [Double] {
    let rows = nibbles(from: 18, count: MLX90640Geometry.rows)
    let columnTerms = nibbles(from: 24, count: columns)
    let (remainderScale, columnScale, rowScale) = scales(word: 16)
    let average = eeprom.signedField(17, 0, 16)
    return (0..<MLX90640Geometry.pixelCount).map { pixel in
      Double(
        average + rows[pixel / columns] << rowScale + columnTerms[pixel % columns] << columnScale
          + eeprom.signedField(64 + pixel, 10, 6) << remainderScale)
    }
  }

  /// Datasheet 11.1.4, less the compensation pixel's share `gradient`.
  func sensitivities(gradient: Double) -> [Double] {
    let rows = nibbles(from: 34, count: MLX90640Geometry.rows)
    let columnTerms = nibbles(from: 40, count: columns)
    let (remainderScale, columnScale, rowScale) = scales(word: 32)
    let scale = powerOfTwo(eeprom.field(32, 12, 4) + 30)
    let average = eeprom.field(33, 0, 16)
    return (0..<MLX90640Geometry.pixelCount).map { pixel in
      Double(
        average + rows[pixel / columns] << rowScale + columnTerms[pixel % columns] << columnScale
          + eeprom.signedField(64 + pixel, 4, 6) << remainderScale) / scale - gradient
    }
  }

  /// Datasheet 11.1.6: by parity of row and column, plus the pixel's three bits.
  func temperatureCoefficients(scale: Double) -> [Double] {
    let averages = [
      eeprom.signedField(54, 8, 8), eeprom.signedField(55, 8, 8), eeprom.signedField(54, 0, 8),
      eeprom.signedField(55, 0, 8),
    ]
    let remainderScale = eeprom.field(56, 0, 4)
    return (0..<MLX90640Geometry.pixelCount).map { pixel in
      let remainder = eeprom.signedField(64 + pixel, 1, 3) << remainderScale
      return Double(averages[parity(pixel)] + remainder) / scale
    }
  }

  /// Datasheet 11.1.5: by parity of row and column alone.
  func voltageCoefficients(scale: Double) -> [Double] {
    let averages = [
      eeprom.signedField(52, 12, 4), eeprom.signedField(52, 4, 4), eeprom.signedField(52, 8, 4),
      eeprom.signedField(52, 0, 4),
    ]
    return (0..<MLX90640Geometry.pixelCount).map { Double(averages[parity($0)]) / scale }
  }

  /// 0...3: row parity twice plus column parity. (Odd rows and columns of the datasheet, which counts from 1, first.)
  private func parity(_ pixel: Int) -> Int {
    (pixel / columns & 1) * 2 + pixel & 1
  }

  private func scales(word: Int) -> (remainder: Int, column: Int, row: Int) {
    (eeprom.field(word, 0, 4), eeprom.field(word, 4, 4), eeprom.field(word, 8, 4))
  }
}

/// 2 to the power `exponent` (0...63), exactly.
private func powerOfTwo(_ exponent: Int) -> Double {
  Double(UInt64(1) << UInt64(exponent))
}
