/// The subject's outline in a frame: the largest connected region of the body's mask.
struct Silhouette {
  private static let columns = SubjectMeasurements.columns
  private static let rows = SubjectMeasurements.rows

  /// 768 flags, row-major.
  let inside: [Bool]
  private let midpoints: [(row: Int, column: Double)]
  let leftEdgeShare: Double
  let rightEdgeShare: Double

  /// nil when nothing is warm enough to be a region of at least 24 pixels, or a pixel has no usable temperature.
  init?(celsius: [Float]) {
    var centikelvin: [Int] = []
    centikelvin.reserveCapacity(celsius.count)
    for value in celsius {
      guard let pixel = FixedPoint.centikelvin(ofCelsius: value) else { return nil }
      centikelvin.append(pixel)
    }
    let plane = ThermalPlane(rows: Self.rows, columns: Self.columns, values: centikelvin)
    let mask: BodyMask
    do throws(PreprocessingError) {
      mask = try BodyMask(of: plane)
    } catch {
      return nil  // every pixel is alike: nobody is there
    }
    let region = Self.largestRegion(mask.pixels)
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
