/// The validated graph: operators in execution order over tensors, each written at most once and before it is read.
struct Graph: Sendable {
  /// The whole file; constants are ranges of it.
  var bytes: [UInt8]
  var tensors: [Tensor]
  var inputs: [Int]
  var outputs: [Int]
  var nodes: [Node]
  /// Elementary steps of one invocation, as `Model.Limits.work` counts them.
  var work: Int
}

/// One operator left after folding.
struct Node: Sendable {
  var operation: Operation
  /// Tensors read at run time, in the order the operation names them.
  var inputs: [Int]
  var output: Int
  var operatorIndex: Int
  var operatorName: String
}

extension Graph {
  /// Bytes of the weights and biases the operators read, shared ones once.
  var weightBytes: Int {
    var tensors: Set<Int> = []
    for node in nodes {
      let constants = node.operation.constants
      tensors.formUnion([constants.weights, constants.bias].compactMap { $0 })
    }
    return tensors.reduce(0) { $0 + self.tensors[$1].byteCount }
  }

  /// The bytes of a constant tensor; empty for a computed one.
  func constantBytes(_ tensor: Int) -> ArraySlice<UInt8> {
    switch tensors[tensor].source {
    case .computed: []
    case .file(let range): bytes[range]
    case .folded(let values): values[...]
    }
  }

  func information(of indices: [Int]) throws(ModelError) -> [TensorInfo] {
    var result: [TensorInfo] = []
    for index in indices {
      let tensor = tensors[index]
      guard let type = tensor.type else {
        throw ModelError(
          .unsupportedType, "element type \(tensor.typeCode) of a model input or output",
          expected: "int8, int32 or float32",
          at: .init(tensorIndex: index))
      }
      let quantization = tensor.quantization
      result.append(
        TensorInfo(
          name: tensor.name, shape: tensor.shape, type: type, scale: quantization?.scales.first ?? 0,
          zeroPoint: Int(quantization?.zeroPoints.first ?? 0)))
    }
    return result
  }
}
