/// The few transcendental functions the tables need, computed in float64 and rounded once to float32. A platform's
/// `expf` may differ in the last place from one library to the next; these do not differ between machines.
package enum Transcendental {
  /// 1 / (1 + e^-x), every step but the exponential in float32 as in the reference.
  static func logistic(_ x: Float) -> Float {
    1 / (1 + Float(exponential(-Double(x))))
  }

  static func tanh(_ x: Float) -> Float {
    let magnitude = Double(x.magnitude)
    let result: Double
    if magnitude < 0.125 {
      // The quotient below would cancel; the odd series to x^11 is exact to 1e-15 here.
      let s = magnitude * magnitude
      let series = 1 - s * (1.0 / 3 - s * (2.0 / 15 - s * (17.0 / 315 - s * (62.0 / 2835 - s * (1382.0 / 155_925)))))
      result = magnitude * series
    } else {
      let e = exponential(-2 * magnitude)
      result = (1 - e) / (1 + e)
    }
    return Float(x < 0 ? -result : result)
  }

  /// e^x to about 1e-15 relative: x = k ln 2 + r, the series of e^r to r^14, scaled by 2^k.
  package static func exponential(_ x: Double) -> Double {
    if x.isNaN { return x }
    if x > 709 { return .infinity }
    if x < -745 { return 0 }
    let k = (x * 1.442695040888963407).rounded()
    // ln 2 in two parts, so that k times the high part is exact.
    let r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10
    var term = 1.0
    var sum = 1.0
    for n in 1...14 {
      term *= r / Double(n)
      sum += term
    }
    return Double(sign: .plus, exponent: Int(k), significand: sum)
  }
}
