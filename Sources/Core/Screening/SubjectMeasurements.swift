import Thermography

/// What can be measured of the person in front of the camera without any network: where they are, how warm, how even.
///
/// All geometry is in pixels of the frame, columns from 0 at the left of the image, rows from 0 at the top. Counts of pixels
/// below which nothing is concluded are shares of the frame, so that they hold for any sensor.
package struct SubjectMeasurements: Sendable, Equatable {
  /// Of the frame.
  package let geometry: SensorGeometry

  /// Whether a region is there that could be a person. Without one, everything about the subject below is 0.
  package var isPresent = false
  /// Mean of the subject above the background, degC; without a subject, what stands out most.
  package var contrastCelsius = 0.0
  /// Median of what is not the subject, degC; the frame's 5th percentile where hardly anything is left.
  package var backgroundCelsius = 0.0
  /// The room as the background shows it, degC; nil where too little of it is seen.
  package var roomCelsius: Double?
  /// Mean over the subject, degC.
  package var subjectCelsius = 0.0
  /// The skin's warm end: 90th percentile of the subject where it is no hotter than skin can be, degC.
  package var skinHighCelsius = 0.0
  /// Share of the frame that the subject covers, 0...1.
  package var subjectShare = 0.0
  /// Mean midpoint of the subject's rows, in columns.
  package var midlineColumn: Double
  /// How far the midline moves from row to row, in columns a row: the tangent of the tilt.
  package var midlineSlope = 0.0
  /// Rows in which the subject touches the left, the right edge of the frame, as shares of the rows it covers.
  package var leftEdgeShare = 0.0
  package var rightEdgeShare = 0.0
  /// Hottest pixel of the frame above `skinHighCelsius`, degC.
  package var hottestExcessCelsius = 0.0
  /// Coldest pixel of the frame below the background, degC.
  package var coldestDeficitCelsius = 0.0
  /// Mean difference of the two sub-pages where the image is smooth, degC, absolute.
  package var checkerboardCelsius = 0.0
  /// Noise of a pixel as the picture itself shows it, degC: an upper bound, because fine structure counts as noise.
  package var noiseCelsius = 0.0
  /// 95th percentile of the temperature step across the subject's outline, degC a pixel: small behind a fogged or
  /// covered lens.
  package var outlineStepCelsius = 0.0
  /// Left minus right by the patient's own sides; nil when the midline leaves too little on one side.
  package var leftRight: LeftRightDifference?
  /// The subject's parts, for comparison with other captures of the same view.
  package var regions: [RegionTemperature] = []

  /// No skin is hotter than this, degC.
  package static let skinMaximumCelsius: Float = 40

  /// Measures one frame.
  ///
  /// - Parameters:
  ///   - geometry: of the frame.
  ///   - celsius: finite temperatures, one a pixel, row-major, row 0 at the top.
  ///   - standardErrorCelsius: standard errors, one a pixel, or empty (or all 0) when unknown: the noise that the picture
  ///     itself shows takes their place.
  ///   - measured: flags of pixels that were measured, or empty when all were. Made-up pixels show where the
  ///     subject is (see `Thermogram.filled`), and no temperature is taken from them.
  ///   - mirrored: true when the image shows the patient as a mirror does (left side at the left).
  /// - Returns: nil when the frame is none, or less than half of it was measured.
  package init?(
    geometry: SensorGeometry, celsius: [Float], standardErrorCelsius: [Float] = [], measured: [Bool] = [],
    mirrored: Bool = false
  ) {
    let pixels = geometry.pixelCount
    guard celsius.count == pixels, celsius.allSatisfy(\.isFinite),
      measured.isEmpty || measured.count == pixels,
      standardErrorCelsius.isEmpty || standardErrorCelsius.count == pixels
    else { return nil }
    self.geometry = geometry
    midlineColumn = Double(geometry.columns - 1) / 2
    let texture = PictureTexture(celsius, geometry)
    checkerboardCelsius = texture.checkerboardCelsius
    noiseCelsius = texture.noiseCelsius
    let ordered = (measured.isEmpty ? celsius : zip(celsius, measured).filter(\.1).map(\.0)).sorted()
    guard ordered.count >= pixels / 2 else { return nil }
    guard let silhouette = Silhouette.find(in: celsius, geometry, ordered: ordered) else {
      contrastCelsius = Double(ordered[ordered.count - 1 - ordered.count / 20] - ordered[ordered.count / 20])
      return
    }
    let inside = silhouette.inside
    let isMeasured = { (pixel: Int) in measured.isEmpty || measured[pixel] }
    let body = celsius.indices.filter { inside[$0] && isMeasured($0) }.map { celsius[$0] }.sorted()
    let skin = body.prefix { $0 <= Self.skinMaximumCelsius }
    let outside = silhouette.surroundings.filter(isMeasured).map { celsius[$0] }.sorted()
    if outside.count >= pixels / 48 {
      backgroundCelsius = Self.percentile(outside[...], 0.5)
    } else {
      // Too little of it is free of the subject's edge: what lies outside at all, or the cold end.
      let rest = celsius.indices.filter { !inside[$0] && isMeasured($0) }.map { celsius[$0] }.sorted()
      backgroundCelsius =
        rest.count >= max(pixels / 96, 1) ? Self.percentile(rest[...], 0.5) : Self.percentile(ordered[...], 0.05)
    }
    if outside.count >= pixels / 16 { roomCelsius = backgroundCelsius }
    guard skin.count >= Silhouette.minimumPixels(geometry) else {
      contrastCelsius = Self.mean(body[...]) - backgroundCelsius
      return
    }
    subjectCelsius = Self.mean(skin)
    // Nothing but skin in the picture: there is no background to stand out from.
    contrastCelsius = subjectCelsius - (silhouette.fillsFrame ? Self.coolestSkinCelsius : backgroundCelsius)
    skinHighCelsius = Self.percentile(skin, 0.9)
    isPresent = true
    subjectShare = Double(silhouette.count) / Double(pixels)
    hottestExcessCelsius = Double(ordered[ordered.count - 1]) - skinHighCelsius
    coldestDeficitCelsius = backgroundCelsius - Double(ordered[0])
    midlineColumn = silhouette.midlineColumn
    midlineSlope = silhouette.midlineSlope
    leftEdgeShare = silhouette.leftEdgeShare
    rightEdgeShare = silhouette.rightEdgeShare
    outlineStepCelsius = Self.outlineStep(celsius, geometry, inside: inside)
    let usable = celsius.indices.map { inside[$0] && isMeasured($0) && celsius[$0] <= Self.skinMaximumCelsius }
    leftRight = LeftRightDifference(
      geometry: geometry, celsius: celsius, standardErrorCelsius: standardErrorCelsius,
      pictureNoiseCelsius: noiseCelsius, usable: usable,
      midlineColumn: silhouette.midlineColumn, mirrored: mirrored)
    regions = RegionTemperature.regions(
      geometry: geometry, celsius: celsius, usable: usable, subjectCelsius: subjectCelsius,
      midlineColumn: silhouette.midlineColumn,
      rows: silhouette.rowRange, mirrored: mirrored)
  }

  /// What a body that fills the frame is held against, degC: no bare torso is cooler.
  private static let coolestSkinCelsius = 24.0

  static func mean(_ values: ArraySlice<Float>) -> Double {
    values.isEmpty ? 0 : values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
  }

  static func percentile(_ sorted: ArraySlice<Float>, _ share: Double) -> Double {
    guard !sorted.isEmpty else { return 0 }
    return Double(sorted[sorted.startIndex + Int((Double(sorted.count - 1) * share).rounded())])
  }

  private static func outlineStep(_ celsius: [Float], _ geometry: SensorGeometry, inside: [Bool]) -> Double {
    var steps: [Float] = []
    for row in 0..<geometry.rows {
      for column in 1..<geometry.columns {
        let pixel = row * geometry.columns + column
        if inside[pixel] != inside[pixel - 1] { steps.append(abs(celsius[pixel] - celsius[pixel - 1])) }
      }
    }
    steps.sort()
    return percentile(steps[...], 0.95)
  }
}

