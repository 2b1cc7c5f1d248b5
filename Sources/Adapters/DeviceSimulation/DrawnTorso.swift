import Glibc
import Provenance
import Thermography

/// A torso drawn from `SceneParameters`: the frontal view of the synthetic thermograms that the models are trained on
/// (`Models/training/thermograms/generator.py`), healthy, without a sensor.
///
/// The torso is an elliptic cylinder: a pixel of the silhouette has an angle around the body, in which the anatomy is
/// written. Columns and rows are those of the 24 x 32 frame.
struct DrawnTorso: Sendable {
  private let middle: Double
  private let lean: Double
  private let halfWidth: Double
  private let outline: Outline
  /// degC above the torso's mean, row by row; zero-mean over the body.
  private var warmth: [Double] = []

  /// The half width of a row as a share of the torso's.
  private struct Outline: Sendable {
    let shoulder: Double
    let neck: Double
    let waist: Double
    let arms: Double

    func profile(row: Double) -> Double {
      let narrowing = min(max((row - 12) / 12, 0), 1.5)
      let aside = (row - shoulder - 2) / 4
      let trunk = 1 - waist * narrowing * narrowing + arms * exp(-aside * aside)
      return neck + (trunk - neck) / (1 + exp(-(row - shoulder) / 0.8))
    }
  }

  /// - Parameter meanDifferenceCelsius: left minus right half of the image; nil draws it.
  init(meanDifferenceCelsius: Double?, using generator: inout SeededGenerator) {
    typealias Geometry = SceneParameters.Geometry
    let share = Geometry.bodyShare.draw(using: &generator)
    middle = Geometry.midlineColumn.draw(using: &generator)
    lean = Geometry.leanColumnsPerRow.draw(using: &generator)
    outline = Outline(
      shoulder: Geometry.shoulderRow.draw(using: &generator), neck: Geometry.neckShare.draw(using: &generator),
      waist: Geometry.waist.draw(using: &generator), arms: Geometry.arms.draw(using: &generator))
    let rows = MLX90640Geometry.rows
    let mean = (0..<rows).reduce(0.0) { [outline] in $0 + outline.profile(row: Double($1)) } / Double(rows)
    halfWidth = share * Double(MLX90640Geometry.columns) / 2 / min(max(mean, 0.5), 1.2)
    warmth = pattern(meanDifferenceCelsius: meanDifferenceCelsius, using: &generator)
  }

  /// 1 inside of the body, 0 outside, a soft edge a pixel wide.
  func coverage(column: Double, row: Double) -> Double {
    max(0, min(1, halfWidth * outline.profile(row: row) - abs(offset(column, row)) + 0.5))
  }

  /// degC above the torso's mean, between the pixels by straight lines; the edge's values go on outside of the frame.
  func warmth(column: Double, row: Double) -> Double {
    let across = min(max(column, 0), Double(MLX90640Geometry.columns - 1))
    let down = min(max(row, 0), Double(MLX90640Geometry.rows - 1))
    let left = min(Int(across), MLX90640Geometry.columns - 2)
    let top = min(Int(down), MLX90640Geometry.rows - 2)
    let (x, y) = (across - Double(left), down - Double(top))
    let corner = top * MLX90640Geometry.columns + left
    let upper = warmth[corner] * (1 - x) + warmth[corner + 1] * x
    let lower = warmth[corner + MLX90640Geometry.columns] * (1 - x) + warmth[corner + MLX90640Geometry.columns + 1] * x
    return upper * (1 - y) + lower * y
  }

  private func offset(_ column: Double, _ row: Double) -> Double { column - middle - lean * (row - 11.5) }

  // MARK: - The pattern of the skin

  private func pattern(meanDifferenceCelsius: Double?, using generator: inout SeededGenerator) -> [Double] {
    typealias Asymmetry = SceneParameters.Asymmetry
    let size = MLX90640Geometry.pixelCount
    let places = (0..<size).map { pixel in place(pixel) }
    let body = (0..<size).filter { places[$0].isBody }
    func centred(_ field: [Double]) -> [Double] {
      let mean = body.reduce(0.0) { $0 + field[$1] } / Double(max(body.count, 1))
      return field.map { $0 - mean }
    }
    func meanSquare(_ field: [Double]) -> Double {
      max(body.reduce(0.0) { $0 + field[$1] * field[$1] } / Double(max(body.count, 1)), 1e-6)
    }
    let total = SceneParameters.Temperature.bodySD.draw(using: &generator)
    let anatomy = anatomy(at: places, using: &generator)
    let fineShare = Asymmetry.fineShare.draw(using: &generator)
    let coarse = Self.noise(length: Asymmetry.coarseLength.draw(using: &generator), using: &generator)
    let fine = Self.noise(length: Asymmetry.fineLength.draw(using: &generator), using: &generator)
    let vessels = vessels(at: places, using: &generator)
    let field = (0..<size).map {
      coarse[$0] * (1 - fineShare).squareRoot() + fine[$0] * fineShare.squareRoot() + 0.35 * vessels[$0]
    }
    let mirrored = (0..<size).map { field[mirror(of: $0)] }
    let target = Asymmetry.differenceSD.draw(using: &generator) / 2
    let drawn = Asymmetry.meanDifference.draw(using: &generator)
    let difference = meanDifferenceCelsius ?? drawn
    var odd = zip(field, mirrored).map { ($0 - $1) / 2 }
    let scale = target / meanSquare(odd).squareRoot()
    odd = centred((0..<size).map { odd[$0] * scale - tanh(places[$0].angle / 0.08) * difference / 2 })
    let lowFrequency = SceneParameters.Anatomy.lowFrequency.draw(using: &generator)
    let even = centred((0..<size).map { anatomy[$0] + lowFrequency * (field[$0] + mirrored[$0]) / 2 })
    let left = max(total * total - meanSquare(odd), 0.45 * 0.45 * total * total)
    let gain = (left / meanSquare(even)).squareRoot()
    return zip(even, odd).map { $0 * gain + $1 }
  }

