import Inference
import Thermography

/// A screening model ready to run: manifest and network, checked against each other.
package struct ScreeningNetwork {
  package let manifest: ModelManifest
  private let preprocessing: PreprocessingChain
  private let decision: ModelManifest.Decision
  private let interpreter: Interpreter
  private let subspaces: SubspaceClassifier?

  /// - Parameters:
  ///   - manifest: of purpose `screening`, or of `comparison` with a decision.
  ///   - modelFile: the bytes of its `.tflite`; the caller has compared their SHA-256 with the manifest's.
  ///   - bases: the bytes of the manifest's `subspaces.bases`, compared likewise; required when it names them.
  ///   - kernels: which kernels to run; `automatic` in the field.
  package init(
    manifest: ModelManifest, modelFile: [UInt8], bases: [UInt8]? = nil, kernels: KernelChoice = .automatic
  ) throws(ScreeningError) {
    guard let preprocessing = manifest.preprocessing, let decision = manifest.decision else {
      throw .model(id: manifest.id, reason: "its manifest has no preprocessing or no decision; expected both")
    }
    subspaces = try Self.classifier(of: manifest, bases: bases)
    self.manifest = manifest
    self.preprocessing = preprocessing
    self.decision = decision
    interpreter = try manifest.interpreter(modelFile: modelFile, kernels: kernels)
  }

  private static func classifier(
    of manifest: ModelManifest, bases: [UInt8]?
  ) throws(ScreeningError) -> SubspaceClassifier? {
    guard let entry = manifest.subspaces else { return nil }
    guard let bases, entry.labels.count == 2 else {
      throw .model(id: manifest.id, reason: "its manifest names subspaces; expected two classes and the file of bases")
    }
    do {
      return try SubspaceClassifier(
        entry, bases: NumPyArray(file: bases), features: manifest.outputs[entry.output].tensor)
    } catch {
      throw .model(id: manifest.id, reason: "\(error)")
    }
  }

  /// The probabilities at the two ends of the uncertain band.
  package var thresholds: Verdict.Thresholds {
    Verdict.Thresholds(
      lower: decision.calibration.probability(ofRaw: decision.thresholds.lowerRaw),
      upper: decision.calibration.probability(ofRaw: decision.thresholds.upperRaw))
  }

  /// Runs the network on one thermogram and fills in what it says.
  package func screen(_ thermogram: Thermogram, into verdict: inout Verdict) throws(ScreeningError) {
    let input: [Int8]
    do throws(PreprocessingError) {
      input = try preprocessing.apply(toCelsius: thermogram.celsius).tensor
    } catch {
      throw .thermogram("\(error)")
    }
    let outputs = interpreter.invoke([input.map(UInt8.init(bitPattern:))])
    let output = outputs[decision.output].map(Int8.init(bitPattern:))
    let raw = output[decision.element]
    let tensor = manifest.outputs[decision.output].tensor
    verdict.rawOutput = output
    verdict.score = tensor.scale * Double(Int(raw) - tensor.zeroPoint)
    verdict.probability = decision.calibration.probability(ofRaw: raw)
    switch decision.thresholds.band(ofRaw: raw) {
    case .belowThreshold: verdict.outcome = .belowThreshold
    case .aboveThreshold: verdict.outcome = .aboveThreshold
    case .uncertain:
      verdict.outcome = .uncertain
      verdict.reasons = ["the score lies in the band in which the model does not decide"]
    }
    guard let subspaces, verdict.outcome != .uncertain else { return }
    // The second of the two classes is the one that a high score speaks for.
    let second = subspaces.label(of: outputs[subspaces.output].map(Int8.init(bitPattern:))) == 1
    if second != (verdict.outcome == .aboveThreshold) {
      verdict.outcome = .uncertain
      verdict.reasons = ["the network and the subspace classifier disagree"]
    }
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
