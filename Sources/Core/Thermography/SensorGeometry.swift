/// The pixel grid of a sensor: a value that travels with every picture. Every picture in the house is row-major, row 0 the
/// top row as the sensor gives it.
package struct SensorGeometry: Sendable, Hashable, Codable, CustomStringConvertible {
  /// What the house's arithmetic is made for: from the smallest in which a body has two sides to the largest whose sums
  /// and buffers are bounded.
  package static let columnRange = 8...640
  package static let rowRange = 8...480
  package static let maximumPixelCount = columnRange.upperBound * rowRange.upperBound

  /// Pixels in a row.
  package let columns: Int
  /// Rows.
  package let rows: Int

  /// nil outside of `columnRange` and `rowRange`.
  package init?(columns: Int, rows: Int) {
    guard Self.columnRange.contains(columns), Self.rowRange.contains(rows) else { return nil }
    self.init(trusted: columns, rows)
  }

  /// For a driver, whose sensor has this grid.
  init(trusted columns: Int, _ rows: Int) {
    self.columns = columns
    self.rows = rows
  }

  /// From a file: within the ranges.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let (columns, rows) = (
      try container.decode(Int.self, forKey: .columns), try container.decode(Int.self, forKey: .rows)
    )
    guard let geometry = SensorGeometry(columns: columns, rows: rows) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: container.codingPath, debugDescription: "\(columns) x \(rows) pixels; \(Self.expectation)"))
    }
    self = geometry
  }

  /// Pixels of an image.
  package var pixelCount: Int { columns * rows }

  /// Columns, then rows.
  package var description: String { "\(columns) x \(rows)" }

  package static let expectation =
    "expected \(columnRange.lowerBound)...\(columnRange.upperBound) columns and "
    + "\(rowRange.lowerBound)...\(rowRange.upperBound) rows"
}

/// The pixels that a sensor measures together: all of them, or one of the halves that the MLX90640 takes in turn.
package struct PixelPart: Sendable, Hashable {
  /// From 0, in the order of measurement.
  package let number: Int
  /// Parts of a whole frame.
  package let count: Int
  /// Ascending.
  package let pixels: [Int]

  /// - Precondition: `number` is one of `count`.
  package init(number: Int, of count: Int, pixels: [Int]) {
    precondition((0..<count).contains(number), "a part is one of \(count)")
    self.number = number
    self.count = count
    self.pixels = pixels
  }

  /// The one part of a sensor that measures all pixels at once.
  package static func whole(_ geometry: SensorGeometry) -> PixelPart {
    PixelPart(number: 0, of: 1, pixels: Array(0..<geometry.pixelCount))
  }
}
