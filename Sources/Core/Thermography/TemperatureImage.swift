/// A live image: the latest temperature of each pixel with its validity.
package struct TemperatureImage: Sendable, Hashable {
  package let geometry: SensorGeometry
  /// degC, row-major, row 0 top. A pixel that is not valid holds 0 and must not be read.
  package var celsius: [Float]
  /// Whether the pixel has a temperature.
  package var valid: [Bool]

  /// No pixel measured yet.
  package init(geometry: SensorGeometry) {
    self.geometry = geometry
    celsius = Array(repeating: 0, count: geometry.pixelCount)
    valid = Array(repeating: false, count: geometry.pixelCount)
  }

  /// The same picture with no more than so many columns and rows: of each block of pixels the first is kept.
  package func thinned(toColumns columns: Int, rows: Int) -> TemperatureImage {
    let step = max(
      (geometry.columns + columns - 1) / columns, (geometry.rows + rows - 1) / rows, 1)
    guard step > 1 else { return self }
    var result = TemperatureImage(
      geometry: SensorGeometry(
        trusted: (geometry.columns + step - 1) / step, (geometry.rows + step - 1) / step))
    for row in 0..<result.geometry.rows {
      for column in 0..<result.geometry.columns {
        let from = row * step * geometry.columns + column * step
        result.celsius[row * result.geometry.columns + column] = celsius[from]
        result.valid[row * result.geometry.columns + column] = valid[from]
      }
    }
    return result
  }

  /// Smallest, mean and largest of the valid pixels in degC, or nil when there is none.
  package var extremes: (minimum: Float, mean: Float, maximum: Float)? {
    var minimum = Float.infinity
    var maximum = -Float.infinity
    var sum = 0.0
    var count = 0
    for index in celsius.indices where valid[index] {
      minimum = min(minimum, celsius[index])
      maximum = max(maximum, celsius[index])
      sum += Double(celsius[index])
      count += 1
    }
    return count == 0 ? nil : (minimum, Float(sum / Double(count)), maximum)
  }
}
