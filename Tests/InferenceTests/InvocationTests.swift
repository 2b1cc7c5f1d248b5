import CAllocationCount
import Testing

@testable import Inference

@Suite("Invocation")
struct InvocationTests {
  @Test("the counter counts")
  func counterCounts() {
    allocation_counts_reset()
    let pointer = UnsafeMutableRawPointer.allocate(byteCount: 1000, alignment: 64)
    let counts = allocation_counts_read()
    pointer.deallocate()
    #expect(counts.allocations == 1)
    #expect(counts.peak_bytes >= 1000)
    #expect(allocation_counts_read().live_bytes == 0)
  }

  @Test("allocates nothing and locks nothing", arguments: GoldenVectors.names)
  func allocatesNothing(name: String) throws {
    let model = try Model(bytes: GoldenVectors.bytes(name))
    for level in KernelChoice.levels where level.isAvailable && level.name != "reference" {
      let interpreter = try Interpreter(model: model, kernels: .named(level.name))
      let buffers = InvocationBuffers(interpreter)
      // Lazy set-up of the process itself (dispatch tables, first calls through the linker) happens here.
      buffers.invoke(interpreter)
      allocation_counts_reset()
      for _ in 0..<3 {
        buffers.invoke(interpreter)
      }
      let counts = allocation_counts_read()
      #expect(counts.allocations == 0, "\(name) \(level.name)")
      #expect(counts.mutex_locks == 0, "\(name) \(level.name)")
    }
  }

  @Test("results do not depend on what ran before")
  func repeatable() throws {
    let name = "models/s8_opzoo24x32_taps"
    let interpreter = try Interpreter(model: Model(bytes: GoldenVectors.bytes(name)))
    let golden = try GoldenVectors.load(name)
    for vector in golden.vectors + golden.vectors.reversed() {
      let outputs = interpreter.invoke(vector.inputs.map { [UInt8]($0) })
      #expect(outputs == vector.outputs.map { [UInt8]($0) })
    }
  }

  @Test("two interpreters of one model do not share memory")
  func independent() throws {
    let name = "models/s7_thermal24x32"
    let model = try Model(bytes: GoldenVectors.bytes(name))
    let golden = try GoldenVectors.load(name)
    let first = try Interpreter(model: model)
    let second = try Interpreter(model: model)
    let buffers = InvocationBuffers(first)
    buffers.fill(golden.vectors[0].inputs.map { [UInt8]($0) })
    buffers.invoke(first)
    _ = second.invoke(golden.vectors[1].inputs.map { [UInt8]($0) })
    #expect([UInt8](buffers.output(0)) == [UInt8](golden.vectors[0].outputs[0]))
  }

  @Test("QUANTIZE of NaN, infinities and huge values is the same for every kernel set")
  func quantizeSpecials() throws {
    let model = try Model(bytes: GoldenVectors.bytes("ops/quant_f2q"))
    let count = model.inputs[0].elementCount
    let specials: [Float] = [
      .nan, .infinity, -.infinity, .greatestFiniteMagnitude, -1e30, -0.0, .signalingNaN, .leastNonzeroMagnitude,
    ]
    // Both whole vectors and what remains behind them.
    let values = (0..<count).map { specials[$0 % specials.count] }
    let input = values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { [UInt8]($0) } }
    let expected = try Interpreter(model: model, kernels: .reference).invoke([input])
    let zeroPoint = try #require(model.outputs.first).zeroPoint
    #expect(expected[0].prefix(3).map { Int(Int8(bitPattern: $0)) } == [zeroPoint, 127, -128])
    for level in KernelChoice.levels where level.isAvailable {
      #expect(try Interpreter(model: model, kernels: KernelChoice(level.name)).invoke([input]) == expected)
    }
  }

  @Test("a weight of -128, outside the quantisation specification, is computed all the same")
  func minimumWeight() throws {
    for name in ["ops/conv_pertensor", "ops/fc_8_640", "ops/dw_0_9x9x8_m1_k3x3_s11_d1_p0"] {
      var bytes = try GoldenVectors.bytes(name)
      let original = try Model(bytes: bytes)
      let weights = try #require(original.graph.nodes.first?.operation.constants.weights)
      guard case .file(let range) = original.graph.tensors[weights].source else {
        Issue.record("weights outside the file")
        continue
      }
      for position in range where (position - range.lowerBound).isMultiple(of: 7) {
        bytes[position] = 0x80
      }
      let model = try Model(bytes: bytes)
      let reference = try Interpreter(model: model, kernels: .reference)
      let automatic = try Interpreter(model: model)
      let vector = try GoldenVectors.load(name).vectors[0].inputs.map { [UInt8]($0) }
      #expect(automatic.invoke(vector) == reference.invoke(vector))
      #expect(automatic.stepEntries.allSatisfy { $0.label.hasSuffix("reference") })
    }
  }
}
