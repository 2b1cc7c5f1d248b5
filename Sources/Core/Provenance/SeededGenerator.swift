/// SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same noise on every machine.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// 0..<1.
  package mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// About normal, mean 0, deviation 1: the sum of twelve uniform numbers needs no logarithm.
  package mutating func normal() -> Double {
    var sum = -6.0
    for _ in 0..<3 {
      let bits = next()
      for lane in 0..<4 { sum += (Double(bits >> UInt64(16 * lane) & 0xFFFF) + 0.5) / 65_536 }
    }
    return sum
  }
}
