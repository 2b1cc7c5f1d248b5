/// The subject's outline in a frame: the largest connected warm region above Otsu's threshold.
struct Silhouette {
  private static let columns = SubjectMeasurements.columns
  private static let rows = SubjectMeasurements.rows

  /// 768 flags, row-major.
  let inside: [Bool]
  private let midpoints: [(row: Int, column: Double)]
  let leftEdgeShare: Double
  let rightEdgeShare: Double

  /// nil when nothing is warm enough to be a region of at least 24 pixels.
  init?(celsius: [Float]) {
    guard let threshold = Self.otsuThreshold(celsius) else { return nil }
    let region = Self.largestRegion(celsius.map { $0 > threshold })
    guard region.count >= 24 else { return nil }
    var inside = [Bool](repeating: false, count: celsius.count)
    for pixel in region { inside[pixel] = true }
    self.inside = inside

    var midpoints: [(row: Int, column: Double)] = []
    var touchesLeft = 0
    var touchesRight = 0
    for row in 0..<Self.rows {
      let line = inside[row * Self.columns..<(row + 1) * Self.columns]
      guard let first = line.firstIndex(of: true), let last = line.lastIndex(of: true) else { continue }
      let left = first - line.startIndex
      let right = last - line.startIndex
      midpoints.append((row, Double(left + right) / 2))
      if left == 0 { touchesLeft += 1 }
      if right == Self.columns - 1 { touchesRight += 1 }
    }
    self.midpoints = midpoints
    leftEdgeShare = Double(touchesLeft) / Double(midpoints.count)
    rightEdgeShare = Double(touchesRight) / Double(midpoints.count)
  }

  /// Mean midpoint over the rows that the subject covers.
  var midlineColumn: Double { midpoints.reduce(0) { $0 + $1.column } / Double(midpoints.count) }

  /// Least-squares slope of the midpoints over the rows, in columns a row; 0 for fewer than three rows.
  var midlineSlope: Double {
    guard midpoints.count >= 3 else { return 0 }
    let meanRow = midpoints.reduce(0.0) { $0 + Double($1.row) } / Double(midpoints.count)
    let meanColumn = midlineColumn
    var covariance = 0.0
    var variance = 0.0
    for (row, column) in midpoints {
      covariance += (Double(row) - meanRow) * (column - meanColumn)
      variance += (Double(row) - meanRow) * (Double(row) - meanRow)
    }
    return covariance / variance
  }

  /// The threshold that separates the frame's temperatures into two classes with the greatest variance between them
  /// (Otsu 1979), over 64 bins between the 1st and 99th percentile so that a single hot pixel does not stretch the
  /// scale; nil for a frame without any spread.
  private static func otsuThreshold(_ celsius: [Float]) -> Float? {
    let sorted = celsius.sorted()
    let low = sorted[sorted.count / 100]
    let high = sorted[sorted.count - 1 - sorted.count / 100]
    guard high - low > 0.1 else { return nil }
    let bins = 64
    var histogram = [Int](repeating: 0, count: bins)
    for value in celsius {
      let position = (value - low) / (high - low) * Float(bins)
      histogram[min(bins - 1, max(0, Int(position)))] += 1
    }
    let total = Double(celsius.count)
    let weightedTotal = histogram.indices.reduce(0.0) { $0 + Double($1) * Double(histogram[$1]) }
    var below = 0.0
    var weightedBelow = 0.0
    var best = (variance: -1.0, bin: 0)
    for bin in 0..<(bins - 1) {
      below += Double(histogram[bin])
      weightedBelow += Double(bin) * Double(histogram[bin])
      guard below > 0, below < total else { continue }
      let difference = weightedBelow / below - (weightedTotal - weightedBelow) / (total - below)
      let variance = below * (total - below) * difference * difference
      if variance > best.variance { best = (variance, bin) }
    }
    return low + (high - low) * Float(best.bin + 1) / Float(bins)
  }

  /// Pixels of the largest 4-connected region of `true`, by a flood fill whose stack never exceeds the frame.
  private static func largestRegion(_ mask: [Bool]) -> [Int] {
    var seen = [Bool](repeating: false, count: mask.count)
    var largest: [Int] = []
    for start in mask.indices where mask[start] && !seen[start] {
      var region = [start]
      seen[start] = true
      var next = 0
      while next < region.count {
        let pixel = region[next]
        next += 1
        let column = pixel % columns
        for neighbour in [
          pixel - columns, pixel + columns, column > 0 ? pixel - 1 : -1,
          column < columns - 1 ? pixel + 1 : -1,
        ]
        where mask.indices.contains(neighbour) && mask[neighbour] && !seen[neighbour] {
          seen[neighbour] = true
          region.append(neighbour)
        }
      }
      if region.count > largest.count { largest = region }
    }
    return largest
  }
}
