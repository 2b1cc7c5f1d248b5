/// Raw words to temperatures at the device's speed: single precision over packed arrays that a compiler turns into
/// vector code, nothing allocated per sub-page. Numbers that single precision cannot hold are computed again by
/// `ReferenceTemperatures`, which defines what is right.
///
/// All that is common to a sub-page is computed once, in double precision. Dividing the datasheet's formula
/// (11.2.2.9) by the pixel's sensitivity leaves, with q = signal / sensitivity, X = (q + R)^(1/4), R the radiation
/// term: first pass T1 = (q / (1 - 273.15 k + k X) + R)^(1/4), second pass T = (q / (base + slope T1) + R)^(1/4).
package struct TemperatureConverter: Sendable {
  package let calibration: Calibration
  private let chess: [PackedPixels]
  private let interleaved: [PackedPixels]

  /// degC in which single precision holds 0.0005 degC with margin; beyond, the reference decides.
  private static let trustedCelsius: ClosedRange<Float> = -60...350

  package init(_ calibration: Calibration) {
    self.calibration = calibration
    chess = [0, 1].map { PackedPixels(calibration, pattern: .chess, subPage: $0) }
    interleaved = [0, 1].map { PackedPixels(calibration, pattern: .interleaved, subPage: $0) }
  }

  /// Writes the temperatures of the pixels that `subPage` measured to their places in `image`; others stay.
  ///
  /// - Parameters:
  ///   - point: from the sub-page's own words, or from filtered ones.
  ///   - reflectedCelsius: nil stands for Ta - 8.
  package func convert(
    _ subPage: SubPage, at point: OperatingPoint, emissivity: Double, reflectedCelsius: Double? = nil,
    into image: inout TemperatureImage
  ) {
    let reflected = reflectedCelsius ?? point.taCelsius - 8
    let pixels = (point.pattern == .chess ? chess : interleaved)[subPage.number]
    let scalars = SubPageScalars(
      calibration: calibration, point: point, emissivity: emissivity, reflectedCelsius: reflected,
      subPage: subPage.number)
    let untrusted = pixels.convert(
      subPage.words, scalars, trusted: Self.trustedCelsius, celsius: &image.celsius, valid: &image.valid)
    if untrusted {
      convertExactly(
        subPage, pixels,
        ReferenceTemperatures(
          calibration: calibration, point: point, emissivity: emissivity, reflectedCelsius: reflected),
        into: &image)
    }
  }

  /// The pixels that the fast pass left invalid, by the reference; 0x7FFF words stay invalid.
  private func convertExactly(
    _ subPage: SubPage, _ pixels: PackedPixels, _ reference: ReferenceTemperatures, into image: inout TemperatureImage
  ) {
    for index in pixels.indices where !image.valid[Int(index)] {
      let pixel = Int(index)
      guard subPage.words[pixel] != SubPage.unmeasured else { continue }
      let value = reference.celsius(
        raw: Int16(bitPattern: subPage.words[pixel]), pixel: pixel, subPage: subPage.number)
      guard value.isFinite, abs(value) < 1e6 else { continue }
      image.celsius[pixel] = Float(value)
      image.valid[pixel] = true
    }
  }
}

/// What all pixels of one sub-page share, rounded to single precision once.
private struct SubPageScalars {
  var gain: Float
  var taOffset: Float
  var vddOffset: Float
  var gradient: Float
  /// 1 / (emissivity * sensitivity's Ta factor).
  var signalScale: Float
  var radiation: Float
  var bendBase: Float
  var bendSlope: Float
  var usesPatternCorrection: Float
  var corners: (Float, Float, Float)
  var bases: (Float, Float, Float, Float)
  var slopes: (Float, Float, Float, Float)

