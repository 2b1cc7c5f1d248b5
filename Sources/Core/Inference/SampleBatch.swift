/// The samples of one or more arrays, cut for a model: the first axis counts samples, the rest is one input tensor.
///
/// For a tensor of shape [b, ...] an array may be [n, b, ...] (n invocations) or [n * b, ...]. Outputs are laid out the
/// way the first input was.
package struct SampleBatch: Sendable {
  /// What does not fit the model.
  package struct Mismatch: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
  }

  /// Invocations.
  package let count: Int
  private let inputs: [[UInt8]]
  private let inputBytes: [Int]
  private let outputs: [TensorInfo]
  /// Whether the first array had a sample axis of its own before the tensor's shape.
  private let hasSampleAxis: Bool
  private let batch: Int

  /// - Throws: `Mismatch` naming the array, its shape or type, and what the model takes.
  package init(_ arrays: [NumPyArray], for model: Model) throws(Mismatch) {
    guard arrays.count == model.inputs.count else {
      throw Mismatch(
        description: "\(arrays.count) input arrays for a model of \(model.inputs.count) inputs; give one for each")
    }
    var counts: [Int] = []
    var converted: [[UInt8]] = []
    for (index, (array, tensor)) in zip(arrays, model.inputs).enumerated() {
      counts.append(try Self.sampleCount(array, tensor, index: index))
      converted.append(try Self.convert(array, to: tensor, index: index))
    }
    guard let count = counts.first, counts.allSatisfy({ $0 == count }) else {
      throw Mismatch(description: "the input arrays hold \(counts) samples; all must hold the same number")
    }
    self.count = count
    inputs = converted
    inputBytes = model.inputs.map(\.byteCount)
    outputs = model.outputs
    hasSampleAxis = arrays[0].shape.count == model.inputs[0].shape.count + 1
    batch = model.inputs[0].shape.first ?? 1
  }

  private static func sampleCount(_ array: NumPyArray, _ tensor: TensorInfo, index: Int) throws(Mismatch) -> Int {
    if Array(array.shape.dropFirst()) == tensor.shape, !array.shape.isEmpty {
      return array.shape[0]
    }
    if let batch = tensor.shape.first, array.shape.count == tensor.shape.count,
      array.shape.dropFirst() == tensor.shape.dropFirst(), array.shape[0].isMultiple(of: batch)
    {
      return array.shape[0] / batch
    }
    if array.shape == tensor.shape {
      return 1
    }
    throw Mismatch(
      description: "input \(index) has shape \(array.shape); expected samples of \(tensor.shape) along the first axis")
  }

  /// The array's elements in the tensor's type; floats for an int8 tensor are quantised as QUANTIZE does it.
  private static func convert(_ array: NumPyArray, to tensor: TensorInfo, index: Int) throws(Mismatch) -> [UInt8] {
    switch (array.element, tensor.type) {
    case (.int8, .int8), (.float32, .float32), (.int32, .int32), (.int64, .int64):
      return array.bytes
    case (.float32, .int8), (.float64, .int8):
      guard tensor.scale > 0 else {
        throw Mismatch(description: "input \(index) is \(array.element) but the tensor has no quantisation; give int8")
      }
      return array.floats.map {
        UInt8(
          bitPattern: ReferenceKernels.quantized($0, scale: tensor.scale, zeroPoint: Int32(tensor.zeroPoint)))
      }
    case (.float64, .float32):
      return array.floats.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, [UInt8].init) }
    default:
      throw Mismatch(
        description: "input \(index) holds \(array.element) elements; expected \(tensor.type.name)"
          + (tensor.type == .int8 ? " or float32" : ""))
    }
  }

  /// The bytes of every input of one invocation.
  package func sample(_ index: Int) -> [[UInt8]] {
    zip(inputs, inputBytes).map { Array($0[index * $1..<(index + 1) * $1]) }
  }

  /// One array for each model output out of the outputs of every invocation, in order.
  package func collect(_ results: [[[UInt8]]]) -> [NumPyArray] {
    outputs.indices.map { position in
      let tensor = outputs[position]
      let element: NumPyArray.Element =
        switch tensor.type {
        case .int8: .int8
        case .int32: .int32
        case .int64: .int64
        case .float32: .float32
        }
      let isJoined = !hasSampleAxis && tensor.shape.first == batch
      let shape = isJoined ? [count * batch] + tensor.shape.dropFirst() : [count] + tensor.shape
      return NumPyArray(element: element, shape: shape, bytes: results.flatMap { $0[position] })
    }
  }
}

extension NumPyArray {
  /// The elements of a float32 or float64 array, rounded to float32.
  fileprivate var floats: [Float] {
    (0..<elementCount).map { index in
      var pattern: UInt64 = 0
      for byte in 0..<element.size {
        pattern |= UInt64(bytes[index * element.size + byte]) << UInt64(8 * byte)
      }
      return element == .float64
        ? Float(Double(bitPattern: pattern)) : Float(bitPattern: UInt32(truncatingIfNeeded: pattern))
    }
  }
}
