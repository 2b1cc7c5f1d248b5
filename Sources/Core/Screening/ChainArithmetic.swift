/// Integer arithmetic that the training scripts repeat exactly (`Models/training/fixedpoint.py`).
package enum ChainArithmetic {
  /// `numerator / denominator` rounded to the nearest integer, a half away from zero. `denominator` is above 0.
  package static func rounded(_ numerator: Int, dividedBy denominator: Int) -> Int {
    precondition(denominator > 0)
    let half = denominator / 2
    let (quotient, remainder) = numerator.quotientAndRemainder(dividingBy: denominator)
    let magnitude = abs(remainder)
    let roundsAway = magnitude > half || (magnitude == half && denominator.isMultiple(of: 2))
    return roundsAway ? quotient + (numerator < 0 ? -1 : 1) : quotient
  }

  /// The largest integer whose square does not exceed `value` (0 or more).
  ///
  /// - Precondition: below 2^80; a variance of the largest picture stays below 2^70.
  package static func squareRoot(_ value: Int128) -> Int {
    precondition(value >= 0 && value < 1 << 80)
    var root: Int128 = 0
    var bit: Int128 = 1 << 39
    while bit > 0 {
      let candidate = root | bit
      if candidate * candidate <= value { root = candidate }
      bit >>= 1
    }
    return Int(root)
  }

  /// 256 * log2(1 + `value`) with the mantissa taken linearly (Mitchell's approximation), rounded down; `value` is
  /// 0 or more.
  package static func log2Q8(_ value: Int) -> Int {
    precondition(value >= 0 && value < Int.max)
    let number = value + 1
    let exponent = Int.bitWidth - 1 - number.leadingZeroBitCount
    let fraction = number - (1 << exponent)
    let mantissa = exponent >= 8 ? fraction >> (exponent - 8) : fraction << (8 - exponent)
    return exponent * 256 + mantissa
  }

  /// Clamped to int8.
  package static func int8(_ value: Int) -> Int8 { Int8(clamping: value) }
}
