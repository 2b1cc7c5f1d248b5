/// Kittler and Illingworth's minimum-error threshold (Pattern Recognition 19, 1986): the histogram as two normal
/// distributions, each with its own width and share. Otsu's classes are equally wide; a body is wider than the room
/// behind it, and where it hardly stands out his threshold cuts it in two.
///
/// In doubles, in the order of operations of `Models/training/preprocessing.py`, so that both choose the same bin.
enum MinimumErrorThreshold {
  /// A class of fewer pixels than a part in so many is none.
  private static let minimumShare = 32
  /// Variance of a class at least, in bins squared: a sensor's noise of 0.2 degC.
  private static let minimumVariance = 4.0

  /// The last bin of the lower class, the first of equals; `otsu` where no lower one leaves two classes.
  static func threshold(of histogram: [Int], atMost otsu: Int) -> Int {
    let total = histogram.reduce(0, +)
    var lower = Moments()
    var upper = Moments()
    for (bin, count) in histogram.enumerated() { upper.add(bin, count: count) }
    var best: (threshold: Int, cost: Double)?
    for bin in 0...otsu {
      lower.add(bin, count: histogram[bin])
      upper.add(bin, count: -histogram[bin])
      guard min(lower.count, upper.count) >= total / minimumShare, lower.count > 0, upper.count > 0 else { continue }
      let cost = lower.cost(of: total) + upper.cost(of: total)
      if cost < best?.cost ?? .infinity { best = (bin, cost) }
    }
    return best?.threshold ?? otsu
  }

  private struct Moments {
    private(set) var count = 0
    private var sum = 0
    private var squares = 0

    mutating func add(_ bin: Int, count: Int) {
      self.count += count
      sum += bin * count
      squares += bin * bin * count
    }

    /// The share of this class times the logarithm of its variance over its squared share.
    func cost(of total: Int) -> Double {
      let mean = Double(sum) / Double(count)
      let variance = max(Double(squares) / Double(count) - mean * mean, minimumVariance)
      let share = Double(count) / Double(total)
      return share * logarithm(variance / (share * share))
    }
  }

  /// The natural logarithm of a positive number to 1e-7: exponent and series of the significand, because this layer has
  /// no mathematics library.
  static func logarithm(_ value: Double) -> Double {
    let ratio = (value.significand - 1) / (value.significand + 1)  // at most 1/3
    let square = ratio * ratio
    var power = ratio
    var series = 0.0
    for odd in stride(from: 1.0, through: 13, by: 2) {
      series += power / odd
      power *= square
    }
    return Double(value.exponent) * 0.693_147_180_559_945_3 + 2 * series
  }
}
