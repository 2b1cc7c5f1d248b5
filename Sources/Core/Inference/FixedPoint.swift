/// The fixed-point arithmetic of TFLite's reference kernels (gemmlowp `fixedpoint.h`, `quantization_util.cc`,
/// `kernels/internal/common.cc`), double rounding included. Every kernel set must agree with it to the last bit.
enum FixedPoint {
  /// A real factor as `mantissa * 2^(exponent - 31)`, the mantissa's magnitude in [2^30, 2^31).
  struct Multiplier: Equatable, Sendable {
    var mantissa: Int32
    /// Positive: shift left before the multiplication; negative: rounding shift right after it.
    var exponent: Int32

    static let zero = Multiplier(mantissa: 0, exponent: 0)

    init(mantissa: Int32, exponent: Int32) {
      self.mantissa = mantissa
      self.exponent = exponent
    }

    /// `QuantizeMultiplier`. Factors below 2^-31 become zero, as in the reference. Above 2^30 the reference left
    /// shift would exceed an int32, so the factor saturates at 2^31 - 1.
    init(_ factor: Double) {
      guard factor != 0, factor.isFinite else {
        self = .zero
        return
      }
      // `frexp`: |factor| = fraction * 2^power with the fraction in [0.5, 1).
      let fraction = factor.significand / 2
      var power = Int32(clamping: factor.exponent) + 1
      var rounded = Int64((fraction * 2_147_483_648.0).rounded(.toNearestOrAwayFromZero))
      if rounded == 1 << 31 {
        rounded /= 2
        power += 1
      }
      if power < -31 {
        self = .zero
        return
      }
      let magnitude = power > 30 ? Int32.max : Int32(rounded)
      self.init(mantissa: factor < 0 ? -magnitude : magnitude, exponent: min(power, 30))
    }
  }

  /// gemmlowp `SaturatingRoundingDoublingHighMul`: (a * b + 2^30) >> 31; halves round upwards.
  @inline(__always)
  static func doublingHighMultiply(_ a: Int32, _ b: Int32) -> Int32 {
    if a == Int32.min && b == Int32.min {
      return Int32.max
    }
    let product = Int64(a) * Int64(b)
    // gemmlowp divides (truncating) after a sign-dependent nudge, which equals an arithmetic shift after adding 2^30.
    return Int32(truncatingIfNeeded: (product + (1 << 30)) >> 31)
  }

  /// gemmlowp `RoundingDivideByPOT`: shift right, halves away from zero. `shift` in 0...31.
  @inline(__always)
  static func roundingShiftRight(_ value: Int32, _ shift: Int32) -> Int32 {
    let mask = Int32(truncatingIfNeeded: (Int64(1) << Int64(shift)) - 1)
    let remainder = value & mask
    let threshold = (mask >> 1) &+ (value < 0 ? 1 : 0)
    return (value >> shift) &+ (remainder > threshold ? 1 : 0)
  }

  /// `MultiplyByQuantizedMultiplier`, the double-rounding form. The left shift wraps in 32 bits.
  @inline(__always)
  static func multiply(_ value: Int32, by multiplier: Multiplier) -> Int32 {
    let left = max(multiplier.exponent, 0)
    let right = max(-multiplier.exponent, 0)
    return roundingShiftRight(doublingHighMultiply(value << left, multiplier.mantissa), right)
  }

  /// A requantised value with its zero point added, clamped. The sum is taken in 64 bits: a multiplier far above one
  /// may have brought the value to the end of the int32 range, and the sign must survive.
  @inline(__always)
  static func clamp(_ value: Int32, plus zeroPoint: Int32, _ range: ClampRange = .int8) -> Int8 {
    Int8(truncatingIfNeeded: min(max(Int64(value) + Int64(zeroPoint), Int64(range.lower)), Int64(range.upper)))
  }

  @inline(__always)
  static func clamp(_ value: Int32, _ lower: Int32, _ upper: Int32) -> Int8 {
    Int8(truncatingIfNeeded: min(max(value, lower), upper))
  }
}
