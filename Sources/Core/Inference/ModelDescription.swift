/// What a model asks for and how an interpreter meets it, for people and tools.
package struct ModelDescription: Codable, Equatable, Sendable {
  package struct TensorEntry: Codable, Equatable, Sendable {
    package let name: String
    package let shape: [Int]
    package let type: String
    package let scale: Float
    package let zeroPoint: Int

    private enum CodingKeys: String, CodingKey {
      case name, shape, type, scale
      case zeroPoint = "zero_point"
    }
  }

  package struct OperatorEntry: Codable, Equatable, Sendable {
    /// Position in the file.
    package let index: Int
    package let name: String
    package let outputShape: [Int]
    /// Multiply-accumulates of one invocation, padding included; 0 for operators without weights.
    package let macs: Int

    private enum CodingKeys: String, CodingKey {
      case index, name, macs
      case outputShape = "output_shape"
    }
  }

  package struct StepEntry: Codable, Equatable, Sendable {
    package let label: String
    /// Operators of the file this step carries out.
    package let operators: [Int]
  }

  package let inputs: [TensorEntry]
  package let outputs: [TensorEntry]
  /// Operators left after folding constants.
  package let operators: [OperatorEntry]
  package let macs: Int
  /// Bytes of weights and biases in the file.
  package let weightBytes: Int
  package let kernels: String
  package let steps: [StepEntry]
  package let memory: Interpreter.MemoryReport

  private enum CodingKeys: String, CodingKey {
    case inputs, outputs, operators, macs, kernels, steps, memory
    case weightBytes = "weight_bytes"
  }
}

extension ModelDescription {
  package init(model: Model, interpreter: Interpreter) {
    func entry(_ info: TensorInfo) -> TensorEntry {
      TensorEntry(
        name: info.name, shape: info.shape, type: info.type.name, scale: info.scale, zeroPoint: info.zeroPoint)
    }
    let graph = model.graph
    inputs = model.inputs.map(entry)
    outputs = model.outputs.map(entry)
    operators = graph.nodes.map {
      OperatorEntry(
        index: $0.operatorIndex, name: $0.operatorName, outputShape: graph.tensors[$0.output].shape,
        macs: $0.operation.multiplyAccumulates)
    }
    macs = operators.reduce(0) { $0 + $1.macs }
    weightBytes = graph.weightBytes
    kernels = interpreter.kernels
    steps = interpreter.stepEntries
    memory = interpreter.memoryReport
  }

  /// A table for a terminal.
  package var text: String {
    func line(_ role: String, _ tensor: TensorEntry) -> String {
      "\(role) \(tensor.name): \(tensor.type) \(tensor.shape), scale \(tensor.scale), zero point \(tensor.zeroPoint)"
    }
    var lines = inputs.map { line("input", $0) } + outputs.map { line("output", $0) }
    lines.append("operators:")
    for entry in operators {
      lines.append(
        "  \(entry.index) \(entry.name) -> \(entry.outputShape)" + (entry.macs > 0 ? ", \(entry.macs) MAC" : ""))
    }
    lines.append("steps (\(kernels)):")
    for (index, step) in steps.enumerated() {
      lines.append("  \(index) \(step.label) <- \(step.operators.map(String.init).joined(separator: ", "))")
    }
    lines.append("\(macs) MAC an invocation, \(weightBytes) bytes of weights")
    lines.append(
      "arena \(memory.arenaBytes) bytes (bound \(memory.arenaBoundBytes)), packed weights \(memory.packedBytes), "
        + "constants \(memory.constantBytes), scratch \(memory.scratchBytes)")
    return lines.joined(separator: "\n")
  }
}

extension Operation {
  /// Multiply-accumulates of one invocation, taps on padding included.
  var multiplyAccumulates: Int {
    switch self {
    case .convolution(let p): p.batch * p.outputHeight * p.outputWidth * p.outputChannels * p.depth
    case .dense(let p): p.batch * p.inputCount * p.outputCount
    default: 0
    }
  }
}
