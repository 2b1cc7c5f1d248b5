import Inference
import Thermography

/// Where the pixels of one picture lie in an earlier one of the same person: a similarity about the frame's middle, and
/// a smooth part that bends it a little.
package struct Placement: Sendable, Equatable {
  /// Pixels.
  package var down = 0.0
  package var across = 0.0
  package var logScale = 0.0
  /// Radians.
  package var angle = 0.0
  /// Pixels down at each of the control points, row by row, then pixels across.
  package var bend = Array(repeating: 0.0, count: 2 * Registration.controlCount)
}

/// Lays an earlier picture on the present one, by robust Gauss-Newton steps of a fixed number: the definition is
/// `Models/training/change/reference.py`, step by step.
struct Registration {
  static let controlRows = 3
  static let controlColumns = 4
  static let controlCount = controlRows * controlColumns
  private static let iterations = 8
  private static let smoothIterations = 3
  /// degC squared a pixel squared, and pixels.
  private static let smoothRidge = 150.0
  private static let smoothBound = 0.75
  private static let similarityRidge = [1e-6, 1e-6, 1e-3, 1e-3]
  /// Pixels, pixels, logarithm of the scale, radians.
  private static let bounds = [6.0, 6.0, 0.25, 0.30]
  /// Fewer pixels of overlap than this share of the frame move nothing.
  private static let overlapShare = 25.0 / 96
  private static let deviationToSigma = 1.4826
  private static let sigmaFloorCelsius = 0.15
  private static let huberSigmas = 1.5

  private let geometry: SensorGeometry
  private let rowHats: [(lower: Int, share: Double)]
  private let columnHats: [(lower: Int, share: Double)]
  private let coarse: PlaneBlur
  private let fine: PlaneBlur

  // Of the pixels that lie within the earlier picture, in their order.
  private var pixels: [Int]
  private var difference: [Double]
  private var deviation: [Double]
  private var down: [Double]
  private var across: [Double]
  private var count = 0
  private var statistics: OrderStatistics
  // Of the whole frame.
  private var fixed: [Double]
  private var moving: [Double]
  private var gradientDown: [Double]
  private var gradientAcross: [Double]
  private var small: LinearSystem
  private var large: LinearSystem

  init(_ geometry: SensorGeometry, _ filter: inout PlaneFilter) {
    self.geometry = geometry
    func hats(_ size: Int, _ points: Int) -> [(lower: Int, share: Double)] {
      (0..<size).map { index in
        let at = Double(index) / Double(size - 1) * Double(points - 1)
        let lower = min(Int(at), points - 2)
        return (lower, at - Double(lower))
      }
    }
    rowHats = hats(geometry.rows, Self.controlRows)
    columnHats = hats(geometry.columns, Self.controlColumns)
    coarse = PlaneBlur(sigmaPixels: 2, &filter)
    fine = PlaneBlur(sigmaPixels: 1, &filter)
    let plane = Array(repeating: 0.0, count: geometry.pixelCount)
    pixels = Array(repeating: 0, count: geometry.pixelCount)
    (difference, deviation, down, across) = (plane, plane, plane, plane)
    (fixed, moving, gradientDown, gradientAcross) = (plane, plane, plane, plane)
    statistics = OrderStatistics(capacity: geometry.pixelCount)
    small = LinearSystem(size: Self.bounds.count)
    large = LinearSystem(size: 2 * Self.controlCount)
  }

  /// How `earlier` is laid on `present`. Both are of this geometry.
  mutating func align(_ present: ChangeFrame, _ earlier: ChangeFrame, _ filter: inout PlaneFilter) -> Placement {
    var placement = Placement()
    for blur in [coarse, fine] {
      prepare(present, earlier, blur, &filter)
      for _ in 0..<Self.iterations {
        guard sample(at: placement) else { break }
        stepSimilarity(&placement)
      }
    }
    for _ in 0..<Self.smoothIterations {
      guard sample(at: placement) else { break }
      stepBend(&placement)
    }
    return placement
  }

  /// Where pixel (`row`, `column`) of the present picture lies in the earlier one.
  func target(_ transform: Transform, row: Int, column: Int) -> (row: Double, column: Double) {
    let (v, h) = (rowHats[row], columnHats[column])
    let upper = v.lower * Self.controlColumns + h.lower
    let lower = upper + Self.controlColumns
    let bend = transform.placement.bend
    func field(_ offset: Int) -> Double {
      (1 - v.share) * ((1 - h.share) * bend[offset + upper] + h.share * bend[offset + upper + 1])
        + v.share * ((1 - h.share) * bend[offset + lower] + h.share * bend[offset + lower + 1])
    }
    let (r, c) = (Double(row) - transform.middleRow, Double(column) - transform.middleColumn)
    return (
      transform.cosine * r - transform.sine * c + transform.middleRow + transform.placement.down + field(0),
      transform.sine * r + transform.cosine * c + transform.middleColumn + transform.placement.across
        + field(Self.controlCount)
    )
  }

  /// A placement with what is worked out of it once.
  struct Transform {
    let placement: Placement
    /// Of the angle, times the scale.
    let cosine: Double
    let sine: Double
    let middleRow: Double
    let middleColumn: Double

