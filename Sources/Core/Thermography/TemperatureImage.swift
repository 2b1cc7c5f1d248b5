/// A live image: the latest temperature of each pixel with its validity.
package struct TemperatureImage: Sendable, Hashable {
  /// 768 degC, row-major, row 0 top. A pixel that is not valid holds 0 and must not be read.
  package var celsius: [Float]
  /// 768: whether the pixel has a temperature.
  package var valid: [Bool]

  /// No pixel measured yet.
  package init() {
    celsius = Array(repeating: 0, count: SensorGeometry.pixelCount)
    valid = Array(repeating: false, count: SensorGeometry.pixelCount)
  }

  /// Smallest, mean and largest of the valid pixels in degC, or nil when there is none.
  package var extremes: (minimum: Float, mean: Float, maximum: Float)? {
    var minimum = Float.infinity
    var maximum = -Float.infinity
    var sum = 0.0
    var count = 0
    for index in 0..<SensorGeometry.pixelCount where valid[index] {
      minimum = min(minimum, celsius[index])
      maximum = max(maximum, celsius[index])
      sum += Double(celsius[index])
      count += 1
    }
    return count == 0 ? nil : (minimum, Float(sum / Double(count)), maximum)
  }
}
