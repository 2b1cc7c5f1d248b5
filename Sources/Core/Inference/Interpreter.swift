/// Runs a model: plans its memory and steps once, then invokes any number of times. An invocation allocates nothing,
/// locks nothing and checks nothing but the sizes of its buffers. Not for use by two threads at once; each wants an
/// interpreter of its own over the same `Model`.
package final class Interpreter {
  package let inputs: [TensorInfo]
  package let outputs: [TensorInfo]
  /// The kernel set in use: "reference" or the name of a level.
  package let kernels: String

  private let memory: PlanMemory
  private let steps: [Step]
  private let inputTargets: [UnsafeMutableRawBufferPointer]
  private let outputSources: [UnsafeRawBufferPointer]

  /// - Parameters:
  ///   - kernels: which kernels to run.
  ///   - fusesOperators: whether operators may be merged into one step where that changes no bit of the result.
  /// - Throws: `ModelError` of kind `unavailableKernels` when the set is unknown or not for this processor.
  package init(
    model: Model, kernels choice: KernelChoice = .automatic, fusesOperators: Bool = true
  ) throws(ModelError) {
    let plan = try Plan(
      graph: model.graph, choice: choice, fusesOperators: fusesOperators, byteLimit: model.limits.planBytes)
    memory = plan.memory
    steps = plan.steps
    kernels = plan.kernels
    inputs = model.inputs
    outputs = model.outputs
    let memory = memory
    inputTargets = zip(model.graph.inputs, model.inputs).map {
      UnsafeMutableRawBufferPointer(start: memory.target($0), count: $1.byteCount)
    }
    outputSources = zip(model.graph.outputs, model.outputs).map {
      UnsafeRawBufferPointer(start: memory.source($0), count: $1.byteCount)
    }
  }

  /// One inference: copies the inputs in, runs every step, copies the outputs out. Buffers are raw little-endian
  /// row-major elements in the model's order.
  /// - Precondition: as many buffers as the model has inputs and outputs, each of exactly `byteCount` bytes.
  package func invoke(
    inputs sources: UnsafeBufferPointer<UnsafeRawBufferPointer>,
    outputs targets: UnsafeBufferPointer<UnsafeMutableRawBufferPointer>
  ) {
    precondition(sources.count == inputTargets.count && targets.count == outputSources.count, "buffer counts")
    for index in inputTargets.indices {
      precondition(sources[index].count == inputTargets[index].count, "input \(index): buffer size")
      inputTargets[index].copyMemory(from: sources[index])
    }
    for step in steps {
      step.run()
    }
    for index in outputSources.indices {
      precondition(targets[index].count == outputSources[index].count, "output \(index): buffer size")
      targets[index].copyMemory(from: outputSources[index])
    }
  }

  /// One inference over arrays, for callers that do not count allocations.
  /// - Precondition: one array for each input, of exactly its `byteCount`.
  package func invoke(_ arrays: [[UInt8]]) -> [[UInt8]] {
    precondition(arrays.count == inputTargets.count, "input count")
    for index in inputTargets.indices {
      precondition(arrays[index].count == inputTargets[index].count, "input \(index): size")
      inputTargets[index].copyBytes(from: arrays[index])
    }
    for step in steps {
      step.run()
    }
    return outputSources.map { [UInt8]($0) }
  }

  /// One inference of a model with one int8 input and one int8 output.
  /// - Precondition: such a model, and `values` of its input's element count.
  package func invoke(_ values: [Int8]) -> [Int8] {
    precondition(outputs.count == 1 && outputs[0].type == .int8, "one int8 output")
    return invoke([values.map(UInt8.init(bitPattern:))])[0].map(Int8.init(bitPattern:))
  }
}

extension Interpreter {
  /// Where the bytes of an interpreter are.
  package struct MemoryReport: Codable, Equatable, Sendable {
    /// The static arena of computed tensors, and the live-set bound no arena can undercut.
    package let arenaBytes, arenaBoundBytes: Int
    /// Constants the steps read in place, and weights packed for the kernels.
    package let constantBytes, packedBytes: Int
    /// Working memory one step at a time may use.
    package let scratchBytes: Int

    private enum CodingKeys: String, CodingKey {
      case arenaBytes = "arena_bytes"
      case arenaBoundBytes = "arena_bound_bytes"
      case constantBytes = "constant_bytes"
      case packedBytes = "packed_bytes"
      case scratchBytes = "scratch_bytes"
    }
  }

  package var memoryReport: MemoryReport {
    MemoryReport(
      arenaBytes: memory.layout.byteCount, arenaBoundBytes: memory.layout.bound,
      constantBytes: memory.constantByteCount, packedBytes: steps.reduce(0) { $0 + $1.packedByteCount },
      scratchBytes: memory.scratchByteCount)
  }

  package var stepEntries: [ModelDescription.StepEntry] {
    steps.map { ModelDescription.StepEntry(label: $0.label, operators: $0.operatorIndices) }
  }

  /// Runs one step again on whatever its inputs hold, so that a profile can time it alone.
  /// - Precondition: an index of `stepEntries`.
  package func runStep(_ index: Int) {
    steps[index].run()
  }
}

/// Input and output buffers of an interpreter, allocated once, for callers that invoke it again and again.
package final class InvocationBuffers {
  private let inputs: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>
  private let outputs: UnsafeMutableBufferPointer<UnsafeMutableRawBufferPointer>

  package init(_ interpreter: Interpreter) {
    inputs = .allocate(capacity: interpreter.inputs.count)
    outputs = .allocate(capacity: interpreter.outputs.count)
    for (index, tensor) in interpreter.inputs.enumerated() {
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.byteCount, alignment: 64)
      buffer.initializeMemory(as: UInt8.self, repeating: 0)
      inputs.initializeElement(at: index, to: UnsafeRawBufferPointer(buffer))
    }
    for (index, tensor) in interpreter.outputs.enumerated() {
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.byteCount, alignment: 64)
      buffer.initializeMemory(as: UInt8.self, repeating: 0)
      outputs.initializeElement(at: index, to: buffer)
    }
  }

  deinit {
    for buffer in inputs { buffer.deallocate() }
    for buffer in outputs { buffer.deallocate() }
    inputs.deallocate()
    outputs.deallocate()
  }

  /// - Precondition: one array for each input, of exactly its byte count.
  package func fill(_ arrays: [[UInt8]]) {
    precondition(arrays.count == inputs.count, "input count")
    for (buffer, array) in zip(inputs, arrays) {
      precondition(buffer.count == array.count, "input size")
      UnsafeMutableRawBufferPointer(mutating: buffer).copyBytes(from: array)
    }
  }

  /// Fills input `index` in place.
  package func withInput(_ index: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
    fill(UnsafeMutableRawBufferPointer(mutating: inputs[index]))
  }

  package func invoke(_ interpreter: Interpreter) {
    interpreter.invoke(inputs: UnsafeBufferPointer(inputs), outputs: UnsafeBufferPointer(outputs))
  }

  /// The bytes of output `index` after an invocation.
  package func output(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(outputs[index])
  }
}