    init(_ placement: Placement, _ geometry: SensorGeometry) {
      self.placement = placement
      let scale = Transcendental.exponential(placement.logScale)
      (cosine, sine) = (scale * smallCosine(placement.angle), scale * smallSine(placement.angle))
      middleRow = Double(geometry.rows - 1) / 2
      middleColumn = Double(geometry.columns - 1) / 2
    }
  }

  func isInside(_ row: Double, _ column: Double) -> Bool {
    row >= 0 && row <= Double(geometry.rows - 1) && column >= 0 && column <= Double(geometry.columns - 1)
  }

  private mutating func prepare(
    _ present: ChangeFrame, _ earlier: ChangeFrame, _ blur: PlaneBlur, _ filter: inout PlaneFilter
  ) {
    blur.apply(present.picture, &filter, into: &fixed)
    blur.apply(earlier.picture, &filter, into: &moving)
    filter.gradient(of: moving, down: &gradientDown, across: &gradientAcross)
  }

  /// Difference and gradients at the pixels that lie within the earlier picture; false when they are too few.
  private mutating func sample(at placement: Placement) -> Bool {
    let transform = Transform(placement, geometry)
    let (rows, columns) = (geometry.rows, geometry.columns)
    count = 0
    for row in 0..<rows {
      for column in 0..<columns {
        let at = target(transform, row: row, column: column)
        guard isInside(at.row, at.column) else { continue }
        let tap = BilinearTap(row: at.row, column: at.column, rows: rows, columns: columns)
        let pixel = row * columns + column
        pixels[count] = pixel
        difference[count] = fixed[pixel] - tap.value(of: moving, columns: columns)
        down[count] = tap.value(of: gradientDown, columns: columns)
        across[count] = tap.value(of: gradientAcross, columns: columns)
        count += 1
      }
    }
    return Double(count) >= Self.overlapShare * Double(geometry.pixelCount)
  }

  /// The median of the difference, and the size from which on Huber's weights fall, degC.
  private mutating func centreAndReach() -> (centre: Double, reach: Double) {
    let centre = statistics.median(of: difference, count: count)
    for index in 0..<count { deviation[index] = abs(difference[index] - centre) }
    let sigma = max(Self.deviationToSigma * statistics.median(of: deviation, count: count), Self.sigmaFloorCelsius)
    return (centre, Self.huberSigmas * sigma)
  }

  private mutating func stepSimilarity(_ placement: inout Placement) {
    let (centre, reach) = centreAndReach()
    let transform = Transform(placement, geometry)
    small.clear()
    for index in 0..<count {
      let weight = 1 / max(deviation[index] / reach, 1)
      let r = Double(pixels[index] / geometry.columns) - transform.middleRow
      let c = Double(pixels[index] % geometry.columns) - transform.middleColumn
      let (gr, gc) = (down[index], across[index])
      let turned = (transform.cosine * r - transform.sine * c, transform.sine * r + transform.cosine * c)
      let third = gr * turned.0 + gc * turned.1
      let fourth = -gr * turned.1 + gc * turned.0
      small.add((gr, gc, third, fourth), weight: weight, value: difference[index] - centre)
    }
    small.addToDiagonal(Self.similarityRidge)
    guard small.solve() else { return }
    func moved(_ value: Double, _ number: Int) -> Double {
      min(max(value + small.solution[number], -Self.bounds[number]), Self.bounds[number])
    }
    placement.down = moved(placement.down, 0)
    placement.across = moved(placement.across, 1)
    placement.logScale = moved(placement.logScale, 2)
    placement.angle = moved(placement.angle, 3)
  }

  private mutating func stepBend(_ placement: inout Placement) {
    let (centre, reach) = centreAndReach()
    let points = Self.controlCount
    large.clear()
    for index in 0..<count {
      let weight = 1 / max(deviation[index] / reach, 1)
      let (v, h) = (rowHats[pixels[index] / geometry.columns], columnHats[pixels[index] % geometry.columns])
      let first = v.lower * Self.controlColumns + h.lower
      let hats: (LinearSystem.Hat, LinearSystem.Hat, LinearSystem.Hat, LinearSystem.Hat) = (
        (first, (1 - v.share) * (1 - h.share)), (first + 1, (1 - v.share) * h.share),
        (first + Self.controlColumns, v.share * (1 - h.share)), (first + Self.controlColumns + 1, v.share * h.share)
      )
      let (gr, gc, value) = (down[index], across[index], difference[index] - centre)
      large.add(hats, gr, gc, offset: points, weight: weight, value: value)
    }
    large.mirror()
    for point in 0..<2 * points {
      large.addToDiagonal(Self.smoothRidge, at: point, value: -Self.smoothRidge * placement.bend[point])
    }
    guard large.solve() else { return }
    for point in 0..<2 * points {
      placement.bend[point] = min(
        max(placement.bend[point] + large.solution[point], -Self.smoothBound), Self.smoothBound)
    }
  }
}

/// Of angles up to half a radian, to the last place or two: this layer has no mathematics library.
func smallSine(_ x: Double) -> Double {
  let square = x * x
  var (term, sum) = (x, x)
  for n in 1...9 {
    term *= -square / Double((2 * n) * (2 * n + 1))
    sum += term
  }
  return sum
}

func smallCosine(_ x: Double) -> Double {
  let square = x * x
  var (term, sum) = (1.0, 1.0)
  for n in 1...9 {
    term *= -square / Double((2 * n - 1) * (2 * n))
    sum += term
  }
  return sum
}
