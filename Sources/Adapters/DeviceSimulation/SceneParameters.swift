import Provenance

/// The distributions that simulated scenes are drawn from: those of the synthetic thermograms that the models are
/// trained on. The values are a copy of `Models/training/thermograms/parameters.json`, whose README says what each
/// means; a test holds the two against each other.
package enum SceneParameters {
  /// A uniform range.
  package struct Span: Sendable, Equatable {
    package let values: [Double]

    package init(_ low: Double, _ high: Double) { values = [low, high] }

    package func draw(using generator: inout SeededGenerator) -> Double {
      values[0] + (values[1] - values[0]) * generator.uniform()
    }
  }

  /// A distribution by its quantiles 0, 0.05, 0.5, 0.95 and 1, joined by straight lines.
  package struct Marginal: Sendable, Equatable {
    package static let shares = [0, 0.05, 0.5, 0.95, 1]
    package let values: [Double]

    package init(_ values: Double...) {
      precondition(values.count == Self.shares.count)
      self.values = values
    }

    /// - Parameter share: 0...1.
    package func value(at share: Double) -> Double {
      let upper = Self.shares.indices.dropFirst().first { share <= Self.shares[$0] } ?? Self.shares.count - 1
      let part = (share - Self.shares[upper - 1]) / (Self.shares[upper] - Self.shares[upper - 1])
      return values[upper - 1] + (values[upper] - values[upper - 1]) * min(max(part, 0), 1)
    }

    package func draw(using generator: inout SeededGenerator) -> Double { value(at: generator.uniform()) }
  }

  package enum Geometry {
    package static let bodyShare = Marginal(0.49, 0.61, 0.76, 0.86, 0.89)
    package static let midlineColumn = Marginal(13.5, 14.0, 15.5, 16.5, 17.5)
    package static let leanColumnsPerRow = Span(-0.03, 0.03)
    package static let waist = Span(0.02, 0.16)
    package static let arms = Span(0.0, 0.22)
    package static let shoulderRow = Span(-9.0, 3.0)
    package static let neckShare = Span(0.3, 0.42)
    package static let breastRow = Span(10.0, 15.0)
    package static let breastAngleDegrees = Span(22, 32)
    package static let breastRadius = Span(3.2, 5.2)
  }

  package enum Temperature {
    package static let bodyMean = Marginal(28.1, 29.3, 31.2, 33.2, 34.1)
    package static let bodyMinusBackground = Marginal(5.25, 6.55, 8.95, 11.65, 13.15)
    package static let bodySD = Marginal(0.83, 0.97, 1.24, 1.62, 1.88)
  }

  package enum Anatomy {
    package static let sternum = Span(0.2, 1.1)
    package static let neckAndAxilla = Span(0.5, 1.6)
    package static let inframammaryFold = Span(0.2, 1.4)
    package static let breast = Span(-1.4, -0.2)
    package static let nipple = Span(-0.8, 0.0)
    package static let waist = Span(-0.8, 0.4)
    package static let limbCooling = Span(0.3, 1.1)
    package static let lowFrequency = Span(0.3, 0.9)
  }

  package enum Asymmetry {
    package static let meanDifference = Marginal(-2.0, -0.64, -0.17, 0.28, 1.45)
    package static let differenceSD = Marginal(0.25, 0.33, 0.62, 1.34, 1.83)
    package static let coarseLength = Span(1.12, 1.86)
    package static let fineLength = Span(0.45, 0.83)
    package static let fineShare = Span(0.43, 0.73)
  }

  package enum Vessels {
    package static let countEachSide = Span(1, 4)
    package static let warming = Span(0.2, 1.1)
    package static let width = Span(0.5, 1.0)
  }
}
