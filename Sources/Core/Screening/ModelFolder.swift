import Inference
import Provenance

/// A model's folder, read and checked: the manifest is valid and the network's bytes are those it names.
package struct ModelFolder: Sendable {
  /// Reads the file of that path, relative to the folder, refusing more than so many bytes.
  package typealias Reader = (_ path: String, _ maximumBytes: Int) throws -> [UInt8]

  package let manifest: ModelManifest
  /// `model.tflite`.
  package let network: [UInt8]

  /// - Parameters:
  ///   - name: the folder's own name, which must be the manifest's `id`.
  ///   - read: does the input; what it throws passes through.
  /// - Throws: `ModelManifestError`, or what `read` throws.
  package init(name: String, digests: some MessageDigests, read: Reader) throws {
    manifest = try ModelManifest(json: try read("manifest.json", ModelManifest.sizeLimitBytes))
    guard manifest.id == name else {
      throw ModelManifestError(field: "id", found: manifest.id, expected: "the folder's name \(name)")
    }
    network = try Self.file(manifest.model, field: "model", digests: digests, read: read)
  }

  static func file(
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
}

/// The proof that this device computes what the model's makers saw: the golden frames through the chain and the golden
/// inputs through the engine, every byte compared.
package struct ModelVerification: Sendable, Equatable {
  /// Golden samples.
  package let samples: Int
  /// Bytes of input tensors and of outputs that were compared and found equal.
  package let inputBytes: Int
  package let outputBytes: Int
  /// The kernels that ran.
  package let kernels: String

  /// - Throws: `ModelManifestError` with the first difference, `ModelError`, `PreprocessingError`,
  ///   `NumPyArray.FormatError`, or what `read` throws.
  package init(
    _ folder: ModelFolder, kernels: KernelChoice = .automatic, digests: some MessageDigests,
    read: ModelFolder.Reader
  ) throws {
    let manifest = folder.manifest
    let interpreter = try Interpreter(model: Model(bytes: folder.network), kernels: kernels)
    try Self.compare(interpreter.inputs, [manifest.input.tensor], field: "input.tensor")
    try Self.compare(interpreter.outputs, manifest.outputs.map(\.tensor), field: "outputs")

    func array(_ file: ModelManifest.File, _ field: String, _ shape: [Int]) throws -> NumPyArray {
      let array = try NumPyArray(file: ModelFolder.file(file, field: field, digests: digests, read: read))
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
      let shape = [PreprocessingChain.rows, PreprocessingChain.columns]
      let frames = try array(file, "golden.frames", shape)
      guard frames.element == .float32, frames.shape[0] == count else {
        throw ModelManifestError(
          field: "golden.frames", found: "\(frames.element) \(frames.shape)", expected: "\(count) float32 frames")
      }
      for sample in 0..<count {
        let made = try chain.apply(toCelsius: Self.float32(frames, sample: sample, count: 768)).tensor
        let expected = input.bytes[sample * size..<(sample + 1) * size]
        try Self.requireEqual(
          made.map { UInt8(bitPattern: $0) }, Array(expected), field: "golden.input, sample \(sample)")
      }
    }
    let outputs = try zip(manifest.golden.outputs.indices, manifest.golden.outputs).map {
      try array($1, "golden.outputs[\($0)]", manifest.outputs[$0].tensor.shape)
    }
    for sample in 0..<count {
      let computed = interpreter.invoke([Array(input.bytes[sample * size..<(sample + 1) * size])])
      for (index, bytes) in computed.enumerated() {
        let expected = outputs[index].bytes.dropFirst(sample * bytes.count).prefix(bytes.count)
        try Self.requireEqual(bytes, Array(expected), field: "golden.outputs[\(index)], sample \(sample)")
      }
    }
    samples = count
    inputBytes = manifest.golden.frames == nil ? 0 : input.bytes.count
    outputBytes = outputs.reduce(0) { $0 + $1.bytes.count }
    self.kernels = interpreter.kernels
  }

  private static func compare(
    _ tensors: [TensorInfo], _ expected: [ModelManifest.Tensor], field: String
  ) throws(ModelManifestError) {
    guard tensors.count == expected.count else {
      throw ModelManifestError(field: field, found: "\(tensors.count) in the file", expected: "\(expected.count)")
    }
    for (tensor, entry) in zip(tensors, expected) {
      let isSame =
        tensor.type == .int8 && Array(tensor.shape.dropFirst()) == entry.shape
        && tensor.scale == Float(entry.scale) && tensor.zeroPoint == entry.zeroPoint
      guard isSame else {
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
}
