/// What can be measured of the person in front of the camera without any network: where they are, how warm, how even.
///
/// All geometry is in pixels of the 32x24 frame, columns from 0 at the left of the image, rows from 0 at the top.
package struct SubjectMeasurements: Sendable, Equatable {
  package static let columns = 32
  package static let rows = 24
  package static let pixels = columns * rows

  /// Mean of everything that is not the subject, degC; the frame's 5th percentile where nothing else is left.
  package var backgroundCelsius: Double
  /// Mean over the subject, degC.
  package var subjectCelsius: Double
  /// 99th percentile over the subject, degC.
  package var subjectHighCelsius: Double
  /// Share of the frame that the subject covers, 0...1.
  package var subjectShare: Double
  /// Mean midpoint of the subject's rows, in columns; 15.5 is the frame's centre.
  package var midlineColumn: Double
  /// How far the midline moves from row to row, in columns a row: the tangent of the tilt.
  package var midlineSlope: Double
  /// Rows in which the subject touches the left, the right edge of the frame, as shares of the rows it covers.
  package var leftEdgeShare: Double
  package var rightEdgeShare: Double
  /// Hottest pixel of the frame above `subjectHighCelsius`, degC.
  package var hottestExcessCelsius: Double
  /// Coldest pixel of the frame below the background, degC.
  package var coldestDeficitCelsius: Double
  /// Mean difference of the two sub-pages where the image is smooth, degC, absolute.
  package var checkerboardCelsius: Double
  /// 95th percentile of the temperature step across the subject's outline, degC a pixel: small behind a fogged or
  /// covered lens.
  package var outlineStepCelsius: Double
  /// Left minus right by the patient's own sides; nil when the midline leaves too little on one side.
  package var leftRight: LeftRightDifference?

  /// The smallest contrast between subject and background at which there is a subject at all, degC.
  package static let contrastMinimumCelsius = 2.5

  /// Measures one frame.
  ///
  /// - Parameters:
  ///   - celsius: 768 finite temperatures, row-major, row 0 at the top.
  ///   - standardErrorCelsius: 768 standard errors, or empty when unknown (taken as 0).
  ///   - mirrored: true when the image shows the patient as a mirror does (left side at the left).
  /// - Returns: nil when no subject stands out from the background.
  package init?(celsius: [Float], standardErrorCelsius: [Float] = [], mirrored: Bool = false) {
    guard celsius.count == Self.pixels, celsius.allSatisfy(\.isFinite) else { return nil }
    guard let silhouette = Silhouette(celsius: celsius) else { return nil }
    let inside = silhouette.inside
    let body = Self.sorted(celsius, where: { inside[$0] })
    let outside = Self.sorted(celsius, where: { !inside[$0] })
    subjectCelsius = Self.mean(body)
    subjectHighCelsius = Self.percentile(body, 0.99)
    // With hardly any background left its mean says nothing: take the frame's cold end.
    backgroundCelsius = outside.count >= 16 ? Self.mean(outside) : Self.percentile(celsius.sorted(), 0.05)
    guard subjectCelsius - backgroundCelsius >= Self.contrastMinimumCelsius else { return nil }
    subjectShare = Double(body.count) / Double(Self.pixels)
    hottestExcessCelsius = Double(celsius.max() ?? 0) - subjectHighCelsius
    coldestDeficitCelsius = backgroundCelsius - Double(celsius.min() ?? 0)
    midlineColumn = silhouette.midlineColumn
    midlineSlope = silhouette.midlineSlope
    leftEdgeShare = silhouette.leftEdgeShare
    rightEdgeShare = silhouette.rightEdgeShare
    checkerboardCelsius = Self.checkerboard(celsius)
    outlineStepCelsius = Self.outlineStep(celsius, inside: inside)
    leftRight = LeftRightDifference(
      celsius: celsius, standardErrorCelsius: standardErrorCelsius, inside: inside,
      midlineColumn: silhouette.midlineColumn, mirrored: mirrored)
  }
}

extension SubjectMeasurements {
  private static func sorted(_ celsius: [Float], where keep: (Int) -> Bool) -> [Float] {
    celsius.indices.filter(keep).map { celsius[$0] }.sorted()
  }

  private static func mean(_ values: [Float]) -> Double {
    values.isEmpty ? 0 : values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
  }

  private static func percentile(_ sorted: [Float], _ share: Double) -> Double {
    guard let last = sorted.indices.last else { return 0 }
    return Double(sorted[Int((Double(last) * share).rounded())])
  }

  /// The two sub-pages of the chess pattern are taken at two times and with two sets of offsets; a difference between
  /// them shows as a checkerboard. Each pixel is compared with its four neighbours, which are all of the other
  /// sub-page: a linear gradient cancels. The median over the frame is unmoved by edges.
  private static func checkerboard(_ celsius: [Float]) -> Double {
    var differences: [Float] = []
    differences.reserveCapacity(pixels)
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
    return abs(percentile(differences, 0.5))
  }

  private static func outlineStep(_ celsius: [Float], inside: [Bool]) -> Double {
    var steps: [Float] = []
    for row in 0..<rows {
      for column in 1..<columns {
        let pixel = row * columns + column
        if inside[pixel] != inside[pixel - 1] { steps.append(abs(celsius[pixel] - celsius[pixel - 1])) }
      }
    }
    steps.sort()
    return percentile(steps, 0.95)
  }
}