  private struct Place {
    let row: Double
    let relative: Double
    let angle: Double
    let isBody: Bool
  }

  private func place(_ pixel: Int) -> Place {
    let row = Double(pixel / MLX90640Geometry.columns)
    let column = Double(pixel % MLX90640Geometry.columns)
    let width = max(halfWidth * outline.profile(row: row), 0.5)
    let relative = min(max(offset(column, row) / width, -1), 1)
    return Place(row: row, relative: relative, angle: asin(relative), isBody: abs(relative) < 1)
  }

  private func anatomy(at places: [Place], using generator: inout SeededGenerator) -> [Double] {
    typealias Anatomy = SceneParameters.Anatomy
    typealias Geometry = SceneParameters.Geometry
    let row = Geometry.breastRow.draw(using: &generator)
    let angle = Geometry.breastAngleDegrees.draw(using: &generator) * .pi / 180
    let radius = Geometry.breastRadius.draw(using: &generator)
    let sternum = Anatomy.sternum.draw(using: &generator)
    let axilla = Anatomy.neckAndAxilla.draw(using: &generator)
    let fold = Anatomy.inframammaryFold.draw(using: &generator)
    let breast = Anatomy.breast.draw(using: &generator)
    let nipple = Anatomy.nipple.draw(using: &generator)
    let waist = Anatomy.waist.draw(using: &generator)
    let limbs = Anatomy.limbCooling.draw(using: &generator)
    return places.map { place in
      func blob(_ at: Double, _ line: Double, _ spread: Double) -> Double {
        let (across, down) = ((place.angle - at) * halfWidth, place.row - line)
        return exp(-(across * across + down * down) / (2 * spread * spread))
      }
      func both(_ at: Double, _ line: Double, _ spread: Double) -> Double {
        blob(at, line, spread) + blob(-at, line, spread)
      }
      var warm = sternum * blob(0, row - 4, radius * 1.1)
      warm += axilla * (both(angle * 2.3, row - 6, radius * 0.9) + blob(0, row - 13, radius * 1.2))
      warm += fold * both(angle * 0.9, row + radius, radius * 0.55)
      warm += breast * both(angle, row, radius * 0.8)
      warm += nipple * both(angle * 1.1, row, radius * 0.22)
      warm += waist * min(max((place.row - 14) / 10, 0), 1.5)
      return warm - limbs * place.relative * place.relative * place.relative * place.relative
    }
  }

  /// Thin warm curves, drawn for each side on its own.
  private func vessels(at places: [Place], using generator: inout SeededGenerator) -> [Double] {
    typealias Vessels = SceneParameters.Vessels
    var warm = Array(repeating: 0.0, count: places.count)
    for side in [-1.0, 1.0] {
      let count = Int(Vessels.countEachSide.values[0]) + Int(generator.uniform() * Vessels.countEachSide.values[1])
      for _ in 0..<min(count, Int(Vessels.countEachSide.values[1])) {
        let celsius = Vessels.warming.draw(using: &generator)
        let width = Vessels.width.draw(using: &generator)
        let start = side * (0.1 + 0.8 * generator.uniform())
        let (bend, sweep) = (1.2 * generator.uniform() - 0.6, 1.2 * generator.uniform() - 0.6)
        let top = 5.5 + 8 * generator.uniform()
        let length = 3 + 6 * generator.uniform()
        for (index, place) in places.enumerated() {
          let t = (place.row - top) / length
          guard t > 0, t < 1 else { continue }
          let distance = (place.angle - start - bend * t - sweep * t * t) * halfWidth / width
          warm[index] += celsius * exp(-distance * distance / 2)
        }
      }
    }
    return warm
  }

  /// The pixel on the other side of the midline; columns beyond the frame come in again at its other edge.
  private func mirror(of pixel: Int) -> Int {
    let columns = MLX90640Geometry.columns
    let column = Int((2 * middle).rounded()) - pixel % columns
    return pixel / columns * columns + (column % columns + columns) % columns
  }

  /// White noise blurred to a correlation `length` in pixels, of unit deviation.
  private static func noise(length: Double, using generator: inout SeededGenerator) -> [Double] {
    let (rows, columns) = (MLX90640Geometry.rows, MLX90640Geometry.columns)
    var field = (0..<rows * columns).map { _ in generator.normal() }
    let reach = Int((4 * length).rounded(.up))
    let weights = (-reach...reach).map { exp(-Double($0 * $0) / (2 * length * length)) }
    func blurred(_ field: [Double], rowStep: Int, columnStep: Int) -> [Double] {
      field.indices.map { pixel in
        let (row, column) = (pixel / columns, pixel % columns)
        return weights.enumerated().reduce(0.0) { sum, entry in
          let away = entry.offset - reach
          let r = ((row + away * rowStep) % rows + rows) % rows
          let c = ((column + away * columnStep) % columns + columns) % columns
          return sum + entry.element * field[r * columns + c]
        }
      }
    }
    field = blurred(blurred(field, rowStep: 1, columnStep: 0), rowStep: 0, columnStep: 1)
    let mean = field.reduce(0, +) / Double(field.count)
    let deviation = (field.reduce(0.0) { $0 + ($1 - mean) * ($1 - mean) } / Double(field.count)).squareRoot()
    return field.map { ($0 - mean) / max(deviation, 1e-9) }
  }
}
