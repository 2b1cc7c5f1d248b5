import Thermography

/// What stands before the simulated sensor.
package protocol ThermalScene: Sendable {
  /// Changes whenever `celsius` would give another picture, so that a still scene is computed once.
  func version(atMicroseconds time: UInt64) -> UInt64
  /// 768 object temperatures in degC, row-major, row 0 top, as a perfect camera with the right settings sees them.
  func celsius(atMicroseconds time: UInt64) -> [Double]
}

/// The same temperatures for ever.
package struct StillScene: ThermalScene {
  private let picture: [Double]

  /// - Precondition: 768 values.
  package init(celsius: [Double]) {
    precondition(celsius.count == MLX90640Geometry.pixelCount, "a scene has 768 pixels")
    picture = celsius
  }

  /// One temperature everywhere.
  package init(uniformCelsius: Double) {
    picture = Array(repeating: uniformCelsius, count: MLX90640Geometry.pixelCount)
  }

  package func version(atMicroseconds time: UInt64) -> UInt64 { 0 }
  package func celsius(atMicroseconds time: UInt64) -> [Double] { picture }
}
