import Foundation
import Testing
import Thermography

@testable import Screening

/// Where a network's inputs lie beside those of its training, and what its probability is said of.
@Suite struct InputStatisticsTests {
  private static let whole: [String: [Double]] = [
    "mean": [-1, 1], "deviation": [2, 3], "minimum": [-9, -4], "maximum": [5, 9], "at_zero": [0.1, 0.5],
  ]

  private func statistics(_ ranges: [String: [Double]]) throws -> InputStatistics {
    try JSONDecoder().decode(InputStatistics.self, from: JSONSerialization.data(withJSONObject: ranges))
  }

  @Test func featuresAreThoseOfTheElements() {
    let values = InputStatistics.values(of: [-4, 0, 0, 8], zeroPoint: 0)
    #expect(values[.mean] == 1 && values[.minimum] == -4 && values[.maximum] == 8 && values[.atZero] == 0.5)
    #expect(values[.deviation] == 19.0.squareRoot())
    #expect(InputStatistics.values(of: [3, 3], zeroPoint: 3)[.atZero] == 1)
  }

  @Test func whatLiesBeyondIsNamedOnItsSide() throws {
    let statistics = try statistics(Self.whole)
    // The ends themselves are within.
    #expect(statistics.position(of: [-4, 0, 0, 5, -1], zeroPoint: 0) == .init(below: [], above: []))
    let far = statistics.position(of: Array(repeating: 100, count: 8), zeroPoint: 0)
    #expect(far == .init(below: [.deviation, .atZero], above: [.mean, .minimum, .maximum]))
    var drift = InputDrift(model: "m")
    drift.add(far)
    drift.add(.init())
    #expect(drift.captures == 2 && drift.above[.mean] == 1 && drift.below[.atZero] == 1 && drift.below[.mean] == nil)
  }

  @Test func aTableThatIsNotWholeIsRefused() throws {
    for change in [
      ["mean": nil], ["mean": [1]], ["mean": [1, 0]], ["colour": [0, 1]], ["at_zero": [0, 1, 2]],
    ] as [[String: [Double]?]] {
      var ranges = Self.whole
      for (key, value) in change { ranges[key] = value }
      #expect(throws: DecodingError.self, "\(change)") { try statistics(ranges) }
    }
  }

  /// Nearly all captures like those of the training lie within; pictures of something else do not.
  @Test func theShippedModelKnowsItsTraining() throws {
    let manifest = try ShippedModels.manifest("screening-fold")
    let statistics = try #require(manifest.input.statistics)
    let chain = try #require(manifest.preprocessing)
    let frames = try OverclaimFrames().frames
    var drift = InputDrift(model: manifest.id)
    var spread = InputDrift(model: manifest.id)
    for frame in frames {
      // A chain may withhold a picture; it is not scored, and not counted.
      guard let tensor = try? chain.apply(toCelsius: frame.celsius).tensor else { continue }
      drift.add(statistics.position(of: tensor, zeroPoint: 0))
      // The same with twice the contrast: another camera, or another protocol.
      spread.add(
        statistics.position(of: tensor.map { Int8(clamping: 2 * Int($0)) }, zeroPoint: 0))
    }
    #expect(drift.captures >= 140)
    for feature in InputStatistics.Feature.allCases {
      let outside = (drift.below[feature] ?? 0) + (drift.above[feature] ?? 0)
      #expect(outside <= drift.captures * 6 / 100, "\(feature): \(outside) of \(drift.captures)")
    }
    #expect((spread.above[.deviation] ?? 0) > spread.captures / 4, "\(spread)")
  }

  @Test func theProbabilityNamesItsPopulation() throws {
    for name in ["screening-fold", "salvi-cnn", "kalva-resnet", "bagheri-hosvd"] {
      let population = try #require(try ShippedModels.manifest(name).decision?.population, "\(name)")
      #expect(population.prevalence == 0.5 && population.description.contains("no people"), "\(name)")
    }
    let manifest = try ShippedModels.manifest("screening-fold")
    let network = try ScreeningNetwork(
      manifest: manifest, modelFile: ShippedModels.reader("screening-fold")(manifest.model.path, 1 << 24))
    let assessor = Assessor(network: network)
    let frames = try OverclaimFrames().frames.prefix(20)
    var scored = 0
    for frame in frames {
      let assessment = assessor.assess(.init(celsius: frame.celsius, ambientCelsius: 24), conditions: .init())
      let verdict = assessment.verdict
      // Never one without the other.
      #expect((verdict.probability == nil) == (verdict.probabilityPopulation == nil))
      #expect((verdict.probability == nil) == (assessment.inputs == nil))
      if verdict.probability != nil {
        scored += 1
        #expect(verdict.probabilityPopulation == manifest.decision?.population)
      }
    }
    #expect(scored >= 10)
    // Without a picture that can be assessed there is neither.
    let even = assessor.assess(
      .init(celsius: Array(repeating: 30, count: 768), ambientCelsius: 24), conditions: .init())
    #expect(even.verdict.probability == nil && even.verdict.probabilityPopulation == nil && even.inputs == nil)
  }

  @Test func aDecisionThatPointsNowhereIsRefusedOfEveryPurpose() throws {
    for name in ["screening-fold", "kalva-resnet"] {
      let file = ShippedModels.directory.appending(path: "\(name)/manifest.json")
      let whole = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
      for (key, value) in [
        ("output", 7), ("element", 99), ("population", ["description": "p", "prevalence": 0.5]),
        ("population", ["description": "drawn bodies", "prevalence": 1.5]),
      ] as [(String, Any)] {
        var object = whole
        var decision = try #require(whole["decision"] as? [String: Any])
        decision[key] = value
        object["decision"] = decision
        #expect(throws: ModelManifestError.self, "\(name), \(key)") {
          try ModelManifest(json: [UInt8](JSONSerialization.data(withJSONObject: object)))
        }
      }
    }
  }
}
