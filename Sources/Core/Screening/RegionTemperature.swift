import Thermography

/// The temperature of one part of the subject.
package struct RegionTemperature: Sendable, Hashable, Codable {
  /// The patient's side, and the third of the subject's height. In a turned view "left" is the half of the picture that
  /// shows the patient's left in a frontal one.
  package enum Name: String, Sendable, Hashable, Codable, CaseIterable {
    case leftUpper = "left-upper"
    case rightUpper = "right-upper"
    case leftMiddle = "left-middle"
    case rightMiddle = "right-middle"
    case leftLower = "left-lower"
    case rightLower = "right-lower"
  }

  package var name: Name
  /// Mean, degC.
  package var celsius: Double
  /// Mean above the mean of the whole subject, degC: free of the room's and of the sensor's own shift.
  package var relativeCelsius: Double
  /// Standard deviation of the region's pixels, degC.
  package var spreadCelsius: Double
  /// Measured pixels of skin, at least a part in 64 of the frame: a region of fewer is left out.
  package var pixels: Int

  package init(name: Name, celsius: Double, relativeCelsius: Double, spreadCelsius: Double, pixels: Int) {
    self.name = name
    self.celsius = celsius
    self.relativeCelsius = relativeCelsius
    self.spreadCelsius = spreadCelsius
    self.pixels = pixels
  }

  private enum CodingKeys: String, CodingKey {
    case name, celsius
    case relativeCelsius = "relative_celsius"
    case spreadCelsius = "spread_celsius"
    case pixels
  }

  /// The subject's regions, in the order of `Name`.
  ///
  /// - Parameters:
  ///   - usable: flags of pixels that are measured skin.
  ///   - rows: those that the subject covers.
  static func regions(
    geometry: SensorGeometry, celsius: [Float], usable: [Bool], subjectCelsius: Double, midlineColumn: Double,
    rows: ClosedRange<Int>,
    mirrored: Bool
  ) -> [RegionTemperature] {
    let columns = geometry.columns
    var counts = [Int](repeating: 0, count: Name.allCases.count)
    var sums = [Double](repeating: 0, count: counts.count)
    var squares = sums
    for row in rows {
      let third = min(2, (row - rows.lowerBound) * 3 / rows.count)
      for column in 0..<columns {
        let pixel = row * columns + column
        let aside = Double(column) - midlineColumn
        guard usable[pixel], aside != 0 else { continue }
        // In an image that is not mirrored the patient's left is at the image's right.
        let region = third * 2 + ((aside > 0) != mirrored ? 0 : 1)
        let value = Double(celsius[pixel]) - subjectCelsius
        counts[region] += 1
        sums[region] += value
        squares[region] += value * value
      }
    }
    return Name.allCases.enumerated().compactMap { index, name in
      guard counts[index] >= max(geometry.pixelCount / 64, 1) else { return nil }
      let count = Double(counts[index])
      let mean = sums[index] / count
      let variance = max(0, squares[index] / count - mean * mean)
      func thousandth(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
      return RegionTemperature(
        name: name, celsius: thousandth(subjectCelsius + mean), relativeCelsius: thousandth(mean),
        spreadCelsius: thousandth(variance.squareRoot()), pixels: counts[index])
    }
  }
}
