import Foundation
import Provenance
import Thermography

/// A person of whom pictures are drawn on many days, for the comparison over time. It shares no code with the people on whom
/// the thresholds were set: another outline, other structures, so that it can judge them.
///
/// A day is a repositioning (1 px, 4 % of the scale and 2 degrees, standard deviations), a smooth field of Gaussians of 4 px
/// whose standard deviation is given, a level of the camera's of 0.8 degC and white noise of 0.1 degC a pixel.
struct SimulatedPerson {
  /// A warm or cool place of the skin, in the person's own pixels.
  private struct Structure {
    var row: Double
    var column: Double
    var sigma: Double
    var height: Double
    /// Of a line: its length along its direction; 0 for a spot.
    var length: Double
    var angle: Double
  }

  static let rows = 24
  static let columns = 32

  private var structures: [Structure] = []
  private let waist: Double
  private let shoulders: Double
  private let skinCelsius: Double
  private let room: Double
  private let slope: Double
  /// Smooth change of the day, degC.
  var fieldDeviation: Double
  private var generator: SeededGenerator

  init(seed: UInt64, fieldDeviation: Double) {
    var generator = SeededGenerator(seed: seed)
    self.fieldDeviation = fieldDeviation
    func between(_ low: Double, _ high: Double) -> Double { low + (high - low) * generator.uniform() }
    waist = between(9.5, 12.5)
    shoulders = between(12, 17)
    skinCelsius = between(31.5, 34)
    room = between(20, 24)
    slope = between(-0.06, 0.02)
    for side in [-1.0, 1] {
      // A fold below each breast, a cooler breast, and vessels.
      structures.append(
        .init(
          row: between(15, 18), column: 15.5 + side * between(5, 7), sigma: between(0.8, 1.3),
          height: between(0.5, 1.6), length: between(2, 4.5), angle: side * between(0.05, 0.4)))
      structures.append(
        .init(
          row: between(11, 14), column: 15.5 + side * between(5, 7), sigma: between(2.5, 4), height: -between(0.4, 1.6),
          length: 0, angle: 0))
      structures.append(
        .init(
          row: between(12, 14), column: 15.5 + side * between(5, 6.5), sigma: between(0.7, 1), height: -between(0, 0.8),
          length: 0, angle: 0))
      for _ in 0..<3 {
        structures.append(
          .init(
            row: between(3, 20), column: 15.5 + side * between(1, 9), sigma: between(0.6, 1.2),
            height: between(-0.2, 0.7),
            length: between(0, 4), angle: between(-1.5, 1.5)))
      }
    }
    self.generator = generator
  }

  /// Half of the body's width at a row, pixels.
  private func halfWidth(_ row: Double) -> Double {
    let bell = exp(-((row + 2) * (row + 2)) / 60)
    return waist + (shoulders - waist) * bell
  }

  /// degC of the skin at a place, in the person's own pixels; nil beyond the outline.
  private func skin(_ row: Double, _ column: Double) -> Double? {
    let u = abs(column - 15.5) / halfWidth(row)
    guard u <= 1 else { return nil }
    var value = skinCelsius - 1.4 * u * u * u + slope * (row - 12)
    for structure in structures {
      let (r, c) = (row - structure.row, column - structure.column)
      let along = c * cos(structure.angle) + r * sin(structure.angle)
      let aside = r * cos(structure.angle) - c * sin(structure.angle)
      let beyond = max(abs(along) - structure.length, 0)
      value +=
        structure.height * exp(-(aside * aside + beyond * beyond) / (2 * structure.sigma * structure.sigma))
    }
    return value
  }

  /// The camera of a day.
  struct Camera {
    /// What each pixel reads wrong for good, degC; empty for none.
    var pattern: [Double] = []
    /// Of the level, beyond the day's own, degC.
    var offset = 0.0

    /// Another sensor: +-1 degC of level and 0.1 degC of each pixel.
    static func other(_ generator: inout SeededGenerator) -> Camera {
      Camera(
        pattern: (0..<rows * columns).map { _ in 0.1 * generator.normal() }, offset: 2 * generator.uniform() - 1)
    }
  }

  /// A picture of one more day, degC row by row.
  mutating func picture(by camera: Camera = Camera()) -> [Float] {
    let (down, across) = (generator.normal(), generator.normal())
    let (scale, angle) = (exp(0.04 * generator.normal()), generator.normal() * 2 * Double.pi / 180)
    let field = smoothField()
    let level = 0.8 * generator.normal() + camera.offset
    var picture = [Float](repeating: 0, count: Self.rows * Self.columns)
    for row in 0..<Self.rows {
      for column in 0..<Self.columns {
        // The mean over a pixel, which sees a part of the skin and not a point of it.
        var sum = 0.0
        for step in 0..<9 {
          let (r, c) = (
            Double(row) + Double(step / 3 - 1) / 3 - 11.5 - down,
            Double(column) + Double(step % 3 - 1) / 3 - 15.5 - across
          )
          let own = (
            (cos(angle) * r + sin(angle) * c) / scale + 11.5, (-sin(angle) * r + cos(angle) * c) / scale + 15.5
          )
          sum += skin(own.0, own.1).map { $0 + field[row * Self.columns + column] } ?? room
        }
        let pixel = row * Self.columns + column
        let pattern = camera.pattern.isEmpty ? 0 : camera.pattern[pixel]
        picture[pixel] = Float(sum / 9 + level + pattern + 0.1 * generator.normal())
      }
    }
    return picture
  }

  /// White noise through a Gaussian of 4 px, of `fieldDeviation`.
  private mutating func smoothField() -> [Double] {
    let (reach, rows, columns) = (12, Self.rows, Self.columns)
    let kernel = (-reach...reach).map { exp(-Double($0 * $0) / 32) }
    let (tall, wide) = (rows + 2 * reach, columns + 2 * reach)
    let white = (0..<tall * wide).map { _ in generator.normal() }
    var lines = [Double](repeating: 0, count: rows * wide)
    for row in 0..<rows {
      for tap in kernel.indices {
        for column in 0..<wide { lines[row * wide + column] += kernel[tap] * white[(row + tap) * wide + column] }
      }
    }
    let norm = kernel.reduce(0) { $0 + $1 * $1 }
    var field = [Double](repeating: 0, count: rows * columns)
    for row in 0..<rows {
      for column in 0..<columns {
        for tap in kernel.indices { field[row * columns + column] += kernel[tap] * lines[row * wide + column + tap] }
        field[row * columns + column] *= fieldDeviation / norm
      }
    }
    return field
  }

  /// The picture with a Gaussian spot of `sigma` pixels.
  static func spotted(_ picture: [Float], row: Double, column: Double, height: Double, sigma: Double = 1.3) -> [Float] {
    picture.indices.map { pixel in
      let (r, c) = (Double(pixel / columns) - row, Double(pixel % columns) - column)
      return picture[pixel] + Float(height * exp(-(r * r + c * c) / (2 * sigma * sigma)))
    }
  }
}
