import Inference
import Thermography

/// A Gaussian's values at whole pixels, the largest 1: what it is divided by, the user says.
func gaussian(sigmaPixels: Double, reach: Int) -> [Double] {
  (-reach...reach).map { Transcendental.exponential(-Double($0 * $0) / (2 * sigmaPixels * sigmaPixels)) }
}

/// Separable filters over planes of doubles of one geometry, row by row, zero beyond the frame. All memory is taken at
/// the beginning.
struct PlaneFilter {
  let rows: Int
  let columns: Int
  private var lines: [Double]

  init(_ geometry: SensorGeometry) {
    rows = geometry.rows
    columns = geometry.columns
    lines = Array(repeating: 0, count: geometry.pixelCount)
  }

  /// `kernel` (of odd length) along the columns, then along the rows; nothing is normalised.
  mutating func convolve(_ plane: [Double], with kernel: [Double], into result: inout [Double]) {
    let (rows, columns, reach) = (rows, columns, kernel.count / 2)
    lines.withUnsafeMutableBufferPointer { lines in
      plane.withUnsafeBufferPointer { plane in
        for row in 0..<rows {
          let line = row * columns
          for column in 0..<columns { lines[line + column] = 0 }
          for tap in max(0, reach - row)..<min(kernel.count, rows + reach - row) {
            let (weight, from) = (kernel[tap], (row + tap - reach) * columns)
            for column in 0..<columns { lines[line + column] += weight * plane[from + column] }
          }
        }
      }
      result.withUnsafeMutableBufferPointer { result in
        for row in 0..<rows {
          let line = row * columns
          for column in 0..<columns {
            var sum = 0.0
            for tap in max(0, reach - column)..<min(kernel.count, columns + reach - column) {
              sum += kernel[tap] * lines[line + column + tap - reach]
            }
            result[line + column] = sum
          }
        }
      }
    }
  }

  /// Central differences in degC a pixel, one-sided at the border.
  func gradient(of plane: [Double], down: inout [Double], across: inout [Double]) {
    for row in 0..<rows {
      let (above, below) = (max(row - 1, 0), min(row + 1, rows - 1))
      for column in 0..<columns {
        let (left, right) = (max(column - 1, 0), min(column + 1, columns - 1))
        let pixel = row * columns + column
        down[pixel] =
          (plane[below * columns + column] - plane[above * columns + column]) / Double(below - above)
        across[pixel] =
          (plane[row * columns + right] - plane[row * columns + left]) / Double(right - left)
      }
    }
  }
}

/// A Gaussian blur that the frame's border does not darken.
struct PlaneBlur {
  private let kernel: [Double]
  private let weight: [Double]

  init(sigmaPixels: Double, _ filter: inout PlaneFilter) {
    kernel = gaussian(sigmaPixels: sigmaPixels, reach: Int((3 * sigmaPixels).rounded(.up)))
    var weight = Array(repeating: 0.0, count: filter.rows * filter.columns)
    filter.convolve(Array(repeating: 1, count: weight.count), with: kernel, into: &weight)
    self.weight = weight
  }

  func apply(_ plane: [Double], _ filter: inout PlaneFilter, into result: inout [Double]) {
    filter.convolve(plane, with: kernel, into: &result)
    for pixel in result.indices { result[pixel] /= weight[pixel] }
  }
}

/// Where a value between pixels comes from: the upper left one of four, and the shares of the next row and column.
struct BilinearTap {
  let pixel: Int
  let rowShare: Double
  let columnShare: Double

  /// - Parameters:
  ///   - row, column: finite, moved to the frame's edge where they lie beyond it.
  init(row: Double, column: Double, rows: Int, columns: Int) {
    let row = min(max(row, 0), Double(rows - 1))
    let column = min(max(column, 0), Double(columns - 1))
    let (i, j) = (min(Int(row), rows - 2), min(Int(column), columns - 2))
    pixel = i * columns + j
    rowShare = row - Double(i)
    columnShare = column - Double(j)
  }

  @inline(__always)
  func value(of plane: [Double], columns: Int) -> Double {
    let (a, b) = (rowShare, columnShare)
    return plane[pixel] * (1 - a) * (1 - b) + plane[pixel + columns] * a * (1 - b)
      + plane[pixel + 1] * (1 - a) * b + plane[pixel + columns + 1] * a * b
  }
}

/// Catmull and Rom's bicubic interpolation (a = -1/2); taps beyond the frame are the nearest pixel's.
enum CatmullRom {
  private static func weights(_ t: Double) -> (Double, Double, Double, Double) {
    (
      ((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1, ((-1.5 * t + 2) * t + 0.5) * t,
      (0.5 * t - 0.5) * t * t
    )
  }

  /// - Parameters:
  ///   - row, column: finite, within a frame's size of the frame.
  static func value(of plane: [Double], row: Double, column: Double, rows: Int, columns: Int) -> Double {
    let (i, j) = (Int(row.rounded(.down)), Int(column.rounded(.down)))
    let down = weights(row - Double(i))
    let across = weights(column - Double(j))
    func line(_ offset: Int) -> Double {
      let start = min(max(i + offset, 0), rows - 1) * columns
      func tap(_ offset: Int) -> Double { plane[start + min(max(j + offset, 0), columns - 1)] }
      return across.0 * tap(-1) + across.1 * tap(0) + across.2 * tap(1) + across.3 * tap(2)
    }
    return down.0 * line(-1) + down.1 * line(0) + down.2 * line(1) + down.3 * line(2)
  }
}
