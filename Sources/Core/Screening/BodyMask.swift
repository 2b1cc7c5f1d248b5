/// The pixels that are warmer than the background, and the line about which the body is folded.
package struct BodyMask: Sendable, Equatable {
  package let rows: Int
  package let columns: Int
  /// Row by row.
  package let pixels: [Bool]
  /// Pixels of the body, at least 1.
  package let count: Int
  /// Twice the mean column of the body, rounded, a half away from the frame's centre: pixel centres lie at whole
  /// columns, so an odd value is a line between two columns. Mirroring the frame gives 2 * (columns - 1) less it.
  package let doubledMidline: Int

  static let binCentikelvin = 10
  static let binCount = 250

  /// A threshold over the plane; throws `PreprocessingError.featureless` when all pixels are equal to within a bin.
  init(of plane: ThermalPlane, by method: PreprocessingStep.MaskMethod) throws(PreprocessingError) {
    guard let minimum = plane.values.min() else { throw .featureless }
    let bins = plane.values.map { min(($0 - minimum) / Self.binCentikelvin, Self.binCount - 1) }
    var histogram = Array(repeating: 0, count: Self.binCount)
    for bin in bins { histogram[bin] += 1 }
    guard let otsu = Self.otsuThreshold(of: histogram) else { throw .featureless }
    let threshold =
      switch method {
      case .otsu: otsu
      case .minimumError: MinimumErrorThreshold.threshold(of: histogram, atMost: otsu)
      }
    rows = plane.rows
    columns = plane.columns
    pixels = bins.map { $0 > threshold }
    var count = 0
    var offset = 0
    for (index, isBody) in pixels.enumerated() where isBody {
      count += 1
      offset += 2 * (index % plane.columns) - (plane.columns - 1)
    }
    self.count = count
    doubledMidline = plane.columns - 1 + ChainArithmetic.rounded(offset, dividedBy: count)
  }

  private init(rows: Int, columns: Int, pixels: [Bool], doubledMidline: Int) {
    self.rows = rows
    self.columns = columns
    self.pixels = pixels
    count = pixels.count { $0 }
    self.doubledMidline = doubledMidline
  }

  /// Without the pixels that have a neighbour above, below, left or right outside of the body: those of the edge are
  /// part skin, part room. What lies beyond the frame counts as body. The midline stays; nil when nothing is left.
  func eroded() -> BodyMask? {
    let kept = pixels.indices.map { pixel in
      let (row, column) = (pixel / columns, pixel % columns)
      return pixels[pixel] && (row == 0 || pixels[pixel - columns]) && (row == rows - 1 || pixels[pixel + columns])
        && (column == 0 || pixels[pixel - 1]) && (column == columns - 1 || pixels[pixel + 1])
    }
    let mask = BodyMask(rows: rows, columns: columns, pixels: kept, doubledMidline: doubledMidline)
    return mask.count > 0 ? mask : nil
  }

  /// The last bin of the lower class; the first of equals. Nil when one bin holds all.
  private static func otsuThreshold(of histogram: [Int]) -> Int? {
    let total = histogram.reduce(0, +)
    let sum = histogram.indices.reduce(0) { $0 + $1 * histogram[$1] }
    var lowerCount = 0
    var lowerSum = 0
    var best: (threshold: Int, variance: Int)?
    for bin in 0..<binCount - 1 {
      lowerCount += histogram[bin]
      lowerSum += bin * histogram[bin]
      guard lowerCount > 0 && lowerCount < total else { continue }
      // Between-class variance times total squared: below 2^45 before it is squared, below 2^55 after the division.
      let difference = Int128(total * lowerSum - lowerCount * sum)
      let variance = Int(difference * difference / Int128(lowerCount * (total - lowerCount)))
      if variance > best?.variance ?? 0 { best = (bin, variance) }
    }
    return best?.threshold
  }

  /// Left and right columns at `distance` (0 next to the midline) from the midline; either may lie outside the frame.
  private func columnPair(distance: Int) -> (left: Int, right: Int) {
    (doubledMidline / 2 - distance, (doubledMidline + 1) / 2 + distance)
  }

  /// The three planes of `PreprocessingStep.foldLeftRight`.
  func fold(_ plane: ThermalPlane) -> [ThermalPlane] {
    let half = columns / 2
    var means = Array(repeating: 0, count: rows * half)
    var differences = means
    var pairs: [Int] = []
    for row in 0..<rows {
      for distance in 0..<half {
        let (left, right) = columnPair(distance: distance)
        guard left >= 0 && right < columns else { continue }
        guard pixels[row * columns + left] && pixels[row * columns + right] else { continue }
        let index = row * half + distance
        let (l, r) = (plane.values[row * columns + left], plane.values[row * columns + right])
        means[index] = ChainArithmetic.rounded(l + r, dividedBy: 2)
        differences[index] = l - r
        pairs.append(index)
      }
    }
    var centred = Array(repeating: 0, count: rows * half)
    if !pairs.isEmpty {
      let mean = ChainArithmetic.rounded(pairs.reduce(0) { $0 + differences[$1] }, dividedBy: pairs.count)
      for index in pairs { centred[index] = abs(differences[index] - mean) }
    }
    return [means, differences.map { abs($0) }, centred].map {
      ThermalPlane(rows: rows, columns: half, values: $0)
    }
  }

  /// The first place from which `size` x `size` pixels of the body lie within less than `range`; nil without one.
  func flatPlace(in plane: ThermalPlane, size: Int, range: Int) -> (row: Int, column: Int)? {
    for row in 0...rows - size {
      for column in 0...columns - size {
        var low = Int.max
        var high = Int.min
        var isBody = true
        for index in 0..<size * size where isBody {
          let pixel = (row + index / size) * columns + column + index % size
          isBody = pixels[pixel]
          low = min(low, plane.values[pixel])
          high = max(high, plane.values[pixel])
        }
        if isBody && high - low < range { return (row, column) }
      }
    }
    return nil
  }
}