/// What the differences of neighbouring pixels say of the sensor.
///
/// The two sub-pages of the chess pattern are taken at two times and with two sets of offsets; a difference between
/// them shows as a checkerboard. Each pixel is compared with its four neighbours, which are all of the other sub-page:
/// a linear gradient cancels. Medians over the frame are unmoved by edges.
private struct PictureTexture {
  let checkerboardCelsius: Double
  let noiseCelsius: Double

  init(_ celsius: [Float], _ geometry: SensorGeometry) {
    let (columns, rows) = (geometry.columns, geometry.rows)
    var differences: [Float] = []
    differences.reserveCapacity(celsius.count)
    for row in 1..<(rows - 1) {
      for column in 1..<(columns - 1) {
        let pixel = row * columns + column
        let neighbours =
          (celsius[pixel - 1] + celsius[pixel + 1] + celsius[pixel - columns] + celsius[pixel + columns]) / 4
        let difference = celsius[pixel] - neighbours
        differences.append((row + column).isMultiple(of: 2) ? difference : -difference)
      }
    }
    differences.sort()
    let middle = SubjectMeasurements.percentile(differences[...], 0.5)
    var deviations = differences.map { abs($0 - Float(middle)) }
    deviations.sort()
    checkerboardCelsius = abs(middle)
    // Median absolute deviation to standard deviation for a normal distribution; the difference of a pixel and the mean
    // of four has 1 + 1/4 of the variance.
    noiseCelsius = 1.4826 * SubjectMeasurements.percentile(deviations[...], 0.5) / 1.25.squareRoot()
  }
}
