import DeviceSimulation
import Foundation
import Testing
import Thermography

/// The simulated scenes are drawn from the parameters of the synthetic thermograms, and look like them.
@Suite struct SceneParametersTests {
  private static let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Models/training/thermograms/parameters.json")

  @Test func parametersAreThoseOfTheTraining() throws {
    typealias P = SceneParameters
    let copies: [String: [String: [Double]]] = [
      "geometry": [
        "body_share": P.Geometry.bodyShare.values, "midline_column": P.Geometry.midlineColumn.values,
        "lean_columns_per_row": P.Geometry.leanColumnsPerRow.values, "waist": P.Geometry.waist.values,
        "arms": P.Geometry.arms.values, "shoulder_row": P.Geometry.shoulderRow.values,
        "neck_share": P.Geometry.neckShare.values, "breast_row": P.Geometry.breastRow.values,
        "breast_angle_degrees": P.Geometry.breastAngleDegrees.values,
        "breast_radius": P.Geometry.breastRadius.values,
      ],
      "temperature": [
        "body_mean": P.Temperature.bodyMean.values,
        "body_minus_background": P.Temperature.bodyMinusBackground.values, "body_sd": P.Temperature.bodySD.values,
      ],
      "anatomy": [
        "sternum": P.Anatomy.sternum.values, "neck_and_axilla": P.Anatomy.neckAndAxilla.values,
        "inframammary_fold": P.Anatomy.inframammaryFold.values, "breast": P.Anatomy.breast.values,
        "nipple": P.Anatomy.nipple.values, "waist": P.Anatomy.waist.values,
        "limb_cooling": P.Anatomy.limbCooling.values, "low_frequency": P.Anatomy.lowFrequency.values,
      ],
      "asymmetry": [
        "mean_difference": P.Asymmetry.meanDifference.values, "difference_sd": P.Asymmetry.differenceSD.values,
        "coarse_length": P.Asymmetry.coarseLength.values, "fine_length": P.Asymmetry.fineLength.values,
        "fine_share": P.Asymmetry.fineShare.values,
      ],
      "vessels": [
        "count_each_side": P.Vessels.countEachSide.values, "warming": P.Vessels.warming.values,
        "width": P.Vessels.width.values,
      ],
    ]
    let document = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: Self.file)) as? [String: Any])
    for (group, entries) in copies {
      let original = try #require(document[group] as? [String: Any], "\(group)")
      for (name, values) in entries {
        #expect(original[name] as? [Double] == values, "\(group).\(name)")
      }
    }
  }

  @Test func marginalGoesThroughItsQuantiles() {
    let marginal = SceneParameters.Marginal(0, 1, 2, 3, 4)
    #expect([0, 0.05, 0.5, 0.95, 1].map(marginal.value(at:)) == [0, 1, 2, 3, 4])
    #expect(abs(marginal.value(at: 0.275) - 1.5) < 1e-12)
  }

  /// The middles of the statistics that the training's generator is held to, with twice its tolerances: 200 scenes.
  @Test func scenesLookLikeTheTrainingData() {
    var shares: [Double] = []
    var midlines: [Double] = []
    var contrasts: [Double] = []
    var deviations: [Double] = []
    var differences: [Double] = []
    for seed in UInt64(1)...200 {
      let shape = TorsoScene.Shape(drawingTemperaturesWithSeed: seed)
      let celsius = TorsoScene(shape).celsius(atMicroseconds: 0)
      let edge = (shape.backgroundCelsius + shape.skinCelsius) / 2
      let body = celsius.indices.filter { celsius[$0] > edge }
      let mean = body.reduce(0.0) { $0 + celsius[$1] } / Double(body.count)
      shares.append(Double(body.count) / 768)
      midlines.append(body.reduce(0.0) { $0 + Double($1 % 32) } / Double(body.count))
      contrasts.append(mean - shape.backgroundCelsius)
      deviations.append(
        (body.reduce(0.0) { $0 + (celsius[$1] - mean) * (celsius[$1] - mean) } / Double(body.count)).squareRoot())
      let axis = Int((midlines[midlines.count - 1] * 2).rounded())
      let pairs = body.compactMap { pixel -> Double? in
        let mirror = axis - pixel % 32
        guard pixel % 32 < mirror, mirror < 32, celsius[pixel / 32 * 32 + mirror] > edge else { return nil }
        return celsius[pixel] - celsius[pixel / 32 * 32 + mirror]
      }
      let offset = pairs.reduce(0, +) / Double(pairs.count)
      differences.append(
        (pairs.reduce(0.0) { $0 + ($1 - offset) * ($1 - offset) } / Double(pairs.count)).squareRoot())
    }
    func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    #expect(abs(median(shares) - 0.74) < 0.08)
    #expect(abs(median(midlines) - 15.5) < 0.7)
    #expect(abs(median(contrasts) - 8.4) < 1.2)
    #expect(abs(median(deviations) - 1.27) < 0.3)
    let meanDifference = differences.reduce(0, +) / Double(differences.count)
    #expect(abs(meanDifference - 0.87) < 0.18, "mean sd of left minus right: \(meanDifference)")
  }

  @Test func aSeedDrawsTheSameSceneAgain() {
    var shape = TorsoScene.Shape()
    shape.seed = 5
    let first = TorsoScene(shape).celsius(atMicroseconds: 0)
    #expect(TorsoScene(shape).celsius(atMicroseconds: 0) == first)
    shape.seed = 6
    #expect(TorsoScene(shape).celsius(atMicroseconds: 0) != first)
  }
}
