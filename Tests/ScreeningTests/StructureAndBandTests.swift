import Screening
import Testing

/// When a model keeps silent: a body flatter than skin, and the sides of a decision that are left out.
@Suite struct StructureAndBandTests {
  private func chain(size: Int = 4, range: Int = 20) throws -> PreprocessingChain {
    try PreprocessingChain(steps: [
      .maskBody(), .requireStructure(size: size, range: range), .subtractMean(.body),
      .quantise(divisor: 5, zeroPoint: 0),
    ])
  }

  /// A body of 20 columns whose temperature changes by `step` centikelvin from pixel to pixel, with a flat patch.
  private func thermogram(step: Int, flat: Int = 0) -> [Int] {
    (0..<768).map { pixel in
      let (row, column) = (pixel / 32, pixel % 32)
      guard (6..<26).contains(column) else { return 29500 }
      if (10..<10 + flat).contains(row) && (10..<10 + flat).contains(column) { return 30500 }
      return 30400 + step * ((row * 3 + column * 5) % 8)
    }
  }

  @Test func flatPatchIsRefusedWhereItLies() throws {
    let chain = try chain()
    #expect(throws: PreprocessingError.structureless(row: 10, column: 10)) {
      _ = try chain.apply(toCentikelvin: thermogram(step: 10, flat: 4))
    }
    #expect(throws: PreprocessingError.structureless(row: 0, column: 6)) {
      _ = try chain.apply(toCentikelvin: thermogram(step: 2))
    }
  }

  @Test func skinWithStructurePasses() throws {
    let plain = try PreprocessingChain(steps: [
      .maskBody(), .subtractMean(.body), .quantise(divisor: 5, zeroPoint: 0),
    ])
    // A smaller flat patch is none, and the step changes nothing.
    for picture in [thermogram(step: 10), thermogram(step: 10, flat: 3)] {
      let guarded = try chain().apply(toCentikelvin: picture)
      let expected = try plain.apply(toCentikelvin: picture)
      #expect(guarded.tensor == expected.tensor)
    }
  }

  /// The mean of the body is then free of the edge, and the fold of its pairs.
  @Test func erosionTakesTheEdgeAway() throws {
    var picture = (0..<768).map { (6..<26).contains($0 % 32) ? 30400 : 29500 }
    for row in 0..<24 { picture[row * 32 + 6] = 30000 }
    func chain(_ steps: [PreprocessingStep]) throws -> [Int8] {
      try PreprocessingChain(
        steps: [.maskBody()] + steps + [.subtractMean(.body), .quantise(divisor: 1, zeroPoint: 0)]
      ).apply(toCentikelvin: picture).tensor
    }
    // 24 of 480 pixels are 400 cooler: the mean lies 20 lower.
    #expect(try chain([])[32 + 15] == 20)
    #expect(try chain([.erodeBody])[32 + 15] == 0)
    #expect(throws: PreprocessingError.self) {
      try PreprocessingChain(steps: [.erodeBody, .quantise(divisor: 5, zeroPoint: 0)])
    }
  }

  @Test func stepNeedsTheBodyAndSensibleNumbers() {
    #expect(throws: PreprocessingError.self) {
      try PreprocessingChain(steps: [.requireStructure(size: 4, range: 20), .quantise(divisor: 5, zeroPoint: 0)])
    }
    for (size, range) in [(1, 20), (9, 20), (4, 0), (4, 1001)] {
      #expect(throws: PreprocessingError.self) { try chain(size: size, range: range) }
    }
  }

  @Test func bandsOfADecision() throws {
    let both = try DecisionThresholds(lowerRaw: -20, upperRaw: 30)
    #expect(
      [-128, -20, -19, 29, 30, 127].map { both.band(ofRaw: $0) }
        == [.belowThreshold, .belowThreshold, .uncertain, .uncertain, .aboveThreshold, .aboveThreshold])
    let neither = try DecisionThresholds(lowerRaw: -128, upperRaw: 127)
    #expect([-128, 0, 127].allSatisfy { neither.band(ofRaw: $0) == .uncertain })
    #expect(throws: ModelManifestError.self) { try DecisionThresholds(lowerRaw: 5, upperRaw: 5) }
  }
}
