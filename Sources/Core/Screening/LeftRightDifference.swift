import Thermography

extension LeftRightDifference {
  /// Compares mirrored pixels left and right of the midline.
  ///
  /// Only pairs of which both pixels lie inside the subject count, so an off-centre subject does not compare skin
  /// with background. nil with fewer pairs than a twelfth of the frame has pixels: a difference of less would rest on a sliver.
  ///
  /// - Parameters:
  ///   - geometry: of the frame.
  ///   - celsius: temperatures, one a pixel, row-major.
  ///   - standardErrorCelsius: standard errors, one a pixel; empty, or all 0, when unknown.
  ///   - pictureNoiseCelsius: a pixel's noise as the picture shows it, which stands for an unknown standard error.
  ///   - usable: flags of pixels that are measured skin.
  ///   - midlineColumn: the axis of the mirror, in columns, rounded to the nearest half.
  ///   - mirrored: true when the image's left is the patient's left.
  init?(
    geometry: SensorGeometry, celsius: [Float], standardErrorCelsius: [Float], pictureNoiseCelsius: Double,
    usable: [Bool],
    midlineColumn: Double, mirrored: Bool
  ) {
    let columns = geometry.columns
    let rows = geometry.rows
    let isErrorKnown = standardErrorCelsius.contains { $0 > 0 }
    // Column and its mirror add up to this; rounded away from the frame's centre, so that the mirror image has the
    // mirrored axis.
    let axis = columns - 1 + Int((midlineColumn * 2 - Double(columns - 1)).rounded())
    var difference = [Float](repeating: 0, count: celsius.count)
    var paired = [Bool](repeating: false, count: celsius.count)
    var sum = 0.0
    var variance = 0.0
    var pairs = 0
    for row in 0..<rows {
      for column in 0..<columns {
        let mirror = axis - column
        guard column < mirror, mirror < columns else { continue }
        let left = row * columns + column
        let right = row * columns + mirror
        guard usable[left], usable[right] else { continue }
        // In an image that is not mirrored the patient's left is at the image's right.
        let value = mirrored ? celsius[left] - celsius[right] : celsius[right] - celsius[left]
        difference[left] = value
        paired[left] = true
        sum += Double(value)
        pairs += 1
        let errors =
          isErrorKnown
          ? (Double(standardErrorCelsius[left]), Double(standardErrorCelsius[right]))
          : (pictureNoiseCelsius, pictureNoiseCelsius)
        variance += errors.0 * errors.0 + errors.1 * errors.1
      }
    }
    guard pairs >= max(geometry.pixelCount / 12, 1) else { return nil }
    self.init(
      celsius: sum / Double(pairs), standardErrorCelsius: variance.squareRoot() / Double(pairs),
      largestLocalCelsius: Self.largestLocal(difference, paired: paired, geometry))
  }

  /// The largest absolute mean of a 3x3 neighbourhood of differences, all nine of which must be paired.
  private static func largestLocal(_ difference: [Float], paired: [Bool], _ geometry: SensorGeometry) -> Double {
    let columns = geometry.columns
    var largest = 0.0
    for row in 1..<(geometry.rows - 1) {
      for column in 1..<(columns - 1) {
        let centre = row * columns + column
        var sum = 0.0
        var complete = true
        for offset in [-columns, 0, columns] {
          for pixel in (centre + offset - 1)...(centre + offset + 1) {
            complete = complete && paired[pixel]
            sum += Double(difference[pixel])
          }
        }
        if complete { largest = max(largest, abs(sum / 9)) }
      }
    }
    return largest
  }
}
