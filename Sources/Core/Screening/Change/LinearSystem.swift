/// A small system of linear equations (normal equations of least squares) in memory of its own.
struct LinearSystem {
  typealias Hat = (point: Int, weight: Double)

  let size: Int
  private var matrix: [Double]
  private var right: [Double]
  private(set) var solution: [Double]

  init(size: Int) {
    self.size = size
    matrix = Array(repeating: 0, count: size * size)
    right = Array(repeating: 0, count: size)
    solution = right
  }

  mutating func clear() {
    for index in matrix.indices { matrix[index] = 0 }
    for index in right.indices { right[index] = 0 }
  }

  /// An equation of four unknowns.
  mutating func add(_ row: (Double, Double, Double, Double), weight: Double, value: Double) {
    let scaled = (row.0 * weight, row.1 * weight, row.2 * weight, row.3 * weight)
    func line(_ start: Int, _ by: Double) {
      matrix[start] += by * row.0
      matrix[start + 1] += by * row.1
      matrix[start + 2] += by * row.2
      matrix[start + 3] += by * row.3
    }
    line(0, scaled.0)
    line(4, scaled.1)
    line(8, scaled.2)
    line(12, scaled.3)
    right[0] += scaled.0 * value
    right[1] += scaled.1 * value
    right[2] += scaled.2 * value
    right[3] += scaled.3 * value
  }

  /// An equation of the four control points around a pixel, each with an unknown down and, `offset` later, one across.
  /// Of the mixed block only the upper half is filled; `mirror` fills the other.
  mutating func add(
    _ hats: (Hat, Hat, Hat, Hat), _ down: Double, _ across: Double, offset: Int, weight: Double, value: Double
  ) {
    func line(_ hat: Hat) {
      let own = weight * hat.weight
      let (downDown, downAcross, acrossAcross) = (own * down * down, own * down * across, own * across * across)
      func cell(_ other: Hat) {
        matrix[hat.point * size + other.point] += downDown * other.weight
        matrix[hat.point * size + offset + other.point] += downAcross * other.weight
        matrix[(offset + hat.point) * size + offset + other.point] += acrossAcross * other.weight
      }
      cell(hats.0)
      cell(hats.1)
      cell(hats.2)
      cell(hats.3)
      right[hat.point] += own * down * value
      right[offset + hat.point] += own * across * value
    }
    line(hats.0)
    line(hats.1)
    line(hats.2)
    line(hats.3)
  }

  /// The lower left half of a symmetric matrix from the upper right one.
  mutating func mirror() {
    for row in 0..<size {
      for column in 0..<row { matrix[row * size + column] = matrix[column * size + row] }
    }
  }

  mutating func addToDiagonal(_ values: [Double]) {
    for index in 0..<size { matrix[index * size + index] += values[index] }
  }

  mutating func addToDiagonal(_ ridge: Double, at index: Int, value: Double) {
    matrix[index * size + index] += ridge
    right[index] += value
  }

  /// Gauss's elimination with the largest pivot of each column; false, and no solution, where a pivot is none or a number is
  /// not finite.
  mutating func solve() -> Bool {
    for column in 0..<size {
      var pivot = column
      for row in column + 1..<max(size, column + 1)
      where abs(matrix[row * size + column]) > abs(matrix[pivot * size + column]) { pivot = row }
      let value = matrix[pivot * size + column]
      guard value.isFinite, value != 0 else { return false }
      if pivot != column {
        for index in column..<size { matrix.swapAt(pivot * size + index, column * size + index) }
        right.swapAt(pivot, column)
      }
      for row in column + 1..<max(size, column + 1) {
        let factor = matrix[row * size + column] / value
        guard factor != 0 else { continue }
        for index in column..<size { matrix[row * size + index] -= factor * matrix[column * size + index] }
        right[row] -= factor * right[column]
      }
    }
    for row in (0..<size).reversed() {
      var sum = right[row]
      for column in row + 1..<max(size, row + 1) { sum -= matrix[row * size + column] * solution[column] }
      solution[row] = sum / matrix[row * size + row]
    }
    return solution.allSatisfy(\.isFinite)
  }
}
