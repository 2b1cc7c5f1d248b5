import Thermography

/// Compares a capture, pixel by pixel, with earlier sessions of the same person and view: each earlier picture is laid on
/// the present one, the mean of them is subtracted, and what is left is held against how much this person's pictures
/// differ anyway. `Models/training/change/reference.py` is the definition, step by step, with the same constants.
///
/// A fixed number of steps whatever the pictures hold. All memory of a pixel's size is taken at the beginning.
package struct ChangeComparator {
  /// What is left of the misalignment, pixels, and the share of sharp structures that resampling changes.
  private static let shiftPixels = 0.10
  private static let sharpShare = 0.12
  /// Degrees of freedom of the model, and those that an earlier session beyond the first adds.
  private static let priorFreedom = 8.0
  private static let ownFreedom = 3.0
  /// From the median of the ratio between a person's own variance and the model's to about its mean, and its bounds.
  private static let medianToMean = 1.25
  private static let scaleBounds = 0.6...6.0
  private static let insideCore = 0.999

  package let geometry: SensorGeometry
  private var filter: PlaneFilter
  private var registration: Registration
  private var spot: SpotFilter
  private let slight: PlaneBlur
  private let soft: PlaneBlur
  private let broad: PlaneBlur
  private var statistics: OrderStatistics
  /// The earlier pictures at the present one's pixels.
  private var maps: [[Double]]
  private var valid: [Bool]
  private var coverage: [Double]
  private var sum: [Double]
  private var plane: [Double]
  private var answer: [Double]
  private var model: [Double]
  private var own: [Double]
  private var scratch: [Double]
  private var second: [Double]
  private var third: [Double]

  package init(geometry: SensorGeometry = ChangeRules.geometry) {
    self.geometry = geometry
    filter = PlaneFilter(geometry)
    registration = Registration(geometry, &filter)
    spot = SpotFilter(geometry)
    slight = PlaneBlur(sigmaPixels: 0.7, &filter)
    soft = PlaneBlur(sigmaPixels: 1.0, &filter)
    broad = PlaneBlur(sigmaPixels: 1.5, &filter)
    statistics = OrderStatistics(capacity: geometry.pixelCount)
    let zeros = Array(repeating: 0.0, count: geometry.pixelCount)
    maps = Array(repeating: zeros, count: ChangeRules.sessions.upperBound)
    valid = Array(repeating: false, count: geometry.pixelCount)
    (coverage, sum, plane, answer, model, own) = (zeros, zeros, zeros, zeros, zeros, zeros)
    (scratch, second, third) = (zeros, zeros, zeros)
  }

  /// - Parameters:
  ///   - present: nil where no body stands out in the capture.
  ///   - earlier: one of each earlier session, oldest first; the newest count.
  package mutating func compare(_ present: ChangeFrame?, with earlier: [ChangeFrame]) -> ChangeOutcome {
    guard let present else {
      return .notComparable(sessions: earlier.count, reason: "no body stands out in the picture")
    }
    guard present.geometry == geometry, earlier.allSatisfy({ $0.geometry == geometry }) else {
      return .notComparable(
        sessions: earlier.count,
        reason: "the comparison is made for pictures of \(geometry) pixels, all of them of that size")
    }
    guard earlier.count >= ChangeRules.sessions.lowerBound else { return .notEnoughSessions(earlier.count) }
    let kept = Array(earlier.suffix(ChangeRules.sessions.upperBound))
    guard let findings = compared(present, kept) else {
      return .notComparable(
        sessions: kept.count, reason: "too little of the skin is in this picture and in all of the earlier ones")
    }
    return .compared(findings)
  }

  private mutating func compared(_ present: ChangeFrame, _ earlier: [ChangeFrame]) -> ChangeFindings? {
    let placements = lay(earlier, on: present)
    for pixel in sum.indices {
      var total = 0.0
      for number in earlier.indices { total += maps[number][pixel] }
      sum[pixel] = total
    }
    spot.prepare(valid: valid, &filter)
    let assessed = spot.assessed
    let count = assessed.count { $0 }
    guard count > 0, Double(count) >= ChangeRules.assessedShare * Double(geometry.pixelCount) else { return nil }
    // The model's planes come first: they need the mean, and `plane` is used again.
    findModel(earlier, noiseCelsius: Self.noise(of: [present] + earlier))
    findOwnVariance(earlier.count)
    for pixel in plane.indices { plane[pixel] = present.celsius[pixel] - sum[pixel] / Double(earlier.count) }
    level()
    spot.apply(plane, &filter, into: &answer)
    return findings(placements, assessed)
  }

  /// Of one pixel of the pictures together, degC.
  private static func noise(of frames: [ChangeFrame]) -> Double {
    let largest = frames.reduce(ChangeRules.noiseCelsius) { max($0, $1.noiseCelsius) }
    let cameras = Set(frames.map(\.camera))
    return cameras.count > 1 ? (largest * largest + ChangeRules.otherSensorVariance).squareRoot() : largest
  }

  /// Fills `maps` and `valid`.
  private mutating func lay(_ earlier: [ChangeFrame], on present: ChangeFrame) -> [Placement] {
    let (rows, columns) = (geometry.rows, geometry.columns)
    valid = present.core
    var placements: [Placement] = []
    for (number, frame) in earlier.enumerated() {
      let placement = registration.align(present, frame, &filter)
      placements.append(placement)
      let transform = Registration.Transform(placement, geometry)
      for pixel in coverage.indices { coverage[pixel] = frame.core[pixel] ? 1 : 0 }
      for row in 0..<rows {
        for column in 0..<columns {
          let pixel = row * columns + column
          let at = registration.target(transform, row: row, column: column)
          let tap = BilinearTap(row: at.row, column: at.column, rows: rows, columns: columns)
          if !registration.isInside(at.row, at.column)
            || tap.value(of: coverage, columns: columns) <= Self.insideCore
          {
            valid[pixel] = false
          }
          maps[number][pixel] = CatmullRom.value(
            of: frame.celsius, row: at.row, column: at.column, rows: rows, columns: columns)
        }
      }
    }
    return placements
  }

  /// Takes the mean over the valid pixels from `plane`.
  private mutating func level() {
    var (total, count) = (0.0, 0)
    for pixel in plane.indices where valid[pixel] {
      total += plane[pixel]
      count += 1
    }
    guard count > 0 else { return }
    for pixel in plane.indices { plane[pixel] -= total / Double(count) }
  }

  /// Variance of the answer by what is known of sensor, alignment and resampling, into `model`.
  private mutating func findModel(_ earlier: [ChangeFrame], noiseCelsius: Double) {
    for pixel in plane.indices { plane[pixel] = sum[pixel] / Double(earlier.count) }
    spot.apply(plane, &filter, into: &answer)
    for pixel in answer.indices where !valid[pixel] { answer[pixel] = 0 }
    filter.gradient(of: answer, down: &second, across: &third)
    for pixel in second.indices { scratch[pixel] = second[pixel] * second[pixel] + third[pixel] * third[pixel] }
    soft.apply(scratch, &filter, into: &model)

    // The sharp structures: what a slight blur over the valid pixels takes away.
    for pixel in scratch.indices { scratch[pixel] = valid[pixel] ? plane[pixel] : 0 }
    slight.apply(scratch, &filter, into: &second)
    for pixel in scratch.indices { scratch[pixel] = valid[pixel] ? 1 : 0 }
    slight.apply(scratch, &filter, into: &third)
    for pixel in scratch.indices { scratch[pixel] = plane[pixel] - second[pixel] / max(third[pixel], 1e-3) }
    spot.apply(scratch, &filter, into: &answer)
    for pixel in scratch.indices { scratch[pixel] = answer[pixel] * answer[pixel] }
    soft.apply(scratch, &filter, into: &second)
    for pixel in model.indices {
      model[pixel] =
        noiseCelsius * noiseCelsius * spot.noise[pixel] + Self.shiftPixels * Self.shiftPixels * model[pixel]
        + Self.sharpShare * Self.sharpShare * second[pixel]
    }
  }

  /// Variance of the answer among the earlier sessions, into `own`.
  private mutating func findOwnVariance(_ count: Int) {
    for pixel in own.indices { own[pixel] = 0 }
    let others = Double(count - 1)
    for number in 0..<count {
      for pixel in plane.indices {
        plane[pixel] = maps[number][pixel] - (sum[pixel] - maps[number][pixel]) / others
      }
      level()
      spot.apply(plane, &filter, into: &answer)
      for pixel in own.indices { own[pixel] += answer[pixel] * answer[pixel] }
    }
    // Of one session against all others, to one against none: as the model is.
    let scale = Double(count) * (1 + 1 / others)
    for pixel in own.indices {
      scratch[pixel] = spot.assessed[pixel] ? own[pixel] / scale : 0
      second[pixel] = spot.assessed[pixel] ? 1 : 0
    }
    broad.apply(scratch, &filter, into: &own)
    broad.apply(second, &filter, into: &third)
    for pixel in own.indices { own[pixel] /= max(third[pixel], 1e-6) }
  }

  private mutating func findings(_ placements: [Placement], _ assessed: [Bool]) -> ChangeFindings {
    let sessions = placements.count
    var count = 0
    for pixel in assessed.indices where assessed[pixel] {
      scratch[count] = own[pixel] / model[pixel]
      count += 1
    }
    let ratio = statistics.median(of: scratch, count: count) * Self.medianToMean
    let scale = min(max(ratio, Self.scaleBounds.lowerBound), Self.scaleBounds.upperBound)
    let freedom = Self.ownFreedom * Double(sessions - 1)
    let threshold = ChangeRules.threshold(sessions: sessions)
    var height = Array(repeating: Double.nan, count: assessed.count)
    var spread = height
    var (largest, peak) = (-1.0, 0)
    count = 0
    for pixel in assessed.indices where assessed[pixel] {
      let variance =
        (Self.priorFreedom * scale * model[pixel] + freedom * own[pixel]) / (Self.priorFreedom + freedom)
        * (1 + 1 / Double(sessions))
      let spotAnswer = max(spot.spot[pixel], 1e-6)
      spread[pixel] = max(variance, 1e-12).squareRoot() / spotAnswer
      height[pixel] = answer[pixel] / spotAnswer
      let score = abs(height[pixel]) / spread[pixel]
      if score > largest { (largest, peak) = (score, pixel) }
      scratch[count] = (threshold + ChangeRules.oneSided95) * spread[pixel]
      count += 1
    }
    let least = statistics.quantile(ChangeRules.minimumDetectableShare, of: scratch, count: count)
    return ChangeFindings(
      geometry: geometry, sessions: sessions, placements: placements, heightCelsius: height, spreadCelsius: spread,
      assessed: assessed, largest: largest, row: peak / geometry.columns, column: peak % geometry.columns,
      threshold: threshold, minimumDetectableCelsius: least,
      places: ChangeFindings.places(
        heightCelsius: height, spreadCelsius: spread, assessed: assessed, threshold: threshold,
        minimumDetectableCelsius: least, geometry: geometry))
  }
}
