import Inference
import Thermography

/// A screening model ready to run: manifest and network, checked against each other.
package struct ScreeningNetwork {
  package let manifest: ModelManifest
  /// SHA-256 of the manifest's file; nil where it is not known.
  package let unitSHA256: String?
  private let preprocessing: PreprocessingChain
  private let decision: ModelManifest.Decision
  private let interpreter: Interpreter
  private let secondHead: SubspaceClassifier?

  /// - Parameters:
  ///   - manifest: of purpose `screening`, or of `comparison` with a decision.
  ///   - modelFile: the bytes of its `.tflite`; the caller has compared their SHA-256 with the manifest's.
  ///   - bases: the bytes of the manifest's `subspaces.bases`, compared likewise; required when it names them.
  ///   - kernels: which kernels to run; `automatic` in the field.
  package init(
    manifest: ModelManifest, modelFile: [UInt8], bases: [UInt8]? = nil, unitSHA256: String? = nil,
    kernels: KernelChoice = .automatic
  ) throws(ScreeningError) {
    guard let preprocessing = manifest.preprocessing, let decision = manifest.decision else {
      throw .model(id: manifest.id, reason: "its manifest has no preprocessing or no decision; expected both")
    }
    self.manifest = manifest
    self.unitSHA256 = unitSHA256
    self.preprocessing = preprocessing
    self.decision = decision
    interpreter = try manifest.interpreter(modelFile: modelFile, kernels: kernels)
    secondHead = try manifest.secondHead(bases: bases, of: manifest.label(of: decision))
  }

  /// The probabilities at the two ends of the uncertain band.
  package var thresholds: Verdict.Thresholds {
    Verdict.Thresholds(
      lower: decision.calibration.probability(ofRaw: decision.thresholds.lowerRaw),
      upper: decision.calibration.probability(ofRaw: decision.thresholds.upperRaw))
  }

  /// Runs the network on one thermogram and fills in what it says.
  ///
  /// - Returns: where its input lies beside those of the training; nil where the manifest does not know them.
  @discardableResult
  package func screen(
    _ thermogram: Thermogram, into verdict: inout Verdict
  ) throws(ScreeningError) -> InputStatistics.Position? {
    let input = try input(of: thermogram)
    let outputs = outputs(of: input)
    let position = manifest.input.statistics?.position(of: input, zeroPoint: manifest.input.tensor.zeroPoint)
    let output = outputs[decision.output]
    let raw = output[decision.element]
    let tensor = manifest.outputs[decision.output].tensor
    verdict.rawOutput = output
    verdict.score = tensor.scale * Double(Int(raw) - tensor.zeroPoint)
    verdict.probability = decision.calibration.probability(ofRaw: raw)
    verdict.probabilityPopulation = decision.population
    let band = decision.thresholds.band(ofRaw: raw)
    switch band {
    case .belowThreshold: verdict.outcome = .belowThreshold
    case .aboveThreshold: verdict.outcome = .aboveThreshold
    case .uncertain:
      verdict.outcome = .uncertain
      verdict.reasons = ["the score lies in the band in which the model does not decide"]
    }
    guard let secondHead else { return position }
    let opinion = secondHead.opinion(of: outputs[secondHead.output], on: manifest.label(of: decision), band: band)
    verdict.secondHead = opinion
    if !opinion.agrees {
      verdict.outcome = .uncertain
      verdict.reasons = ["the model's two heads disagree: the second says \(opinion.label)"]
    }
    return position
  }

  /// The raw output that the decision rests on.
  package func rawScore(of thermogram: Thermogram) throws(ScreeningError) -> Int8 {
    outputs(of: try input(of: thermogram))[decision.output][decision.element]
  }

  private func input(of thermogram: Thermogram) throws(ScreeningError) -> [Int8] {
    do throws(PreprocessingError) {
      return try preprocessing.apply(toCelsius: thermogram.celsius, thermogram.geometry).tensor
    } catch {
      throw .thermogram("\(error)")
    }
  }

  private func outputs(of input: [Int8]) -> [[Int8]] {
    interpreter.invoke([input.map(UInt8.init(bitPattern:))]).map { $0.map(Int8.init(bitPattern:)) }
  }
}

extension ModelManifest {
  /// The label whose score is the decision's.
  fileprivate func label(of decision: Decision) -> String { outputs[decision.output].labels[decision.element] }

  /// The second head, if the model has one: one of its classes must be what the decision scores.
  fileprivate func secondHead(bases: [UInt8]?, of label: String) throws(ScreeningError) -> SubspaceClassifier? {
    guard let subspaces else { return nil }
    guard let bases else {
      throw .model(id: id, reason: "the bases of its second head are missing; expected \(subspaces.bases.path)")
    }
    guard subspaces.labels.contains(label) else {
      throw .model(
        id: id, reason: "its second head knows \(subspaces.labels); expected one of them to be \"\(label)\"")
    }
    do {
      return try SubspaceClassifier(
        subspaces, bases: NumPyArray(file: bases), features: outputs[subspaces.output].tensor)
    } catch {
      throw .model(id: id, reason: "\(error)")
    }
  }
}

extension SubspaceClassifier {
  /// What this head says of `features`, beside a first head whose score of `decided` lies in `band`. Where the first
  /// does not decide there is nothing to disagree with.
  func opinion(of features: [Int8], on decided: String, band: DecisionThresholds.Band) -> Verdict.SecondHead {
    let residuals = residuals(of: features)
    let nearest = labels[residuals.indices.min { residuals[$0] < residuals[$1] } ?? 0]
    let agrees =
      switch band {
      case .belowThreshold: nearest != decided
      case .aboveThreshold: nearest == decided
      case .uncertain: true
      }
    return Verdict.SecondHead(
      label: nearest, agrees: agrees,
      residuals: Dictionary(zip(labels, residuals), uniquingKeysWith: { first, _ in first }))
  }
}

/// Why there is no model, or no score.
package enum ScreeningError: Error, Sendable, Equatable, CustomStringConvertible {
  case model(id: String, reason: String)
  case thermogram(String)

  package var description: String {
    switch self {
    case .model(let id, let reason): "model \(id): \(reason)"
    case .thermogram(let reason): reason
    }
  }
}

extension TensorInfo {
  /// Whether the file's tensor is the one that a manifest describes: int8, its shape behind the batch axis, its scale
  /// (to the precision of float32) and its zero point.
  func agrees(with expected: ModelManifest.Tensor) -> Bool {
    type == .int8 && Array(shape.dropFirst()) == expected.shape
      && abs(Double(scale) - expected.scale) <= 1e-6 * expected.scale && zeroPoint == expected.zeroPoint
  }
}
