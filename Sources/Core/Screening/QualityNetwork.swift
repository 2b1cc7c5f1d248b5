import Inference
import Thermography

/// A quality model ready to run: what is wrong with a capture, if anything, and which view it shows.
///
/// The network judges the thermogram and its mirror image and the two judgements are averaged, so that a capture and
/// its mirror image are judged alike.
package struct QualityNetwork {
  package let manifest: ModelManifest
  /// SHA-256 of the manifest's file; nil where it is not known.
  package let unitSHA256: String?
  private let preprocessing: PreprocessingChain
  private let acceptance: ModelManifest.Acceptance
  private let interpreter: Interpreter

  /// One label of the accepting output and its probability, 0...1.
  package struct Score: Sendable, Equatable {
    package let label: String
    package let probability: Double
  }

  /// What the network says of one thermogram.
  package struct Judgement: Sendable, Equatable {
    /// Probability of the accepted labels together, 0...1.
    package let acceptance: Double
    /// What `acceptance` has to reach.
    package let minimum: Double
    /// All labels of the accepting output (`good`, `motion` ...) in the model's order; they add up to about 1.
    package let scores: [Score]
    /// The likeliest label among those that are not accepted.
    package let fault: String
    /// The views by the names of `CaptureView`, when the model tells them apart; of no use without a torso.
    package let views: [Score]
    /// What the declared view has to reach; nil when the model asks nothing of it.
    package let viewMinimum: Double?

    package var isAccepted: Bool { acceptance >= minimum }
    /// The likeliest view.
    package var view: String? { QualityNetwork.largest(of: views)?.label }

    /// Whether the picture may show what was asked for.
    package func shows(_ view: CaptureView) -> Bool {
      guard let viewMinimum, let score = views.first(where: { $0.label == view.rawValue }) else { return true }
      return score.probability >= viewMinimum
    }

    /// The gate `quality`: the probability that the capture can be used, against the model's own minimum, or, of one
    /// that can be, the probability that it shows `view`. Its sentence is that of the gate that measures the likeliest
    /// fault, where there is one, or says what the picture looks like.
    package func gate(
      for view: CaptureView = .frontal, severity: QualityGate.Severity = .hard, in sentences: SentenceBook = .english
    ) -> QualityGate {
      let isWrongView = isAccepted && !shows(view)
      let declared = views.first { $0.label == view.rawValue }?.probability ?? 0
      let key =
        isWrongView
        ? "gate.quality.looks-\(self.view ?? "")" : isAccepted ? "gate.quality.passed" : Self.key(ofFault: fault)
      return QualityGate(
        code: .quality, value: ((isWrongView ? declared : acceptance) * 1000).rounded() / 1000,
        limit: isWrongView ? viewMinimum ?? 0 : minimum, unit: "1", severity: severity,
        passed: isAccepted && !isWrongView, sentence: sentences.sentence(key))
    }

    /// The sentence of what the network's label names.
    static func key(ofFault label: String) -> String {
      let code: QualityGate.Code
      switch label {
      case "no-torso": code = .subjectPresent
      case "off-centre": code = .offCentre
      case "too-far": code = .tooFar
      case "too-near": code = .tooNear
      case "motion": code = .motion
      case "covered": code = .clothed
      case "hot-object": code = .hotObject
      case "cold-lens": code = .lens
      case "defect": code = .deadPixels
      case "two-people", "pose": return "gate.quality.\(label)"
      default: code = .quality
      }
      return "gate.\(code.rawValue).failed"
    }
  }

  /// - Parameters:
  ///   - manifest: of purpose `quality`.
  ///   - modelFile: the bytes of its `.tflite`; the caller has compared their SHA-256 with the manifest's.
  ///   - kernels: which kernels to run; `automatic` in the field.
  package init(
    manifest: ModelManifest, modelFile: [UInt8], unitSHA256: String? = nil, kernels: KernelChoice = .automatic
  ) throws(ScreeningError) {
    guard manifest.purpose == .quality, let preprocessing = manifest.preprocessing,
      let acceptance = manifest.acceptance
    else {
      throw .model(
        id: manifest.id, reason: "its manifest is for \(manifest.purpose.rawValue); expected a quality model")
    }
    self.manifest = manifest
    self.unitSHA256 = unitSHA256
    self.preprocessing = preprocessing
    self.acceptance = acceptance
    interpreter = try manifest.interpreter(modelFile: modelFile, kernels: kernels)
  }

  /// Judges one thermogram.
  ///
  /// - Parameters:
  ///   - celsius: values row by row, degC, no pixel missing.
  ///   - geometry: of the thermogram; without one, the model's own.
  package func judge(
    _ celsius: [Float], _ geometry: SensorGeometry = PreprocessingChain.modelGeometry
  ) throws(ScreeningError) -> Judgement {
    let plain = try probabilities(of: celsius, geometry)
    let mirrored = try probabilities(of: Self.mirror(celsius, columns: geometry.columns), geometry)
    let entry = manifest.outputs[acceptance.output]
    let scores = entry.labels.indices.map { index in
      Score(
        label: entry.labels[index],
        probability: (plain[acceptance.output][index] + mirrored[acceptance.output][index]) / 2)
    }
    let accepted = scores.filter { acceptance.accepted.contains($0.label) }
    let refused = scores.filter { !acceptance.accepted.contains($0.label) }
    return Judgement(
      acceptance: accepted.reduce(0) { $0 + $1.probability }, minimum: Double(acceptance.minimum) / 256,
      scores: scores, fault: Self.largest(of: refused)?.label ?? "", views: views(plain: plain, mirrored: mirrored),
      viewMinimum: acceptance.view.map { Double($0.minimum) / 256 })
  }

  /// The outputs of the network as probabilities, in the model's order.
  private func probabilities(of celsius: [Float], _ geometry: SensorGeometry) throws(ScreeningError) -> [[Double]] {
    let input: [Int8]
    do throws(PreprocessingError) {
      input = try preprocessing.apply(toCelsius: celsius, geometry).tensor
    } catch {
      throw .thermogram("\(error)")
    }
    return zip(interpreter.invoke([input.map(UInt8.init(bitPattern:))]), manifest.outputs).map { bytes, output in
      bytes.map { output.tensor.scale * Double(Int(Int8(bitPattern: $0)) - output.tensor.zeroPoint) }
    }
  }

  private func views(plain: [[Double]], mirrored: [[Double]]) -> [Score] {
    guard let index = acceptance.view?.output ?? manifest.outputs.firstIndex(where: { $0.tensor.name == "view" })
    else { return [] }
    let labels = manifest.outputs[index].labels
    return labels.enumerated().map { position, label in
      // What is a left oblique here is a right oblique in the mirror image.
      let other = labels.firstIndex(of: Self.mirroredView(label)) ?? position
      return Score(label: label, probability: (plain[index][position] + mirrored[index][other]) / 2)
    }
  }

  static func mirroredView(_ label: String) -> String {
    if label.hasPrefix("left-") { return "right-" + label.dropFirst(5) }
    if label.hasPrefix("right-") { return "left-" + label.dropFirst(6) }
    return label
  }

  static func mirror(_ celsius: [Float], columns: Int) -> [Float] {
    celsius.indices.map { celsius[$0 / columns * columns + (columns - 1 - $0 % columns)] }
  }

  /// The first of the largest.
  fileprivate static func largest(of scores: [Score]) -> Score? {
    scores.max { $0.probability < $1.probability }
  }
}

extension ModelManifest {
  /// The network of this manifest, its tensors checked against the manifest's.
  package func interpreter(modelFile: [UInt8], kernels: KernelChoice) throws(ScreeningError) -> Interpreter {
    let interpreter: Interpreter
    do throws(ModelError) {
      interpreter = try Interpreter(model: Model(bytes: modelFile), kernels: kernels)
    } catch {
      throw .model(id: id, reason: "\(error)")
    }
    let found = interpreter.inputs + interpreter.outputs
    let expected = [input.tensor] + outputs.map(\.tensor)
    guard interpreter.inputs.count == 1, found.count == expected.count,
      zip(found, expected).allSatisfy({ $0.agrees(with: $1) })
    else {
      throw .model(
        id: id, reason: "the tensors of its file are not those of its manifest; expected equal shapes, int8")
    }
    return interpreter
  }
}
