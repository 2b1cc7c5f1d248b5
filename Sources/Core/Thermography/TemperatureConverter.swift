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
  private let ranges: TemperatureRanges

  /// degC in which single precision holds 0.0005 degC with margin; beyond, the reference decides.
  private static let trustedCelsius: ClosedRange<Float> = -40...250

  package init(_ calibration: Calibration) {
    self.calibration = calibration
    ranges = TemperatureRanges(calibration)
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
      calibration: calibration, ranges: ranges, point: point, emissivity: emissivity, reflectedCelsius: reflected,
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
  var ranges: TemperatureRanges

  init(
    calibration: Calibration, ranges: TemperatureRanges, point: OperatingPoint, emissivity: Double,
    reflectedCelsius: Double, subPage: Int
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
    self.ranges = ranges
  }
}

/// The four straight lines of the second pass, in kelvin: of the part, not of the sub-page.
private struct TemperatureRanges: Sendable {
  /// Lower corners of the second, third and fourth range.
  var corners: (Float, Float, Float)
  var bases: (Float, Float, Float, Float)
  var slopes: (Float, Float, Float, Float)

  init(_ calibration: Calibration) {
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
  /// Five runs of 384 numbers: offset, Kta, Kv, 1 / sensitivity, pattern correction. Where the sensitivity is not
  /// positive its inverse is not a number, which sends the pixel to the reference.
  private let constants: [Lanes]

  /// Pixels computed at once.
  private typealias Lanes = SIMD8<Float>
  private static let chunk = 8

  private static let count = MLX90640Geometry.subPagePixelCount

  init(_ calibration: Calibration, pattern: ReadingPattern, subPage: Int) {
    let pixels = (0..<MLX90640Geometry.pixelCount).filter { pattern.subPage(ofPixel: $0) == subPage }
    indices = pixels.map { UInt16($0) }
    let numbers: [Float] =
      pixels.map { Float(calibration.offset[$0]) } + pixels.map { Float(calibration.kta[$0]) }
      + pixels.map { Float(calibration.kv[$0]) }
      + pixels.map { calibration.alpha[$0] > 0 ? Float(1 / calibration.alpha[$0]) : .nan }
      + pixels.map { Float(calibration.patternCorrection(pixel: $0)) }
    constants = stride(from: 0, to: numbers.count, by: Self.chunk).map { Lanes(numbers[$0..<$0 + Self.chunk]) }
  }

  /// - Returns: whether some pixels are left invalid.
  func convert(
    _ words: [UInt16], _ scalars: SubPageScalars, trusted: ClosedRange<Float>, celsius: inout [Float],
    valid: inout [Bool]
  ) -> Bool {
    precondition(
      words.count == SubPage.wordCount && celsius.count == MLX90640Geometry.pixelCount
        && valid.count == MLX90640Geometry.pixelCount)
    var untrusted = false
    words.withUnsafeBufferPointer { words in
      celsius.withUnsafeMutableBufferPointer { celsius in
        valid.withUnsafeMutableBufferPointer { valid in
          for start in stride(from: 0, to: Self.count, by: Self.chunk) {
            var raw = Lanes()
            for lane in 0..<Self.chunk {
              raw[lane] = Float(Int16(bitPattern: words[Int(indices[start + lane])]))
            }
            let result = compute(raw, from: start, scalars)
            for lane in 0..<Self.chunk {
              let pixel = Int(indices[start + lane])
              let value = result[lane]
              let good = value >= trusted.lowerBound && value <= trusted.upperBound && raw[lane] != 32_767
              celsius[pixel] = good ? value : 0
              valid[pixel] = good
              untrusted = untrusted || !good
            }
          }
        }
      }
    }
    return untrusted
  }

  /// degC of eight pixels. No branch, and no call: the package sets -fno-math-errno, so that a square root is an
  /// instruction.
  @inline(__always)
  private func compute(_ raw: Lanes, from start: Int, _ scalars: SubPageScalars) -> Lanes {
    let offset = constant(0, start)
    let drift = (1 + constant(1, start) * scalars.taOffset) * (1 + constant(2, start) * scalars.vddOffset)
    let pattern = constant(4, start) * scalars.usesPatternCorrection - scalars.gradient
    let measured = raw * scalars.gain
    let dark = offset * drift
    let scale = scalars.signalScale * constant(3, start)
    let q = (measured - dark + pattern) * scale
    let x = (q + scalars.radiation).squareRoot().squareRoot()
    let bend = scalars.bendBase + scalars.bendSlope * x
    let first = (q / bend + scalars.radiation).squareRoot().squareRoot()
    var base = Lanes(repeating: scalars.ranges.bases.3).replacing(
      with: scalars.ranges.bases.2, where: first .< scalars.ranges.corners.2)
    var slope = Lanes(repeating: scalars.ranges.slopes.3).replacing(
      with: scalars.ranges.slopes.2, where: first .< scalars.ranges.corners.2)
    base.replace(with: scalars.ranges.bases.1, where: first .< scalars.ranges.corners.1)
    slope.replace(with: scalars.ranges.slopes.1, where: first .< scalars.ranges.corners.1)
    base.replace(with: scalars.ranges.bases.0, where: first .< scalars.ranges.corners.0)
    slope.replace(with: scalars.ranges.slopes.0, where: first .< scalars.ranges.corners.0)
    let sensitivity = base + slope * first
    let kelvin = (q / sensitivity + scalars.radiation).squareRoot().squareRoot()
    // The signal is a difference: when its terms are so large that their last bits would show in the temperature
    // (dT = dq / 4 T^3 sensitivity), or the sensitivity of a pass is far from 1, the reference decides.
    let terms = (measured * measured + dark * dark + pattern * pattern) * (scale * scale)
    let bearable = Self.bearableTerms * (kelvin * kelvin * kelvin) * sensitivity
    var result = kelvin - 273.15
    result.replace(with: .nan, where: .!((terms .< bearable * bearable) .& (sensitivity .> 0.5) .& (bend .> 0.5)))
    return result
  }

  /// Terms of a signal, over the sensitivity, that are 500 T^3 large move T by some 500 * 2^-23 / 4 = 0.000015 degC.
  private static let bearableTerms: Float = 500

  @inline(__always)
  private func constant(_ run: Int, _ start: Int) -> Lanes {
    constants[run * (Self.count / Self.chunk) + start / Self.chunk]
  }
}
