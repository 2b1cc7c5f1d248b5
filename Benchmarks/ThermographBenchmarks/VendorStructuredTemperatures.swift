import Thermography

/// The peer of the benchmark: datasheet rev 12 section 11.2 in scalar double precision, structured as the vendor's
/// library is: one loop over 768 pixels that works out each pixel's pattern and skips the other sub-page's, with the
/// sensitivity kept as a scaled reciprocal and four square roots a pass.
struct VendorStructuredTemperatures {
  private let calibration: Calibration
  /// 1e-6 / sensitivity, in single precision as the vendor's table is.
  private let scaledReciprocal: [Float]
  private let kta: [Float]
  private let kv: [Float]
  private let offset: [Int16]

  init(_ calibration: Calibration) {
    self.calibration = calibration
    scaledReciprocal = calibration.alpha.map { Float(0.000_001 / $0) }
    kta = calibration.kta.map { Float($0) }
    kv = calibration.kv.map { Float($0) }
    offset = calibration.offset.map { Int16($0) }
  }

  @inline(never)
  func convert(_ frame: SubPage, emissivity: Double, into result: inout [Double]) {
    let c = calibration
    let point = OperatingPoint(calibration: c, subPage: frame)
    let (ta, vdd) = (point.taCelsius, point.vddVolts)
    var ta4 = ta + 273.15
    ta4 *= ta4
    ta4 *= ta4
    var tr4 = ta - 8 + 273.15
    tr4 *= tr4
    tr4 *= tr4
    let taTr = tr4 - (tr4 - ta4) / emissivity
    let ks = c.ksTo
    let ct = c.cornerCelsius
    var corrections = [1 / (1 + ks[0] * 40), 1, 1 + ks[1] * ct[2], 0]
    corrections[3] = corrections[2] * (1 + ks[2] * (ct[3] - ct[2]))
    let compensation = frame.number == 0 ? point.compensationPixel0 : point.compensationPixel1
    let isChess = frame.control.pattern == .chess
    for pixel in 0..<768 {
      let line = pixel / 32 - pixel / 64 * 2
      let chess = line ^ (pixel - pixel / 2 * 2)
      let conversion = ((pixel + 2) / 4 - (pixel + 3) / 4 + (pixel + 1) / 4 - pixel / 4) * (1 - 2 * line)
      guard (isChess ? chess : line) == frame.number else { continue }
      var signal = Double(Int16(bitPattern: frame.words[pixel])) * point.gain
      let pixelKta = Double(kta[pixel])
      let pixelKv = Double(kv[pixel])
      signal -= Double(offset[pixel]) * (1 + pixelKta * (ta - 25)) * (1 + pixelKv * (vdd - 3.3))
      if frame.control.pattern != c.pattern {
        signal += c.chessCorrection3 * Double(2 * line - 1) - c.chessCorrection2 * Double(conversion)
      }
      signal -= c.tgc * compensation
      signal /= emissivity
      var alpha = 0.000_001 / Double(scaledReciprocal[pixel])
      alpha *= 1 + c.ksTa * (ta - 25)
      let bend = (alpha * alpha * alpha * (signal + alpha * taTr)).squareRoot().squareRoot() * ks[1]
      var to = (signal / (alpha * (1 - ks[1] * 273.15) + bend) + taTr).squareRoot().squareRoot() - 273.15
      let range = to < ct[1] ? 0 : to < ct[2] ? 1 : to < ct[3] ? 2 : 3
      to =
        (signal / (alpha * corrections[range] * (1 + ks[range] * (to - ct[range]))) + taTr).squareRoot().squareRoot()
        - 273.15
      result[pixel] = to
    }
  }
}
