/// SOFTMAX in gemmlowp's fixed point (`reference_ops::Softmax`, `fixedpoint.h`). Qm.n: m integer and n fraction bits.
extension ReferenceKernels {
  static func softmax(_ p: Softmax, input: UnsafePointer<Int8>, output: UnsafeMutablePointer<Int8>) {
    for row in 0..<p.rows {
      let source = input + row * p.depth
      let target = output + row * p.depth
      var maximum = Int8.min
      for index in 0..<p.depth {
        maximum = max(maximum, source[index])
      }
      var sum: Int32 = 0
      for index in 0..<p.depth {
        // Q0.31 to the Q12.19 of the sum.
        sum &+= FixedPoint.roundingShiftRight(exponential(Int32(source[index]) - Int32(maximum), p), 12)
      }
      let headroom = Int32(sum.leadingZeroBitCount)
      // sum in Q12.19, normalised to [1, 2) and its integer bit dropped: Q0.31.
      let fraction = Int32(truncatingIfNeeded: (Int64(sum) << Int64(headroom)) - (1 << 31))
      let reciprocal = reciprocalOfOnePlus(fraction)
      let shift = 12 - headroom + 31 - 8
      for index in 0..<p.depth {
        let e = exponential(Int32(source[index]) - Int32(maximum), p)
        let isNegligible = Int32(source[index]) - Int32(maximum) < p.minimumDifference
        let steps = FixedPoint.roundingShiftRight(FixedPoint.doublingHighMultiply(reciprocal, e), shift)
        target[index] = isNegligible ? -128 : FixedPoint.clamp(steps &- 128, -128, 127)
      }
    }
  }

  /// e^(difference * beta * scale) in Q0.31; 0 below the smallest difference that counts.
  static func exponential(_ difference: Int32, _ p: Softmax) -> Int32 {
    guard difference >= p.minimumDifference else { return 0 }
    let scaled = FixedPoint.doublingHighMultiply(difference << p.multiplier.exponent, p.multiplier.mantissa)
    return exponentialOfNegative(scaled)
  }

  /// `exp_on_negative_values` for Q5.26: Taylor series about -1/8 on (-1/4, 0], then one factor for each higher bit.
  static func exponentialOfNegative(_ a: Int32) -> Int32 {
    if a == 0 { return Int32.max }
    let quarter: Int32 = 1 << 24
    let modulo = (a & (quarter - 1)) - quarter
    var result = exponentialNearZero(modulo << 5)
    let remainder = modulo &- a
    for (exponent, factor) in exponentialFactors where remainder & (1 << (26 + exponent)) != 0 {
      result = FixedPoint.doublingHighMultiply(result, factor)
    }
    return result
  }

  /// e^-(2^exponent) in Q0.31.
  private static let exponentialFactors: [(exponent: Int32, factor: Int32)] = [
    (-2, 1_672_461_947), (-1, 1_302_514_674), (0, 790_015_084), (1, 290_630_308), (2, 39_332_535), (3, 720_401),
    (4, 242),
  ]

  /// e^a for a in [-1/4, 0), all in Q0.31.
  private static func exponentialNearZero(_ a: Int32) -> Int32 {
    let eighthRoot: Int32 = 1_895_147_668
    let third: Int32 = 715_827_883
    let x = a &+ (1 << 28)
    let x2 = FixedPoint.doublingHighMultiply(x, x)
    let x3 = FixedPoint.doublingHighMultiply(x2, x)
    let x4 = FixedPoint.doublingHighMultiply(x2, x2)
    let quarterOfX4 = FixedPoint.roundingShiftRight(x4, 2)
    let tail = FixedPoint.roundingShiftRight(
      FixedPoint.doublingHighMultiply(quarterOfX4 &+ x3, third) &+ x2, 1)
    return eighthRoot &+ FixedPoint.doublingHighMultiply(eighthRoot, x &+ tail)
  }

  /// 1 / (1 + a) for a in [0, 1), Q0.31: three Newton-Raphson steps in Q2.29.
  static func reciprocalOfOnePlus(_ a: Int32) -> Int32 {
    let sum = Int64(a) + Int64(Int32.max)
    // Round half away from zero; the sum is never negative.
    let halfDenominator = Int32((sum + 1) / 2)
    var x = 1_515_870_810 &+ FixedPoint.doublingHighMultiply(halfDenominator, -1_010_580_540)
    for _ in 0..<3 {
      let product = FixedPoint.doublingHighMultiply(halfDenominator, x)
      let error = (1 << 29) &- product
      x = x &+ saturatingShiftLeft(FixedPoint.doublingHighMultiply(x, error), 2)
    }
    return saturatingShiftLeft(x, 1)
  }

  private static func saturatingShiftLeft(_ value: Int32, _ shift: Int64) -> Int32 {
    Int32(clamping: Int64(value) << shift)
  }
}
