import Provenance
import Thermography

/// A synthetic torso before a wall: no person, drawn from the parameters of the thermograms that the models are trained
/// on.
package struct TorsoScene: ThermalScene {
  package struct Shape: Sendable, Hashable {
    /// The wall, in degC.
    package var backgroundCelsius = 22.0
    /// Mean skin temperature of the torso in degC.
    package var skinCelsius = 33.4
    /// The left side of the image is this much warmer than the right, in degC; nil draws it.
    package var asymmetryCelsius: Double?
    /// A warm spot: where (column, row), how wide (sigma in pixels) and how warm (degC above its surroundings).
    package var spot: (column: Double, row: Double, sigmaPixels: Double, celsius: Double)?
    /// Sideways sway: amplitude in pixels and period in seconds; 0 stands still.
    package var swayPixels = 0.0
    package var swayPeriodSeconds = 4.0
    /// Draws the torso's outline, anatomy and natural asymmetry.
    package var seed: UInt64 = 1

    package init() {}

    /// Skin and wall drawn as well.
    package init(drawingTemperaturesWithSeed seed: UInt64) {
      self.seed = seed
      var generator = SeededGenerator(seed: ~seed)
      skinCelsius = SceneParameters.Temperature.bodyMean.draw(using: &generator)
      backgroundCelsius = skinCelsius - SceneParameters.Temperature.bodyMinusBackground.draw(using: &generator)
    }

    package static func == (left: Self, right: Self) -> Bool { left.key == right.key }
    package func hash(into hasher: inout Hasher) { hasher.combine(key) }

    private var key: [Double] {
      [backgroundCelsius, skinCelsius, asymmetryCelsius ?? .infinity, swayPixels, swayPeriodSeconds, Double(seed)]
        + (spot.map { [$0.column, $0.row, $0.sigmaPixels, $0.celsius] } ?? [])
    }
  }

  private let shape: Shape
  private let torso: DrawnTorso
  private let geometry: SensorGeometry

  /// - Parameter geometry: of the sensor that looks at it. The torso is drawn on the MLX90640's grid, on which its parameters
  ///   were found, and fills another sensor's frame alike.
  package init(_ shape: Shape = Shape(), geometry: SensorGeometry = .mlx90640) {
    self.shape = shape
    self.geometry = geometry
    var generator = SeededGenerator(seed: shape.seed)
    torso = DrawnTorso(meanDifferenceCelsius: shape.asymmetryCelsius, using: &generator)
  }

  package func version(atMicroseconds time: UInt64) -> UInt64 { shape.swayPixels == 0 ? 0 : time / 20_000 }

  package func celsius(atMicroseconds time: UInt64) -> [Double] {
    let shift = sway(atMicroseconds: time)
    let across = Double(MLX90640Geometry.columns) / Double(geometry.columns)
    let down = Double(MLX90640Geometry.rows) / Double(geometry.rows)
    return (0..<geometry.pixelCount).map { pixel in
      // Four samples a pixel soften the outline as the lens does.
      let column = (Double(pixel % geometry.columns) + 0.5) * across - 0.5 - shift
      let row = (Double(pixel / geometry.columns) + 0.5) * down - 0.5
      var sum = 0.0
      for (right, below) in [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)] {
        sum += temperature(column: column + right * across, row: row + below * down)
      }
      return sum / 4
    }
  }

  /// A triangle wave: smooth enough for a sway.
  private func sway(atMicroseconds time: UInt64) -> Double {
    guard shape.swayPixels != 0, shape.swayPeriodSeconds > 0 else { return 0 }
    let phase = Double(time) / 1e6 / shape.swayPeriodSeconds
    let fraction = phase - phase.rounded(.down)
    return shape.swayPixels * (fraction < 0.5 ? 4 * fraction - 1 : 3 - 4 * fraction)
  }

  private func temperature(column: Double, row: Double) -> Double {
    let cover = torso.coverage(column: column, row: row)
    guard cover > 0 else { return shape.backgroundCelsius }
    var skin = shape.skinCelsius + torso.warmth(column: column, row: row)
    if let spot = shape.spot { skin += spot.celsius * bump(column - spot.column, row - spot.row, spot.sigmaPixels) }
    return shape.backgroundCelsius + (skin - shape.backgroundCelsius) * cover
  }

  /// 1 at the middle, falling like a bell: (1 + d^2/2s^2)^-2 needs no exponential.
  private func bump(_ across: Double, _ down: Double, _ sigma: Double) -> Double {
    let fall = 1 + (across * across + down * down) / (2 * sigma * sigma)
    return 1 / (fall * fall)
  }
}
