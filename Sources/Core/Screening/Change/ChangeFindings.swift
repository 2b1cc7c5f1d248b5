import Thermography

/// What a comparison over time came to.
package enum ChangeOutcome: Sendable, Equatable {
  /// Fewer earlier sessions than `ChangeRules.sessions` begins with.
  case notEnoughSessions(Int)
  /// A sentence that says why.
  case notComparable(sessions: Int, reason: String)
  case compared(ChangeFindings)
}

/// Where and how much a capture differs from the person's own earlier sessions: an observation, never a diagnosis.
package struct ChangeFindings: Sendable, Equatable {
  /// A connected place that changed.
  package struct Place: Sendable, Equatable {
    /// Of the pixel where the change stands out most.
    package var row: Int
    package var column: Int
    package var pixels: Int
    /// Height of the spot that would look so there, degC; below 0 for one that is cooler than before.
    package var celsius: Double
  }

  package let geometry: SensorGeometry
  /// Earlier sessions it was compared with.
  package let sessions: Int
  package let placements: [Placement]
  /// Estimated height of a spot, degC, row by row; nan where nothing is assessed.
  package let heightCelsius: [Double]
  /// Standard deviation of that height; nan where nothing is assessed.
  package let spreadCelsius: [Double]
  package let assessed: [Bool]
  /// The largest magnitude of a height in standard deviations, where it is, and from what on it is beyond variation.
  package let largest: Double
  package let row: Int
  package let column: Int
  package let threshold: Double
  /// The least height of a spot that is found in 95 of 100 cases, at 95 of 100 assessed pixels, degC.
  package let minimumDetectableCelsius: Double
  /// What is told: the largest first, at most `ChangeRules.maximumPlaces`.
  package let places: [Place]
}

/// What the comparison was made and calibrated with.
package enum ChangeRules {
  /// Earlier sessions: fewer tell nothing, of more the newest count.
  package static let sessions = 3...8
  /// Of sessions without any change, at most so many are called changed: over the whole picture, not for each pixel.
  package static let falseAlarmRate = 0.05
  package static let maximumPlaces = 8
  /// The thresholds hold for pixels of this grid, and were set on it.
  package static let geometry = PreprocessingChain.modelGeometry
  /// And for these views: turned ones differ more from day to day (see `Docs/change.md`).
  package static let views: Set<CaptureView> = [.frontal]

  /// Standard deviations from which on a change is beyond variation, by the number of earlier sessions:
  /// `Models/training/change/limits.json`, set on simulated people that judge nothing.
  package static let thresholds = [4.711, 4.649, 4.555, 4.462, 4.46, 4.451]

  static func threshold(sessions count: Int) -> Double {
    thresholds[min(max(count, sessions.lowerBound), sessions.upperBound) - sessions.lowerBound]
  }

  /// One-sided 95 % of a normal distribution.
  static let oneSided95 = 1.645
  /// Standard deviations below what can be detected at which a height is surely below it.
  static let surelyBelow = 3.0
  static let minimumDetectableShare = 0.95
  /// Noise of a pixel when nothing worse is known, degC.
  static let noiseCelsius = 0.10
  /// Variance that pictures of several sensors add, degC squared: what each pixel reads wrong for good.
  static let otherSensorVariance = 0.0125
  /// Fewer assessed pixels than this share of the frame tell nothing.
  static let assessedShare = 1.0 / 32
}

extension ChangeFindings {
  /// Connected pixels (by side or corner) beyond the threshold. A place is told unless its height is surely below what can
  /// be detected in this person: with three of its standard deviations it must reach the least detectable height. That
  /// costs no spot of that height, and takes most of the false ones away (see `Docs/change.md`).
  static func places(
    heightCelsius: [Double], spreadCelsius: [Double], assessed: [Bool], threshold: Double,
    minimumDetectableCelsius: Double, geometry: SensorGeometry
  ) -> [Place] {
    var isOpen = assessed.indices.map { assessed[$0] && abs(heightCelsius[$0]) > threshold * spreadCelsius[$0] }
    var places: [Place] = []
    for start in isOpen.indices where isOpen[start] {
      var (pending, peak, count) = ([start], start, 0)
      isOpen[start] = false
      while let pixel = pending.popLast() {
        count += 1
        if abs(heightCelsius[pixel]) / spreadCelsius[pixel] > abs(heightCelsius[peak]) / spreadCelsius[peak] {
          peak = pixel
        }
        let (row, column) = (pixel / geometry.columns, pixel % geometry.columns)
        for r in max(row - 1, 0)...min(row + 1, geometry.rows - 1) {
          for c in max(column - 1, 0)...min(column + 1, geometry.columns - 1)
          where isOpen[r * geometry.columns + c] {
            isOpen[r * geometry.columns + c] = false
            pending.append(r * geometry.columns + c)
          }
        }
      }
      guard abs(heightCelsius[peak]) + ChangeRules.surelyBelow * spreadCelsius[peak] >= minimumDetectableCelsius else {
        continue
      }
      places.append(
        Place(
          row: peak / geometry.columns, column: peak % geometry.columns, pixels: count, celsius: heightCelsius[peak]))
    }
    return Array(places.sorted { abs($0.celsius) > abs($1.celsius) }.prefix(ChangeRules.maximumPlaces))
  }
}
