/// What a network's inputs looked like in training. Where more than a few of a device's own lie outside, its pictures are others
/// than those that the model was made for: another lens, distance or protocol, a sensor that ages, other people.
package struct InputStatistics: Sendable, Equatable, Decodable {
  /// Of the elements of the int8 input tensor, in its steps.
  package enum Feature: String, Sendable, Hashable, CaseIterable {
    case mean, deviation, minimum, maximum
    /// Share of the elements at the zero point, 0...1: of a chain that fills the background, how little body there is.
    case atZero = "at_zero"
  }

  /// Features of one input that lie beyond what training knew.
  package struct Position: Sendable, Equatable {
    package var below: Set<Feature> = []
    package var above: Set<Feature> = []

    package init(below: Set<Feature> = [], above: Set<Feature> = []) {
      self.below = below
      self.above = above
    }
  }

  /// The 1 % and the 99 % quantile of the training captures, of every feature.
  package let ranges: [Feature: ClosedRange<Double>]

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let written = try container.decode([String: [Double]].self)
    var ranges: [Feature: ClosedRange<Double>] = [:]
    for feature in Feature.allCases {
      let ends = written[feature.rawValue] ?? []
      guard ends.count == 2, ends[0].isFinite, ends[1].isFinite, ends[0] <= ends[1] else {
        throw DecodingError.dataCorruptedError(
          in: container, debugDescription: "\(feature.rawValue): \(ends); expected two rising numbers")
      }
      ranges[feature] = ends[0]...ends[1]
    }
    guard written.count == ranges.count else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\(written.keys.sorted()); expected the features only")
    }
    self.ranges = ranges
  }

  /// - Parameter tensor: one element or more.
  func position(of tensor: [Int8], zeroPoint: Int) -> Position {
    var position = Position()
    for (feature, value) in Self.values(of: tensor, zeroPoint: zeroPoint) {
      guard let range = ranges[feature] else { continue }
      if value < range.lowerBound { position.below.insert(feature) }
      if value > range.upperBound { position.above.insert(feature) }
    }
    return position
  }

  static func values(of tensor: [Int8], zeroPoint: Int) -> [Feature: Double] {
    let count = Double(max(tensor.count, 1))
    let (sum, squares) = tensor.reduce((0, 0)) { ($0.0 + Int($1), $0.1 + Int($1) * Int($1)) }
    let mean = Double(sum) / count
    return [
      .mean: mean, .deviation: max(Double(squares) / count - mean * mean, 0).squareRoot(),
      .minimum: Double(tensor.min() ?? 0), .maximum: Double(tensor.max() ?? 0),
      .atZero: Double(tensor.count { Int($0) == zeroPoint }) / count,
    ]
  }
}

/// Counts, since the start, of how many scored captures lay beyond what the model's training knew. Of captures like those of the
/// training one in a hundred does on each side of each feature.
package struct InputDrift: Sendable, Equatable {
  package let model: String
  package private(set) var captures = 0
  package private(set) var below: [InputStatistics.Feature: Int] = [:]
  package private(set) var above: [InputStatistics.Feature: Int] = [:]

  package init(model: String) { self.model = model }

  package mutating func add(_ position: InputStatistics.Position) {
    captures += 1
    for feature in position.below { below[feature, default: 0] += 1 }
    for feature in position.above { above[feature, default: 0] += 1 }
  }
}
