import Thermography

/// A synthetic torso before a wall: no person, no anatomy to learn from, only the temperatures that a capture of one
/// has: warm neck and armpits, cooler lower body, a slow left-right difference, a few vessels.
package struct TorsoScene: ThermalScene {
  package struct Shape: Sendable, Hashable {
    /// The wall, in degC.
    package var backgroundCelsius = 22.0
    /// Mean skin temperature of the torso in degC.
    package var skinCelsius = 33.4
    /// The left side of the image is this much warmer than the right, in degC.
    package var asymmetryCelsius = 0.3
    /// A warm spot: where (column, row), how wide (sigma in pixels) and how warm (degC above its surroundings).
    package var spot: (column: Double, row: Double, sigmaPixels: Double, celsius: Double)?
    /// Sideways sway: amplitude in pixels and period in seconds; 0 stands still.
    package var swayPixels = 0.0
    package var swayPeriodSeconds = 4.0
    /// Varies the vessels.
    package var seed: UInt64 = 1

    package init() {}

    package static func == (left: Self, right: Self) -> Bool { left.key == right.key }
    package func hash(into hasher: inout Hasher) { hasher.combine(key) }

    private var key: [Double] {
      [backgroundCelsius, skinCelsius, asymmetryCelsius, swayPixels, swayPeriodSeconds, Double(seed)]
        + (spot.map { [$0.column, $0.row, $0.sigmaPixels, $0.celsius] } ?? [])
    }
  }

  private let shape: Shape
  private let vessels: [Vessel]

  package init(_ shape: Shape = Shape()) {
    self.shape = shape
    var generator = SeededGenerator(seed: shape.seed)
    vessels = (0..<5).map { _ in Vessel(using: &generator) }
  }

  package func version(atMicroseconds time: UInt64) -> UInt64 { shape.swayPixels == 0 ? 0 : time / 20_000 }

  package func celsius(atMicroseconds time: UInt64) -> [Double] {
    let shift = sway(atMicroseconds: time)
    return (0..<SensorGeometry.pixelCount).map { pixel in
      // Four samples a pixel soften the outline as the lens does.
      let column = Double(pixel % SensorGeometry.columns) - shift
      let row = Double(pixel / SensorGeometry.columns)
      var sum = 0.0
      for (across, down) in [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)] {
        sum += temperature(column: column + across, row: row + down)
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
    let cover = coverage(column: column, row: row)
    guard cover > 0 else { return shape.backgroundCelsius }
    let across = (column - 15.5) / 16
    let down = row / 23
    var skin = shape.skinCelsius + 0.8 * (0.5 - down) - 1.2 * across * across
    skin -= shape.asymmetryCelsius * 0.5 * max(-1, min(1, across * 2.5))
    skin += 1.1 * bump(column - 15.5, row - 1, 2.2)  // the neck's hollow
    skin += 0.7 * (bump(column - 5.5, row - 10, 1.8) + bump(column - 25.5, row - 10, 1.8))  // armpits
    for vessel in vessels { skin += vessel.warmth(column: column, row: row) }
    if let spot = shape.spot { skin += spot.celsius * bump(column - spot.column, row - spot.row, spot.sigmaPixels) }
    return shape.backgroundCelsius + (skin - shape.backgroundCelsius) * cover
  }

  /// 1 inside of the body, 0 outside, a soft edge a pixel wide: neck, shoulders, trunk.
  private func coverage(column: Double, row: Double) -> Double {
    let aside = abs(column - 15.5)
    let halfWidth: Double
    if row < 3 {
      halfWidth = 3.6
    } else if row < 7 {
      halfWidth = 3.6 + 8.4 * ((row - 3) / 4).squareRoot()
    } else {
      halfWidth = 12 - 1.6 * max(0, 1 - abs(row - 17) / 6)
    }
    return max(0, min(1, halfWidth - aside + 0.5))
  }

  /// 1 at the middle, falling like a bell: (1 + d^2/2s^2)^-2 needs no exponential.
  private func bump(_ across: Double, _ down: Double, _ sigma: Double) -> Double {
    let fall = 1 + (across * across + down * down) / (2 * sigma * sigma)
    return 1 / (fall * fall)
  }
}

/// A warm line below the skin.
private struct Vessel: Sendable {
  private let start: (column: Double, row: Double)
  private let direction: (column: Double, row: Double)
  private let length: Double
  private let celsius: Double

  init(using generator: inout SeededGenerator) {
    start = (8 + 15 * generator.uniform(), 8 + 12 * generator.uniform())
    direction = (generator.uniform() - 0.5, 0.4 + generator.uniform())
    length = 3 + 4 * generator.uniform()
    celsius = 0.2 + 0.4 * generator.uniform()
  }

  func warmth(column: Double, row: Double) -> Double {
    let (across, down) = (column - start.column, row - start.row)
    let norm = (direction.column * direction.column + direction.row * direction.row).squareRoot()
    let along = (across * direction.column + down * direction.row) / norm
    guard along >= 0, along <= length else { return 0 }
    let aside = abs(across * direction.row - down * direction.column) / norm
    return celsius * max(0, 1 - aside)
  }
}