  init(
    calibration: Calibration, point: OperatingPoint, emissivity: Double, reflectedCelsius: Double, subPage: Int
  ) {
    gain = Float(point.gain)
    taOffset = Float(point.taCelsius - 25)
    vddOffset = Float(point.vddVolts - 3.3)
    gradient = Float(
      calibration.tgc * (subPage == 0 ? point.compensationPixel0 : point.compensationPixel1))
    signalScale = Float(1 / (emissivity * (1 + calibration.ksTa * (point.taCelsius - 25))))
    radiation = Float(
      ReferenceTemperatures.radiation(
        ambientCelsius: point.taCelsius, reflectedCelsius: reflectedCelsius, emissivity: emissivity))
    bendBase = Float(1 - calibration.ksTo[1] * 273.15)
    bendSlope = Float(calibration.ksTo[1])
    usesPatternCorrection = point.pattern == calibration.pattern ? 0 : 1
    let kelvinLines = calibration.rangeLines.map { (Float($0.base - $0.slope * 273.15), Float($0.slope)) }
    let kelvinCorners = calibration.cornerCelsius.map { Float($0 + 273.15) }
    corners = (kelvinCorners[1], kelvinCorners[2], kelvinCorners[3])
    bases = (kelvinLines[0].0, kelvinLines[1].0, kelvinLines[2].0, kelvinLines[3].0)
    slopes = (kelvinLines[0].1, kelvinLines[1].1, kelvinLines[2].1, kelvinLines[3].1)
  }
}

/// The constants of the 384 pixels of one sub-page, in the order in which they are computed.
private struct PackedPixels: Sendable {
  let indices: [UInt16]
  private let offset: [Float]
  private let kta: [Float]
  private let kv: [Float]
  /// 1 / sensitivity; not a number where the sensitivity is not positive, which sends the pixel to the reference.
  private let inverseAlpha: [Float]
  private let patternCorrection: [Float]

  init(_ calibration: Calibration, pattern: ReadingPattern, subPage: Int) {
    let pixels = (0..<SensorGeometry.pixelCount).filter { pattern.subPage(ofPixel: $0) == subPage }
    indices = pixels.map { UInt16($0) }
    offset = pixels.map { Float(calibration.offset[$0]) }
    kta = pixels.map { Float(calibration.kta[$0]) }
    kv = pixels.map { Float(calibration.kv[$0]) }
    inverseAlpha = pixels.map { calibration.alpha[$0] > 0 ? Float(1 / calibration.alpha[$0]) : .nan }
    patternCorrection = pixels.map { Float(calibration.patternCorrection(pixel: $0)) }
  }

  /// - Returns: whether some pixels are left invalid.
  func convert(
    _ words: [UInt16], _ scalars: SubPageScalars, trusted: ClosedRange<Float>, celsius: inout [Float],
    valid: inout [Bool]
  ) -> Bool {
    var untrusted = false
    for place in 0..<indices.count {
      let pixel = Int(indices[place])
      let word = words[pixel]
      let raw = Float(Int16(bitPattern: word))
      var signal =
        raw * scalars.gain - offset[place] * (1 + kta[place] * scalars.taOffset) * (1 + kv[place] * scalars.vddOffset)
      signal += patternCorrection[place] * scalars.usesPatternCorrection - scalars.gradient
      let q = signal * scalars.signalScale * inverseAlpha[place]
      let x = (q + scalars.radiation).squareRoot().squareRoot()
      let first =
        (q / (scalars.bendBase + scalars.bendSlope * x) + scalars.radiation).squareRoot().squareRoot()
      var base = scalars.bases.3
      var slope = scalars.slopes.3
      if first < scalars.corners.0 {
        (base, slope) = (scalars.bases.0, scalars.slopes.0)
      } else if first < scalars.corners.1 {
        (base, slope) = (scalars.bases.1, scalars.slopes.1)
      } else if first < scalars.corners.2 {
        (base, slope) = (scalars.bases.2, scalars.slopes.2)
      }
      let value = (q / (base + slope * first) + scalars.radiation).squareRoot().squareRoot() - 273.15
      let good = word != SubPage.unmeasured && trusted.contains(value)
      celsius[pixel] = good ? value : 0
      valid[pixel] = good
      untrusted = untrusted || !good
    }
    return untrusted
  }
}
