/// Object temperatures by datasheet rev 12 section 11.2 in double precision, one pixel at a time: the definition of
/// right. `TemperatureConverter` is the fast way to the same numbers.
///
/// Conventions where datasheet and vendor code differ are the vendor's: the gradient term is subtracted before the
/// division by the emissivity, and the second pass is made in every temperature range.
package struct ReferenceTemperatures: Sendable {
  package let calibration: Calibration
  package let point: OperatingPoint
  /// 0.01...1; skin is 0.98.
  package let emissivity: Double
  /// The radiation that the object reflects, as a temperature in degC.
  package let reflectedCelsius: Double

  private let ksTaFactor: Double
  private let radiation: Double
  private let lines: [(base: Double, slope: Double)]

  /// - Parameter reflectedCelsius: nil stands for Ta - 8, the vendor's guess for a part in the open.
  package init(
    calibration: Calibration, point: OperatingPoint, emissivity: Double, reflectedCelsius: Double? = nil
  ) {
    self.calibration = calibration
    self.point = point
    self.emissivity = emissivity
    self.reflectedCelsius = reflectedCelsius ?? point.taCelsius - 8
    ksTaFactor = 1 + calibration.ksTa * (point.taCelsius - 25)
    radiation = Self.radiation(
      ambientCelsius: point.taCelsius, reflectedCelsius: self.reflectedCelsius, emissivity: emissivity)
    lines = calibration.rangeLines
  }

  /// Ta-r of datasheet 11.2.2.9 in K^4: what a pixel at zero signal stands for.
  static func radiation(ambientCelsius: Double, reflectedCelsius: Double, emissivity: Double) -> Double {
    let reflected = fourthPower(reflectedCelsius + 273.15)
    return reflected - (reflected - fourthPower(ambientCelsius + 273.15)) / emissivity
  }

  /// The compensated infrared signal of pixel `index` (datasheet 11.2.2.5 to 11.2.2.8), in counts.
  ///
  /// - Parameters:
  ///   - raw: the pixel's RAM word.
  ///   - subPage: 0 or 1: which compensation pixel applies.
  package func infrared(raw: Double, pixel index: Int, subPage: Int) -> Double {
    let drift =
      (1 + calibration.kta[index] * (point.taCelsius - 25)) * (1 + calibration.kv[index] * (point.vddVolts - 3.3))
    var signal = raw * point.gain - calibration.offset[index] * drift
    if point.pattern != calibration.pattern { signal += calibration.patternCorrection(pixel: index) }
    let compensation = subPage == 0 ? point.compensationPixel0 : point.compensationPixel1
    return (signal - calibration.tgc * compensation) / emissivity
  }

  /// The sensitivity of pixel `index` at this Ta, in counts/K^4.
  package func sensitivity(pixel index: Int) -> Double { calibration.alpha[index] * ksTaFactor }

  /// degC from a compensated signal; not finite when the signal means no temperature.
  package func celsius(infrared signal: Double, pixel index: Int) -> Double {
    let alpha = sensitivity(pixel: index)
    let ksTo = calibration.ksTo[1]
    let bend = fourthRoot(alpha * alpha * alpha * (signal + alpha * radiation)) * ksTo
    let first = fourthRoot(signal / (alpha * (1 - ksTo * 273.15) + bend) + radiation) - 273.15
    let line = lines[range(ofCelsius: first)]
    return fourthRoot(signal / (alpha * (line.base + line.slope * first)) + radiation) - 273.15
  }

  /// degC of pixel `index` from its RAM word; not finite when it means no temperature.
  package func celsius(raw: Int16, pixel index: Int, subPage: Int) -> Double {
    celsius(infrared: infrared(raw: Double(raw), pixel: index, subPage: subPage), pixel: index)
  }

  /// All pixels of `subPage` at their places in 768; nil elsewhere and where there is no temperature.
  package func image(_ subPage: SubPage) -> [Double?] {
    (0..<MLX90640Geometry.pixelCount).map { pixel in
      guard subPage.control.pattern.subPage(ofPixel: pixel) == subPage.number else { return nil }
      let value = celsius(raw: Int16(bitPattern: subPage.words[pixel]), pixel: pixel, subPage: subPage.number)
      return value.isFinite ? value : nil
    }
  }

  /// The range 0...3 of the second pass. A first pass without a value falls into the last, as in the vendor's code.
  private func range(ofCelsius value: Double) -> Int {
    let corners = calibration.cornerCelsius
    if value < corners[1] { return 0 }
    if value < corners[2] { return 1 }
    return value < corners[3] ? 2 : 3
  }
}

/// The compensated signal that gives a temperature: what a scene is turned into words with.
extension ReferenceTemperatures {
  /// The signal in counts at which pixel `index` reads `celsius`, found by fixed-point iteration on the two-pass
  /// formula; nil where the calibration gives the pixel no sensitivity.
  package func infrared(celsius: Double, pixel index: Int) -> Double? {
    let alpha = sensitivity(pixel: index)
    guard alpha.isFinite, alpha > 0, celsius > -273.15 else { return nil }
    let wanted = fourthPower(celsius + 273.15)
    let line = lines[range(ofCelsius: celsius)]
    let slope = alpha * (line.base + line.slope * celsius)
    var signal = slope * (wanted - radiation)
    for _ in 0..<24 {
      let reached = self.celsius(infrared: signal, pixel: index)
      guard reached.isFinite else { return nil }
      if abs(reached - celsius) < 1e-9 { break }
      signal += slope * (wanted - fourthPower(reached + 273.15))
    }
    return signal
  }

  /// The RAM word (not rounded, not clamped) of a compensated signal: the inverse of `infrared(raw:pixel:subPage:)`.
  package func raw(infrared signal: Double, pixel index: Int, subPage: Int) -> Double {
    (signal - infrared(raw: 0, pixel: index, subPage: subPage)) * emissivity / point.gain
  }
}

private func fourthPower(_ value: Double) -> Double { value * value * (value * value) }

private func fourthRoot(_ value: Double) -> Double { value.squareRoot().squareRoot() }
