/// The grid of the MLX90640, as constants for its driver and maths. Elsewhere a picture brings its own geometry.
package enum MLX90640Geometry {
  /// Pixels in a row.
  package static let columns = 32
  /// Rows.
  package static let rows = 24
  /// Pixels of an image: 768.
  package static let pixelCount = columns * rows
  /// Pixels that one sub-page measures: 384.
  package static let subPagePixelCount = pixelCount / 2
}

extension SensorGeometry {
  package static let mlx90640 = SensorGeometry(trusted: MLX90640Geometry.columns, MLX90640Geometry.rows)
}

extension ReadingPattern {
  /// The two sub-pages as parts of a frame.
  package var parts: [PixelPart] {
    (0..<2).map { number in
      PixelPart(
        number: number, of: 2, pixels: (0..<MLX90640Geometry.pixelCount).filter { subPage(ofPixel: $0) == number })
    }
  }
}

extension TemperatureImage {
  /// No pixel of an MLX90640 measured yet.
  package init() { self.init(geometry: .mlx90640) }
}

extension Thermogram {
  /// An MLX90640's.
  ///
  /// - Precondition: the three arrays have 768 elements.
  package init(
    celsius: [Float], standardErrorCelsius: [Float], states: [PixelState], ambientCelsius: Double,
    supplyVolts: Double, framesAveraged: Int, refreshRateHertz: Double, emissivity: Double,
    reflectedCelsius: Double, settling: Bool, motionCelsius: Double = 0, restarts: Int = 0
  ) {
    self.init(
      geometry: .mlx90640, celsius: celsius, standardErrorCelsius: standardErrorCelsius, states: states,
      ambientCelsius: ambientCelsius, supplyVolts: supplyVolts, framesAveraged: framesAveraged,
      refreshRateHertz: refreshRateHertz, emissivity: emissivity, reflectedCelsius: reflectedCelsius,
      settling: settling, motionCelsius: motionCelsius, restarts: restarts)
  }

  /// A measured image of an MLX90640 from somewhere else (a file, a test): every finite value counts as measured.
  package init(
    celsius: [Float], ambientCelsius: Double, emissivity: Double = 0.98, reflectedCelsius: Double? = nil
  ) {
    self.init(
      geometry: .mlx90640, celsius: celsius, ambientCelsius: ambientCelsius, emissivity: emissivity,
      reflectedCelsius: reflectedCelsius)
  }
}

extension DefectivePixels {
  package var hasAdjacentPixels: Bool { hasAdjacentPixels(in: .mlx90640) }

  /// More than the maker's four (datasheet 9), or adjacent ones: the image is usable but its mask must be heeded.
  package var isDegraded: Bool { all.count > 4 || hasAdjacentPixels }
}

extension FlatField {
  /// Whether the numbers of a stored flat field can be used with the MLX90640 `serialNumber`.
  package func isUsable(withSensor serialNumber: String) -> Bool { isUsable(withSensor: serialNumber, .mlx90640) }
}

extension MLX90640 {
  package static let modelName = "MLX90640"
}
