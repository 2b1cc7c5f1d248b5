import Foundation
import Inference
import Provenance
import Screening
import Testing
import Thermography

@Suite struct VerdictTests {
  private static let name = "screening-fold"

  private func network(_ change: (inout [String: Any]) -> Void = { _ in }, bases: [UInt8]? = nil) throws
    -> ScreeningNetwork
  {
    let file = ShippedModels.directory.appending(path: Self.name).appending(path: "manifest.json")
    var object = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    change(&object)
    let manifest = try ModelManifest(json: [UInt8](JSONSerialization.data(withJSONObject: object)))
    return try ScreeningNetwork(
      manifest: manifest, modelFile: ShippedModels.reader(Self.name)(manifest.model.path, 1 << 24), bases: bases)
  }

  /// A frame that the model's makers drew: it passes every gate and has the structure of skin.
  private func thermogram(_ change: (inout [Float]) -> Void = { _ in }) throws -> Thermogram {
    var celsius = try goldenFrames()[0]
    change(&celsius)
    return Thermogram(celsius: celsius, ambientCelsius: 24)
  }

  private func goldenFrames() throws -> [[Float]] {
    let manifest = try ShippedModels.manifest(Self.name)
    let array = try NumPyArray(file: ShippedModels.reader(Self.name)(#require(manifest.golden.frames).path, 1 << 24))
    return array.bytes.withUnsafeBytes { bytes in
      (0..<array.shape[0]).map { sample in
        (0..<768).map { bytes.loadUnaligned(fromByteOffset: 4 * (768 * sample + $0), as: Float.self) }
      }
    }
  }

  private var conditions: AcquisitionConditions {
    var conditions = AcquisitionConditions()
    conditions.ambientCelsius = 22
    return conditions
  }

  @Test func aGoodPictureIsScoredAsTheGoldenOutputsSay() throws {
    let manifest = try ShippedModels.manifest(Self.name)
    let outputs = try NumPyArray(file: ShippedModels.reader(Self.name)(manifest.golden.outputs[0].path, 1 << 24))
    let network = try network()
    for (sample, celsius) in try goldenFrames().enumerated() {
      var verdict = Assessor(network: nil).assess(try thermogram(), conditions: conditions).verdict
      try network.screen(Thermogram(celsius: celsius, ambientCelsius: 24), into: &verdict)
      #expect(verdict.rawOutput == [Int8(bitPattern: outputs.bytes[sample])])
    }
  }

  @Test func theBandDecidesAndReasonsAreGivenWhereItDoesNot() throws {
    func outcome(_ lower: Int, _ upper: Int) throws -> Verdict {
      let network = try network { object in
        var decision = object["decision"] as? [String: Any] ?? [:]
        decision["thresholds"] = ["lower": lower, "upper": upper]
        object["decision"] = decision
      }
      return try Assessor(network: network).assess(thermogram(), conditions: conditions).verdict
    }
    let middle = try outcome(-128, 127)
    let raw = Int(try #require(middle.rawOutput.first))
    try #require((-127...126).contains(raw))
    #expect(middle.outcome == .uncertain && !middle.reasons.isEmpty)
    #expect(try outcome(raw, 127).outcome == .belowThreshold)
    #expect(try outcome(-128, raw).outcome == .aboveThreshold)
    #expect(try outcome(raw - 1, raw + 1).outcome == .uncertain)
    #expect(try outcome(raw, raw + 1).reasons.isEmpty)
    #expect(middle.intendedUse == "research use only, not a diagnosis, does not replace mammography")
  }

  @Test func aHardGateWithholdsTheVerdictAndASoftOneDoesNot() throws {
    let network = try network()
    var cold = conditions
    cold.ambientCelsius = 12
    let soft = Assessor(network: network).assess(try thermogram(), conditions: cold)
    #expect(soft.gates.contains { $0.code == .ambientRange && !$0.passed && $0.severity == .soft })
    #expect(soft.verdict.outcome != .notAssessable && soft.verdict.probability != nil)

    var limits = GateLimits()
    limits.hardGates.append(.ambientRange)
    let hard = Assessor(network: network, limits: limits).assess(try thermogram(), conditions: cold)
    #expect(hard.verdict.outcome == .notAssessable && hard.verdict.probability == nil && hard.verdict.rawOutput.isEmpty)
    #expect(hard.verdict.reasons.first?.hasPrefix("ambient-range: The room is too cold (12 degrees)") == true)
    // What was measured is told all the same.
    #expect(hard.verdict.leftRightDifference != nil && hard.verdict.regions?.isEmpty == false)
  }

  @Test func aViewThatTheModelDoesNotKnowIsNotAssessable() throws {
    let assessor = Assessor(network: try network())
    let assessment = assessor.assess(
      try thermogram(), conditions: conditions, context: CaptureContext(view: .leftLateral))
    #expect(assessment.gates.allSatisfy { $0.passed })
    #expect(assessment.verdict.outcome == .notAssessable)
    #expect(assessment.verdict.reasons == ["the model screening-fold was not made for the view left-lateral"])
    #expect(assessment.verdict.leftRightDifference == nil)
  }

  @Test func withoutAModelTheGatesStillSpeak() throws {
    let assessment = Assessor(network: nil).assess(try thermogram(), conditions: conditions)
    #expect(assessment.verdict.outcome == .notAssessable)
    #expect(assessment.verdict.reasons == ["no screening model is configured"])
    #expect(assessment.verdict.session == nil && assessment.verdict.viewScores.isEmpty)
    #expect(assessment.gates.count > 8)
  }

  @Test func theScoresOfASessionGoAlong() throws {
    let assessor = Assessor(network: try network())
    var earlier = Assessor(network: nil).assess(try thermogram(), conditions: conditions).verdict
    earlier.outcome = .aboveThreshold
    earlier.probability = 1
    var scores = SessionScores()
    scores.add(earlier, view: .leftOblique)
    let verdict = assessor.assess(
      try thermogram(), conditions: conditions, context: CaptureContext(view: .frontal, sessionScores: scores)
    ).verdict
    #expect(Set(verdict.viewScores.keys) == ["frontal", "left-oblique"])
    #expect(verdict.session?.outcome == .aboveThreshold)
    #expect(verdict.session?.view == .leftOblique)
    #expect(verdict.outcome != .aboveThreshold || verdict.probability == 1)
  }

  @Test func aDemonstrationModelShowsThePatientNoOutcome() throws {
    // Whatever the network says, what the patient hears is the same to the letter.
    var told: Set<[String]> = []
    var outcomes: Set<Verdict.Outcome> = []
    for (lower, upper) in [(-128, 127), (126, 127), (-128, -127)] {
      let network = try network { object in
        var decision = object["decision"] as? [String: Any] ?? [:]
        decision["thresholds"] = ["lower": lower, "upper": upper]
        object["decision"] = decision
      }
      let assessment = Assessor(network: network).assess(try thermogram(), conditions: conditions)
      outcomes.insert(assessment.verdict.outcome)
      #expect(assessment.verdict.demonstration)
      #expect(assessment.verdict.outcomeForPatient == nil)
      told.insert(assessment.sentencesForPatient(in: .english))
    }
    #expect(outcomes == [.uncertain, .belowThreshold, .aboveThreshold])
    #expect(told == [["The picture is good and is kept for your clinic."]])
  }

  @Test func thePatientHearsWhatToCorrectFirst() throws {
    var torso = SyntheticTorso()
    torso.halfWidth = 5
    var cold = conditions
    cold.ambientCelsius = 12
    let far = Thermogram(celsius: torso.frame(), ambientCelsius: 24)
    let assessment = Assessor(network: try network()).assess(far, conditions: cold)
    let told = assessment.sentencesForPatient(in: .english)
    #expect(
      told == [
        "You are too far away. Come closer.",
        "The picture is kept for your clinic, but it cannot be assessed.",
      ])
  }

  @Test func aDeadCornerIsNoIce() throws {
    var torso = try thermogram()
    for row in 0...2 {
      for column in 0...2 {
        torso.celsius[row * 32 + column] = 0
        torso.states[row * 32 + column] = .invalid
      }
    }
    let assessment = Assessor(network: try network()).assess(torso, conditions: conditions)
    #expect(assessment.gates.allSatisfy { $0.passed })
    #expect(assessment.verdict.probability != nil)
    // With hardly a pixel left there is nothing to judge.
    torso.states = torso.states.indices.map { $0 < 300 ? .measured : .invalid }
    let blind = Assessor(network: try network()).assess(torso, conditions: conditions)
    #expect(
      blind.verdict.outcome == .notAssessable && blind.gates.contains { $0.code == .subjectPresent && !$0.passed })
  }

  // MARK: - Second head

  /// A second head over the one output: its class is decided by the bases alone.
  private func twoHeaded(labels: [String], thresholds: (Int, Int), bases: [Int32]) throws -> ScreeningNetwork {
    let bytes = bases.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * Int32($0))) } }
    let array = NumPyArray(element: .int32, shape: [labels.count, 1, bases.count / labels.count], bytes: bytes)
    return try network(
      { object in
        let digest = String(repeating: "0", count: 64)
        let file: [String: Any] = ["path": "bases.npy", "bytes": 1, "sha256": digest]
        object["subspaces"] = ["output": 0, "unit": 1000, "labels": labels, "bases": file]
        var golden = object["golden"] as? [String: Any] ?? [:]
        golden["residuals"] = file
        object["golden"] = golden
        var decision = object["decision"] as? [String: Any] ?? [:]
        decision["thresholds"] = ["lower": thresholds.0, "upper": thresholds.1]
        object["decision"] = decision
      }, bases: array.file)
  }

  /// With one feature, a basis of 1 leaves no residual and a basis of 0 leaves all of it.
  @Test func aSecondHeadThatDisagreesMakesTheOutcomeUncertain() throws {
    let below = (126, 127)
    let above = (-128, -127)
    let none: [Int32] = [1000, 0]
    let lesion: [Int32] = [0, 1000]
    let table: [((Int, Int), [Int32], Verdict.Outcome, Bool)] = [
      (below, none, .belowThreshold, true), (below, lesion, .uncertain, false),
      (above, lesion, .aboveThreshold, true), (above, none, .uncertain, false),
      ((-128, 127), none, .uncertain, true), ((-128, 127), lesion, .uncertain, true),
    ]
    for (thresholds, bases, outcome, agrees) in table {
      let network = try twoHeaded(labels: ["none", "spot"], thresholds: thresholds, bases: bases)
      let verdict = Assessor(network: network).assess(try thermogram(), conditions: conditions).verdict
      #expect(verdict.outcome == outcome, "\(thresholds) \(bases)")
      let head = try #require(verdict.secondHead)
      #expect(head.agrees == agrees)
      #expect(head.label == (bases == none ? "none" : "spot"))
      #expect(head.residuals == (bases == none ? ["none": 0, "spot": 1_000_000] : ["none": 1_000_000, "spot": 0]))
      if !agrees { #expect(verdict.reasons == ["the model's two heads disagree: the second says \(head.label)"]) }
    }
  }

  @Test func aSecondHeadThatDoesNotFitIsRefusedWhenTheModelIsLoaded() throws {
    #expect(throws: ScreeningError.self) {
      try twoHeaded(labels: ["cold", "warm"], thresholds: (-1, 1), bases: [1000, 0])
    }
    #expect(throws: ScreeningError.self) {
      try twoHeaded(labels: ["none", "spot"], thresholds: (-1, 1), bases: [1000, 0, 0, 0])
    }
    #expect(throws: ScreeningError.self) {
      try twoHeaded(labels: ["none", "spot"], thresholds: (-1, 1), bases: [2000, 0])
    }
  }

  // MARK: - Occlusion

  @Test func theOcclusionMapIsBrightWhereTheModelReacts() throws {
    let network = try network()
    let spot = try thermogram { frame in
      for row in 10...13 {
        for column in 20...22 { frame[row * 32 + column] += 4 }
      }
    }
    let map = try network.occlusionMap(of: spot)
    #expect(map.grey.count == 768)
    try #require(map.peakChange > 0)
    #expect(map.grey.max() == 255)
    // The network folds left on right: what it reacts to is the spot or its mirror place.
    let peak = try #require(map.grey.firstIndex(of: 255))
    #expect((7...16).contains(peak / 32))
    let column = peak % 32
    #expect((16...26).contains(column) || (5...15).contains(column))
    #expect(OcclusionMap.label == "where the model reacted, not where disease is")
  }

  @Test func anEmptyRoomHasNoOcclusionMap() throws {
    let network = try network()
    let empty = Thermogram(celsius: [Float](repeating: 22, count: 768), ambientCelsius: 24)
    #expect(throws: ScreeningError.self) { try network.occlusionMap(of: empty) }
  }
}
