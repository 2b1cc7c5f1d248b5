import Inference
import Provenance

/// The proof that this device computes what the model's makers saw: the golden frames through the chain and the golden
/// inputs through the engine, every byte compared.
package struct ModelVerification: Sendable, Equatable {
  /// Golden samples.
  package let samples: Int
  /// Bytes of input tensors and of outputs that were compared and found equal.
  package let inputBytes: Int
  package let outputBytes: Int
  /// Whether what decides differs between the samples: a network that does not look at its input says the same of each.
  package let hasVaryingOutput: Bool
  /// The kernels that ran.
  package let kernels: String

  /// Reads the file of that path, relative to the model's folder, refusing more than so many bytes.
  package typealias Reader = (_ path: String, _ maximumBytes: Int) throws -> [UInt8]

  /// - Parameter read: does the input; what it throws passes through.
  /// - Throws: `ModelManifestError` with the first difference, `ModelError`, `PreprocessingError`,
  ///   `NumPyArray.FormatError`, or what `read` throws.
  package init(
    _ manifest: ModelManifest, kernels: KernelChoice = .automatic, digests: some MessageDigests, read: Reader
  ) throws {
    let network = try Self.file(manifest.model, field: "model", digests: digests, read: read)
    let interpreter = try Interpreter(model: Model(bytes: network), kernels: kernels)
    try Self.compare(interpreter.inputs, [manifest.input.tensor], field: "input.tensor")
    try Self.compare(interpreter.outputs, manifest.outputs.map(\.tensor), field: "outputs")

    func array(_ file: ModelManifest.File, _ field: String, _ shape: [Int]) throws -> NumPyArray {
      let array = try NumPyArray(file: Self.file(file, field: field, digests: digests, read: read))
      guard Array(array.shape.dropFirst()) == shape else {
        throw ModelManifestError(field: field, found: "\(array.shape)", expected: "[N] + \(shape)")
      }
      return array
    }
    let input = try array(manifest.golden.input, "golden.input", manifest.input.tensor.shape)
    let size = manifest.input.tensor.shape.reduce(1, *)
    let count = input.shape[0]
    guard input.element == .int8, count > 0 else {
      throw ModelManifestError(
        field: "golden.input", found: "\(input.element) \(input.shape)", expected: "int8 samples")
    }
    if let file = manifest.golden.frames, let chain = manifest.preprocessing {
      let shape = [PreprocessingChain.modelGeometry.rows, PreprocessingChain.modelGeometry.columns]
      let frames = try array(file, "golden.frames", shape)
      guard frames.element == .float32, frames.shape[0] == count else {
        throw ModelManifestError(
          field: "golden.frames", found: "\(frames.element) \(frames.shape)", expected: "\(count) float32 frames")
      }
      for sample in 0..<count {
        let made = try chain.apply(toCelsius: Self.float32(frames, sample: sample, count: shape.reduce(1, *))).tensor
        let expected = input.bytes[sample * size..<(sample + 1) * size]
        try Self.requireEqual(
          made.map { UInt8(bitPattern: $0) }, Array(expected), field: "golden.input, sample \(sample)")
      }
    }
    if let file = manifest.golden.counters, let channels = manifest.input.channels {
      let counters = try array(file, "golden.counters", manifest.input.tensor.shape)
      guard counters.element == .int64, counters.shape[0] == count else {
        throw ModelManifestError(
          field: "golden.counters", found: "\(counters.element) \(counters.shape)", expected: "\(count) int64 windows")
      }
      let encoding = WindowEncoding(channels: channels)
      for sample in 0..<count {
        let window = Self.int64(counters, sample: sample, count: size)
        try Self.requireEqual(
          encoding.encode(window).map { UInt8(bitPattern: $0) },
          Array(input.bytes[sample * size..<(sample + 1) * size]),
          field: "golden.input, sample \(sample)")
      }
    }
    var classifier: (SubspaceClassifier, NumPyArray)?
    if let subspaces = manifest.subspaces, let file = manifest.golden.residuals {
      let bases = try NumPyArray(
        file: Self.file(subspaces.bases, field: "subspaces.bases", digests: digests, read: read))
      classifier = (
        try SubspaceClassifier(subspaces, bases: bases, features: manifest.outputs[subspaces.output].tensor),
        try array(file, "golden.residuals", [subspaces.labels.count])
      )
    }
    let outputs = try zip(manifest.golden.outputs.indices, manifest.golden.outputs).map {
      try array($1, "golden.outputs[\($0)]", manifest.outputs[$0].tensor.shape)
    }
    var deciding: Set<[UInt8]> = []
    for sample in 0..<count {
      let computed = interpreter.invoke([Array(input.bytes[sample * size..<(sample + 1) * size])])
      for (index, bytes) in computed.enumerated() {
        let expected = outputs[index].bytes.dropFirst(sample * bytes.count).prefix(bytes.count)
        try Self.requireEqual(bytes, Array(expected), field: "golden.outputs[\(index)], sample \(sample)")
      }
      deciding.insert(Self.deciding(computed, manifest))
      if let (classifier, residuals) = classifier {
        let features = computed[classifier.output].map(Int8.init(bitPattern:))
        let found = classifier.residuals(of: features)
        let expected = Self.int64(residuals, sample: sample, count: found.count)
        guard found == expected else {
          throw ModelManifestError(
            field: "golden.residuals, sample \(sample)", found: "\(found)", expected: "\(expected)")
        }
      }
    }
    samples = count
    hasVaryingOutput = deciding.count > 1
    let isMadeHere = manifest.golden.frames != nil || manifest.golden.counters != nil
    inputBytes = isMadeHere ? input.bytes.count : 0
    outputBytes = outputs.reduce(0) { $0 + $1.bytes.count }
    self.kernels = interpreter.kernels
  }

  /// What of the outputs a verdict or a gate rests on.
  private static func deciding(_ outputs: [[UInt8]], _ manifest: ModelManifest) -> [UInt8] {
    if let decision = manifest.decision { return [outputs[decision.output][decision.element]] }
    return outputs[manifest.acceptance?.output ?? 0]
  }

  private static func file(
    _ file: ModelManifest.File, field: String, digests: some MessageDigests, read: Reader
  ) throws -> [UInt8] {
    let bytes = try read(file.path, file.bytes)
    guard bytes.count == file.bytes else {
      throw ModelManifestError(
        field: "\(field).bytes", found: "\(bytes.count) in \(file.path)", expected: "\(file.bytes)")
    }
    let digest = Hexadecimal.text(of: digests.sha256(bytes))
    guard digest == file.sha256 else {
      throw ModelManifestError(
        field: "\(field).sha256", found: "\(digest) in \(file.path)", expected: "\(file.sha256); fetch the file again")
    }
    return bytes
  }

  private static func compare(
    _ tensors: [TensorInfo], _ expected: [ModelManifest.Tensor], field: String
  ) throws(ModelManifestError) {
    guard tensors.count == expected.count else {
      throw ModelManifestError(field: field, found: "\(tensors.count) in the file", expected: "\(expected.count)")
    }
    for (tensor, entry) in zip(tensors, expected) {
      guard tensor.agrees(with: entry) else {
        throw ModelManifestError(
          field: field,
          found: "\(tensor.type) \(tensor.shape), scale \(tensor.scale), zero point \(tensor.zeroPoint) in the file",
          expected: "int8 [1] + \(entry.shape), scale \(entry.scale), zero point \(entry.zeroPoint)")
      }
    }
  }

  private static func requireEqual(_ found: [UInt8], _ expected: [UInt8], field: String) throws(ModelManifestError) {
    guard found.count == expected.count else {
      throw ModelManifestError(field: field, found: "\(found.count) bytes", expected: "\(expected.count)")
    }
    if let index = found.indices.first(where: { found[$0] != expected[$0] }) {
      throw ModelManifestError(
        field: "\(field), element \(index)", found: "\(Int8(bitPattern: found[index]))",
        expected: "\(Int8(bitPattern: expected[index]))")
    }
  }

  private static func float32(_ array: NumPyArray, sample: Int, count: Int) -> [Float] {
    (0..<count).map { index in
      let at = (sample * count + index) * 4
      let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(array.bytes[at + $1]) << UInt32(8 * $1) }
      return Float(bitPattern: bits)
    }
  }

  private static func int64(_ array: NumPyArray, sample: Int, count: Int) -> [Int] {
    (0..<count).map { index in
      let at = (sample * count + index) * 8
      let bits = (0..<8).reduce(UInt64(0)) { $0 | UInt64(array.bytes[at + $1]) << UInt64(8 * $1) }
      return Int(Int64(bitPattern: bits))
    }
  }
}
