import Provenance
import Testing

@testable import Inference

/// The bound of an accumulator rests on these sums, so they are held against one weight at a time.
@Suite struct WeightExtentTests {
  @Test(arguments: [0, 1, 15, 16, 17, 100, 2047, 2048, 2049, 5000], [Int16(0), 5, -128, 127])
  func sumsLikeOneWeightAtATime(count: Int, zeroPoint: Int16) {
    var random = SeededGenerator(seed: UInt64(count))
    let weights = (0..<count).map { _ in Int8.random(in: -128...127, using: &random) }
    expect(weights, zeroPoint)
  }

  /// All weights as far from the zero point as they can be: a lane that is emptied too late overflows here.
  @Test(arguments: [(Int8(-128), Int16(127)), (127, -128), (-128, 0), (-127, 0)])
  func holdsTheFarthestWeights(weight: Int8, zeroPoint: Int16) {
    expect([Int8](repeating: weight, count: 16 * 129 + 3), zeroPoint)
  }

  @Test(arguments: [0, 15, 16, 31, 32, 36])
  func findsTheSmallestAnywhere(position: Int) {
    var weights = [Int8](repeating: 3, count: 37)
    weights[position] = -128
    expect(weights, 0)
  }

  private func expect(_ weights: [Int8], _ zeroPoint: Int16, sourceLocation: SourceLocation = #_sourceLocation) {
    let extent = weights.withUnsafeBytes { WeightExtent(of: $0, zeroPoint: zeroPoint) }
    #expect(
      extent.magnitude == weights.reduce(0) { $0 + abs(Int($1) - Int(zeroPoint)) }, sourceLocation: sourceLocation)
    #expect(extent.smallest == weights.min() ?? 127, sourceLocation: sourceLocation)
  }
}
