/// One entry of an interpreter's fixed list: everything it touches is resolved to an address when the list is made.
class Step {
  /// The operators of the file this step carries out, for reports.
  let operatorIndices: [Int]
  let label: String

  init(operatorIndices: [Int], label: String) {
    self.operatorIndices = operatorIndices
    self.label = label
  }

  /// Bytes of packed weights this step owns.
  var packedByteCount: Int { 0 }

  func run() {}
}

/// An operator by its reference kernel.
final class ReferenceStep: Step {
  private let operation: Operation
  private let inputs: [UnsafeRawPointer]
  private let output: UnsafeMutableRawPointer
  private let weights: UnsafePointer<Int8>?
  private let bias: UnsafePointer<Int32>?

  init(node: FusedNode, memory: PlanMemory) {
    operation = node.operation
    inputs = node.inputs.map { memory.source($0) }
    output = memory.target(node.output)
    let constants = node.operation.constants
    weights = constants.weights.map { memory.source($0).assumingMemoryBound(to: Int8.self) }
    bias = constants.bias.map { memory.source($0).assumingMemoryBound(to: Int32.self) }
    super.init(operatorIndices: node.operatorIndices, label: node.names.joined(separator: "+") + " reference")
  }

  override func run() {
    ReferenceKernels.run(operation, inputs: inputs, output: output, weights: weights, bias: bias)
  }
}

extension Operation {
  /// Tensor indices of the constants a reference kernel reads beside its inputs.
  var constants: (weights: Int?, bias: Int?) {
    switch self {
    case .convolution(let parameters): (parameters.weights, parameters.bias)
    case .dense(let parameters): (parameters.weights, parameters.bias)
    default: (nil, nil)
    }
  }
}
