/// How a pixel of a thermogram came by its value.
package enum PixelState: UInt8, Sendable, Hashable, Codable {
  /// Measured.
  case measured = 0
  /// Made from valid neighbours: show it, never measure on it.
  case interpolated = 1
  /// No value: `celsius` holds 0.
  case invalid = 2
}

/// A radiometric image: the mean of several frames, with what is needed to trust and compare it.
package struct Thermogram: Sendable, Hashable {
  /// Of the sensor that took it.
  package let geometry: SensorGeometry
  /// degC, row-major, row 0 the top row as the sensor gives it.
  package var celsius: [Float]
  /// Standard errors of the mean in degC; 0 for pixels that were not measured or measured once.
  package var standardErrorCelsius: [Float]
  /// A state a pixel.
  package var states: [PixelState]
  /// Ambient temperature of the sensor's die in degC, mean over the frames.
  package var ambientCelsius: Double
  /// The sensor's supply in volts, mean over the frames.
  package var supplyVolts: Double
  /// Sub-page pairs averaged, at least 1.
  package var framesAveraged: Int
  /// Sub-pages a second at which the frames were taken.
  package var refreshRateHertz: Double
  /// 0...1.
  package var emissivity: Double
  /// The reflected temperature used, in degC.
  package var reflectedCelsius: Double
  /// The sensor had not yet warmed up: temperatures may still drift.
  package var settling: Bool
  /// Largest motion score seen during averaging, in degC (see `MotionScore`).
  package var motionCelsius: Double
  /// How often averaging started again because of motion.
  package var restarts: Int

  /// - Precondition: the three arrays have an element a pixel.
  package init(
    geometry: SensorGeometry, celsius: [Float], standardErrorCelsius: [Float], states: [PixelState],
    ambientCelsius: Double,
    supplyVolts: Double, framesAveraged: Int, refreshRateHertz: Double, emissivity: Double,
    reflectedCelsius: Double, settling: Bool, motionCelsius: Double = 0, restarts: Int = 0
  ) {
    precondition(
      celsius.count == geometry.pixelCount && standardErrorCelsius.count == geometry.pixelCount
        && states.count == geometry.pixelCount, "a thermogram has as many pixels as its sensor")
    self.geometry = geometry
    self.celsius = celsius
    self.standardErrorCelsius = standardErrorCelsius
    self.states = states
    self.ambientCelsius = ambientCelsius
    self.supplyVolts = supplyVolts
    self.framesAveraged = framesAveraged
    self.refreshRateHertz = refreshRateHertz
    self.emissivity = emissivity
    self.reflectedCelsius = reflectedCelsius
    self.settling = settling
    self.motionCelsius = motionCelsius
    self.restarts = restarts
  }

  /// A measured image from somewhere else (a file, a test): every finite value counts as measured.
  package init(
    geometry: SensorGeometry, celsius: [Float], ambientCelsius: Double, emissivity: Double = 0.98,
    reflectedCelsius: Double? = nil
  ) {
    self.init(
      geometry: geometry, celsius: celsius.map { $0.isFinite ? $0 : 0 },
      standardErrorCelsius: Array(repeating: 0, count: celsius.count),
      states: celsius.map { $0.isFinite ? .measured : .invalid }, ambientCelsius: ambientCelsius,
      supplyVolts: 3.3, framesAveraged: 1, refreshRateHertz: 0, emissivity: emissivity,
      reflectedCelsius: reflectedCelsius ?? ambientCelsius, settling: false)
  }
}
