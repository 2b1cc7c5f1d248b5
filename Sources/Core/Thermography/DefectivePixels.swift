/// Pixels that must not be believed, as indices in ascending order.
package struct DefectivePixels: Sendable, Hashable {
  /// EEPROM word 0: the maker found the pixel dead (datasheet 9).
  package var broken: [Int] = []
  /// EEPROM bit 0 set: out of specification.
  package var outliers: [Int] = []
  /// Found dead, stuck or noisy while running.
  package var found: [Int] = []

  package init() {}

  package var all: [Int] { Set(broken + outliers + found).sorted() }

  /// Whether two of them touch, diagonally included, so that interpolation has poor neighbours.
  package func hasAdjacentPixels(in geometry: SensorGeometry) -> Bool {
    let pixels = all
    let set = Set(pixels)
    let neighbours = PixelNeighbours(geometry)
    return pixels.contains { pixel in neighbours.around(pixel).contains { set.contains($0) } }
  }
}

/// The pixels around a pixel.
struct PixelNeighbours {
  private let geometry: SensorGeometry

  init(_ geometry: SensorGeometry) { self.geometry = geometry }

  /// Up to eight indices: sides first, then corners.
  func around(_ pixel: Int) -> [Int] {
    sides(pixel) + corners(pixel)
  }

  func sides(_ pixel: Int) -> [Int] { [(-1, 0), (1, 0), (0, -1), (0, 1)].compactMap { shifted(pixel, by: $0) } }

  func corners(_ pixel: Int) -> [Int] {
    [(-1, -1), (-1, 1), (1, -1), (1, 1)].compactMap { shifted(pixel, by: $0) }
  }

  private func shifted(_ pixel: Int, by step: (Int, Int)) -> Int? {
    let row = pixel / geometry.columns + step.0
    let column = pixel % geometry.columns + step.1
    guard (0..<geometry.rows).contains(row), (0..<geometry.columns).contains(column) else { return nil }
    return row * geometry.columns + column
  }
}

extension Thermogram {
  /// Measured pixels that lie further than `celsius` above or below every measured neighbour (one at least), ascending:
  /// the lens spreads any object over its neighbours, so such a pixel is broken, whatever the camera's list says.
  package func spikes(beyondCelsius celsius: Float) -> [Int] {
    let around = PixelNeighbours(geometry)
    return states.indices.filter { pixel in
      guard states[pixel] == .measured else { return false }
      let neighbours = around.around(pixel).filter { states[$0] == .measured }.map { self.celsius[$0] }
      guard let lowest = neighbours.min(), let highest = neighbours.max() else { return false }
      return self.celsius[pixel] > highest + celsius || self.celsius[pixel] < lowest - celsius
    }
  }

  /// Pixels of rows and columns that a sensor does not deliver any more, ascending: those that are equal to the row
  /// above, or the column to the left, in every pixel, and rows of one temperature between others. Noise alone makes
  /// that impossible for a live sensor, unless all of it lies below what it can measure: rows and columns of one
  /// temperature at the picture's border count as background.
  package var frozen: [Int] {
    let (rows, columns) = (geometry.rows, geometry.columns)
    func row(_ index: Int) -> [Float] { Array(celsius[index * columns..<(index + 1) * columns]) }
    func column(_ index: Int) -> [Float] { (0..<rows).map { celsius[$0 * columns + index] } }
    func isEven(_ line: [Float]) -> Bool { line.allSatisfy { $0 == line[0] } }
    let lines = (0..<rows).map(row)
    let uneven = lines.indices.filter { !isEven(lines[$0]) }
    var found: Set<Int> = []
    if let first = uneven.first, let last = uneven.last {
      for index in first...last where isEven(lines[index]) || (index > first && lines[index] == lines[index - 1]) {
        found.formUnion(index * columns..<(index + 1) * columns)
      }
    }
    var left = column(0)
    for index in 1..<columns {
      let next = column(index)
      if next == left, !isEven(next) { found.formUnion((0..<rows).map { $0 * columns + index }) }
      left = next
    }
    return found.sorted()
  }

  /// The same image with the defective and the invalid pixels made from measured neighbours: the mean of those at
  /// the sides, or of those at the corners; a pixel without either becomes (or stays) invalid.
  package func interpolated(over defects: DefectivePixels) -> Thermogram {
    var result = self
    for pixel in defects.all { result.states[pixel] = .invalid }
    let measured = result.states
    let neighbours = PixelNeighbours(geometry)
    for pixel in states.indices where measured[pixel] != .measured {
      let sides = neighbours.sides(pixel).filter { measured[$0] == .measured }
      let corners = neighbours.corners(pixel).filter { measured[$0] == .measured }
      let used = sides.isEmpty ? corners : sides
      result.standardErrorCelsius[pixel] = 0
      guard !used.isEmpty else {
        result.celsius[pixel] = 0
        result.states[pixel] = .invalid
        continue
      }
      result.celsius[pixel] = used.reduce(0) { $0 + celsius[$1] } / Float(used.count)
      result.states[pixel] = .interpolated
    }
    return result
  }
}
