/// Medians and quantiles in a time that depends on the number of values alone: the values are looked up digit by digit
/// (radix selection), so no order of theirs is a slow one.
struct OrderStatistics {
  private static let digitBits: UInt64 = 8

  private var keys: [UInt64]
  private var histogram: [Int]
  private var count = 0

  /// - Parameter capacity: values at most.
  init(capacity: Int) {
    keys = Array(repeating: 0, count: capacity)
    histogram = Array(repeating: 0, count: 1 << Int(Self.digitBits))
  }

  /// The median of the first `count` of `values`, of an even number the mean of the middle two; 0 of none.
  mutating func median(of values: [Double], count: Int) -> Double {
    guard load(values, count) else { return 0 }
    return interpolated(at: Double(self.count - 1) / 2)
  }

  /// The quantile with linear interpolation between its neighbours; 0 of none. `share` in 0...1.
  mutating func quantile(_ share: Double, of values: [Double], count: Int) -> Double {
    guard load(values, count) else { return 0 }
    return interpolated(at: share * Double(self.count - 1))
  }

  /// Keys that sort as the numbers do: of a negative number all bits are turned, of a positive one the sign.
  private mutating func load(_ values: [Double], _ count: Int) -> Bool {
    self.count = min(count, keys.count, values.count)
    for index in 0..<self.count {
      let bits = values[index].bitPattern
      keys[index] = bits >> 63 == 1 ? ~bits : bits | 1 << 63
    }
    return self.count > 0
  }

  private mutating func interpolated(at position: Double) -> Double {
    let rank = min(Int(position), count - 1)
    let share = position - Double(rank)
    let (lower, next) = neighbours(rank: rank, needsNext: share > 0)
    return share > 0 ? lower + (next - lower) * share : lower
  }

  /// The value of a rank, and the one after it (itself where there is none, or it is not asked for).
  private mutating func neighbours(rank: Int, needsNext: Bool) -> (Double, Double) {
    var (prefix, mask, left) = (UInt64(0), UInt64(0), rank)
    var shift = UInt64.bitWidth - Int(Self.digitBits)
    while shift >= 0 {
      for index in histogram.indices { histogram[index] = 0 }
      for index in 0..<count where keys[index] & mask == prefix {
        histogram[Int(keys[index] >> UInt64(shift) & UInt64(histogram.count - 1))] += 1
      }
      var digit = 0
      while digit < histogram.count - 1, left >= histogram[digit] {
        left -= histogram[digit]
        digit += 1
      }
      prefix |= UInt64(digit) << UInt64(shift)
      mask |= UInt64(histogram.count - 1) << UInt64(shift)
      shift -= Int(Self.digitBits)
    }
    let value = Self.value(prefix)
    guard needsNext else { return (value, value) }
    var notAbove = 0
    var next = UInt64.max
    for index in 0..<count {
      if keys[index] <= prefix { notAbove += 1 } else { next = min(next, keys[index]) }
    }
    return (value, notAbove > rank + 1 || notAbove == count ? value : Self.value(next))
  }

  private static func value(_ key: UInt64) -> Double {
    Double(bitPattern: key >> 63 == 1 ? key & ~(1 << 63) : ~key)
  }
}
