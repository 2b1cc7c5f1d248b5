import Thermography

/// The subject's outline in a frame: the largest connected region of the body's mask.
struct Silhouette {
  private let geometry: SensorGeometry

  /// A flag a pixel, row-major.
  let inside: [Bool]
  private let midpoints: [(row: Int, column: Double)]
  let leftEdgeShare: Double
  let rightEdgeShare: Double
  /// Pixels inside.
  let count: Int

  /// Fewer are no person: a part in 32 of the frame.
  static func minimumPixels(_ geometry: SensorGeometry) -> Int { geometry.pixelCount / 32 }
  /// Above this a pixel is something hot, and below the frame's cold end less `coldMarginCelsius` something cold: for
  /// the outline they count as no more than these, or they would draw it.
  private static let hotCelsius: Float = 38
  private static let coldMarginCelsius: Float = 1

  var fillsFrame: Bool { count == inside.count }

  /// The outline, or the whole frame where the warm region stands out too little because all of it is body.
  ///
  /// - Parameters:
  ///   - celsius: finite values, one a pixel.
  ///   - ordered: those that were measured, sorted; at least one.
  static func find(in celsius: [Float], _ geometry: SensorGeometry, ordered: [Float]) -> Silhouette? {
    guard
      let region = Silhouette(celsius: celsius, geometry, floor: ordered[ordered.count * 3 / 100] - coldMarginCelsius)
    else { return filling(ordered, geometry) }
    let remainder = celsius.count - region.count
    if remainder <= celsius.count / 10 {
      // What was cut off may be something cold in the picture, and the room be inside: look once more without it.
      let coolest = region.inside.indices.filter { region.inside[$0] }.map { celsius[$0] }.min() ?? 0
      let floor = coolest - coldMarginCelsius
      if let second = Silhouette(celsius: celsius, geometry, floor: floor), second.count < region.count,
        second.contrast(celsius, floor: floor) >= roomContrastCelsius
      {
        return second
      }
    }
    let floor = ordered[0]
    if remainder >= minimumPixels(geometry),
      region.isClear(in: celsius, contrast: region.contrast(celsius, floor: floor))
    {
      return region
    }
    return filling(ordered, geometry) ?? region
  }

  /// A warm region that stands out by so much is no part of a larger body, degC.
  private static let clearContrastCelsius: Float = 2.5
  /// Nor is one that stands out by so much before something as even as a room: its quartiles as far apart as those of
  /// a spread that goes six times into the contrast. What a threshold cuts off a body is seldom so even.
  private static let evenContrastCelsius: Float = 1.5
  private static let evenSpreads: Float = 6
  private static let quartilesOfSpread: Float = 1.349
  /// No two parts of one body differ by so much, degC.
  private static let roomContrastCelsius: Float = 4

  /// Whether what lies outside is a room, and not skin that is only cooler.
  private func isClear(in celsius: [Float], contrast: Float) -> Bool {
    if contrast >= Self.clearContrastCelsius { return true }
    guard contrast >= Self.evenContrastCelsius else { return false }
    let outside = celsius.indices.filter { !inside[$0] }.map { celsius[$0] }.sorted()
    let range = outside[outside.count * 3 / 4] - outside[outside.count / 4]
    return range / Self.quartilesOfSpread * Self.evenSpreads <= contrast
  }

  /// Mean inside less mean outside, degC; colder than `floor` counts as it.
  private func contrast(_ celsius: [Float], floor: Float) -> Float {
    var sums: (inside: Float, outside: Float) = (0, 0)
    for (value, isInside) in zip(celsius.lazy.map({ max($0, floor) }), inside) {
      if isInside { sums.inside += value } else { sums.outside += value }
    }
    guard count < celsius.count else { return 0 }
    return sums.inside / Float(count) - sums.outside / Float(celsius.count - count)
  }

  /// A body so near that nothing else is in the picture, by its temperatures alone: nearly all as warm as skin, and
  /// more uneven than a warm wall. nil when it is not so.
  static func filling(_ ordered: [Float], _ geometry: SensorGeometry) -> Silhouette? {
    let low = ordered[ordered.count / 20]
    let high = ordered[ordered.count * 9 / 10]
    guard low >= 26, high >= 29, high <= 40, (1...6).contains(high - low) else { return nil }
    let pixels = geometry.pixelCount
    return Silhouette(geometry: geometry, inside: [Bool](repeating: true, count: pixels), count: pixels)
  }

  /// nil when nothing is warm enough to be a region of at least `minimumPixels`.
  ///
  /// - Parameters:
  ///   - celsius: finite values, one a pixel.
  ///   - floor: what is colder counts as it, degC.
  private init?(celsius: [Float], _ geometry: SensorGeometry, floor: Float) {
    let floor = max(floor, -100)
    let ceiling = max(Self.hotCelsius, floor)
    var centikelvin: [Int] = []
    centikelvin.reserveCapacity(celsius.count)
    for value in celsius {
      guard let pixel = Centikelvin.nearest(toCelsius: min(max(value, floor), ceiling)) else { return nil }
      centikelvin.append(pixel)
    }
    let plane = ThermalPlane(rows: geometry.rows, columns: geometry.columns, values: centikelvin)
    let mask: BodyMask
    do throws(PreprocessingError) {
      mask = try BodyMask(of: plane, by: .minimumError)
    } catch {
      return nil  // every pixel is alike: nobody is there
    }
    let region = Self.largestRegion(mask.pixels, columns: geometry.columns)
    guard region.count >= Self.minimumPixels(geometry) else { return nil }
    var inside = [Bool](repeating: false, count: celsius.count)
    for pixel in region { inside[pixel] = true }
    self.init(geometry: geometry, inside: inside, count: region.count)
  }

  private init(geometry: SensorGeometry, inside: [Bool], count: Int) {
    let columns = geometry.columns
    self.geometry = geometry
    self.inside = inside
    self.count = count
    var midpoints: [(row: Int, column: Double)] = []
    var touchesLeft = 0
    var touchesRight = 0
    for row in 0..<geometry.rows {
      let line = inside[row * columns..<(row + 1) * columns]
      guard let first = line.firstIndex(of: true), let last = line.lastIndex(of: true) else { continue }
      let left = first - line.startIndex
      let right = last - line.startIndex
      midpoints.append((row, Double(left + right) / 2))
      if left == 0 { touchesLeft += 1 }
      if right == columns - 1 { touchesRight += 1 }
    }
    self.midpoints = midpoints
    leftEdgeShare = Double(touchesLeft) / Double(midpoints.count)
    rightEdgeShare = Double(touchesRight) / Double(midpoints.count)
  }

  /// The rows that the subject covers, from the first to the last.
  var rowRange: ClosedRange<Int> { midpoints[0].row...midpoints[midpoints.count - 1].row }

  /// Pixels that lie outside and touch no pixel inside, not even at a corner: there the lens mixes both.
  var surroundings: [Int] {
    let (rows, columns) = (geometry.rows, geometry.columns)
    return inside.indices.filter { pixel in
      let (row, column) = (pixel / columns, pixel % columns)
      for r in max(row - 1, 0)...min(row + 1, rows - 1) {
        for c in max(column - 1, 0)...min(column + 1, columns - 1) where inside[r * columns + c] {
          return false
        }
      }
      return true
    }
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
  private static func largestRegion(_ mask: [Bool], columns: Int) -> [Int] {
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
