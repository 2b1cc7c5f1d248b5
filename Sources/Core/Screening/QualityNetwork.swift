import Inference
import Thermography

/// A quality model ready to run: what is wrong with a capture, if anything, and which view it shows.
package struct QualityNetwork {
  package let manifest: ModelManifest
  private let preprocessing: PreprocessingChain
  private let acceptance: ModelManifest.Acceptance
  private let interpreter: Interpreter

  /// What the network says of one thermogram.
  package struct Judgement: Sendable, Equatable {
    /// Probability of the accepted labels, 0...1, in steps of 1/256.
    package let acceptance: Double
    /// What `acceptance` has to reach.
    package let minimum: Double
    /// The likeliest label of the accepting output, such as `good` or `motion`.
    package let label: String
    /// The likeliest view, when the model tells views apart.
    package let view: String?

    package var isAccepted: Bool { acceptance >= minimum }
  }

  /// - Parameters:
  ///   - manifest: of purpose `quality`.
  ///   - modelFile: the bytes of its `.tflite`; the caller has compared their SHA-256 with the manifest's.
  package init(
    manifest: ModelManifest, modelFile: [UInt8], kernels: KernelChoice = .automatic
  ) throws(ScreeningError) {
    guard manifest.purpose == .quality, let preprocessing = manifest.preprocessing,
      let acceptance = manifest.acceptance
    else {
      throw .model(
        id: manifest.id, reason: "its manifest is for \(manifest.purpose.rawValue); expected a quality model")
    }
    do throws(ModelError) {
      interpreter = try Interpreter(model: Model(bytes: modelFile), kernels: kernels)
    } catch {
      throw .model(id: manifest.id, reason: "\(error)")
    }
    let tensors = interpreter.inputs + interpreter.outputs
    let expected = [manifest.input.tensor] + manifest.outputs.map(\.tensor)
    guard tensors.count == expected.count, zip(tensors, expected).allSatisfy({ $0.agrees(with: $1) }) else {
      throw .model(
        id: manifest.id, reason: "the tensors of its file are not those of its manifest; expected equal shapes, int8")
    }
    self.manifest = manifest
    self.preprocessing = preprocessing
    self.acceptance = acceptance
  }

  /// - Parameter celsius: 768 values row by row, degC, no pixel missing.
  package func judge(_ celsius: [Float]) throws(PreprocessingError) -> Judgement {
    let input = try preprocessing.apply(toCelsius: celsius).tensor
    let outputs = interpreter.invoke([input.map(UInt8.init(bitPattern:))])
      .map { $0.map { Int(Int8(bitPattern: $0)) + 128 } }
    let entry = manifest.outputs[acceptance.output]
    let accepted = zip(entry.labels, outputs[acceptance.output]).reduce(0) { sum, pair in
      acceptance.accepted.contains(pair.0) ? sum + pair.1 : sum
    }
    var view: String?
    if let index = manifest.outputs.firstIndex(where: { $0.tensor.name == "view" }) {
      view = manifest.outputs[index].labels[Self.largest(of: outputs[index])]
    }
    return Judgement(
      acceptance: Double(accepted) / 256, minimum: Double(acceptance.minimum) / 256,
      label: entry.labels[Self.largest(of: outputs[acceptance.output])], view: view)
  }

  /// The first index of the largest value.
  private static func largest(of values: [Int]) -> Int {
    values.indices.max { values[$0] < values[$1] || (values[$0] == values[$1] && $0 > $1) } ?? 0
  }
}

extension TensorInfo {
  /// Whether the file's tensor is the int8 one that the manifest describes.
  func agrees(with entry: ModelManifest.Tensor) -> Bool {
    type == .int8 && Array(shape.dropFirst()) == entry.shape && scale == Float(entry.scale)
      && zeroPoint == entry.zeroPoint
  }
}
