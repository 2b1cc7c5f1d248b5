import CAllocationCount
import CInferenceKernels
import Testing

@testable import Inference

@Suite("Memory of an interpreter")
struct MemoryTests {
  private static let levels = KernelChoice.levels.filter(\.isAvailable).map(\.name)

  /// What allocations that `body`'s result keeps alive amount to, as the allocator counts them.
  private func liveBytes<Value>(_ body: () throws -> Value) rethrows -> (value: Value, bytes: Int) {
    allocation_counts_reset()
    let value = try body()
    return (value, Int(allocation_counts_read().live_bytes))
  }

  @Test(
    "everything an interpreter keeps stays within 1.35 of weights and arena bound, and 256 KiB",
    arguments: GoldenVectors.names)
  func budget(name: String) throws {
    let model = try Model(bytes: GoldenVectors.bytes(name))
    for level in Self.levels {
      let (interpreter, bytes) = try liveBytes { try Interpreter(model: model, kernels: KernelChoice(level)) }
      let report = interpreter.memoryReport
      let budget = MemoryBudget(weightBytes: model.graph.weightBytes, arenaBoundBytes: report.arenaBoundBytes)
      #expect(bytes >= report.arenaBytes + report.packedBytes)
      #expect(bytes <= budget.byteCount, "\(name) \(level)")
    }
  }

  @Test("the product's network, file and all, takes less than 1 MB")
  func productNetwork() throws {
    let bytes = try GoldenVectors.bytes("models/s7_thermal24x32")
    for level in Self.levels {
      let (_, held) = try liveBytes {
        let model = try Model(bytes: bytes.map { $0 })
        let interpreter = try Interpreter(model: model, kernels: KernelChoice(level))
        let buffers = InvocationBuffers(interpreter)
        buffers.invoke(interpreter)
        #expect(allocation_counts_read().peak_bytes <= 1 << 20)
        return (model, interpreter, buffers)
      }
      #expect(held <= 1 << 20)
    }
  }

  @Test("where the budget is short, layers that gain least for their bytes are packed small first")
  func packing() throws {
    let level = TGK_LEVEL_AVX2
    let graph = try Model(bytes: GoldenVectors.bytes("models/s2_resnet8_32")).graph
    let nodes = graph.nodes.filter { !$0.operation.isReshape }.map(FusedNode.init)
    guard nodes.contains(where: { $0.kernelByteCounts(level).packed > 0 }) else { return }

    func packed(_ byteCount: Int) -> [FusedNode] {
      var chosen = nodes
      MemoryBudget(byteCount: byteCount).choosePacking(&chosen, level: level, otherBytes: 0)
      return chosen
    }
    func total(_ nodes: [FusedNode]) -> Int { nodes.reduce(0) { $0 + $1.kernelByteCounts(level).packed } }
    let most = packed(.max / 2)
    let least = packed(0)
    #expect(most.allSatisfy { $0.weightForm == TGK_WEIGHTS_FASTEST })
    #expect(total(least) < graph.weightBytes * 135 / 100)
    #expect(total(most) > 2 * total(least))

    let some = packed((total(most) + total(least)) / 2 + 100_000)
    #expect(total(least) < total(some) && total(some) < total(most))
    /// Multiply-accumulates for each byte that the fastest form takes more, where the forms differ.
    func gains(_ form: tgk_weight_form) -> [Double] {
      some.indices.compactMap { index in
        let more = most[index].kernelByteCounts(level).packed - least[index].kernelByteCounts(level).packed
        guard more > 0, some[index].weightForm == form else { return nil }
        return Double(some[index].operation.multiplyAccumulates) / Double(more)
      }
    }
    let (kept, given) = (gains(TGK_WEIGHTS_FASTEST), gains(TGK_WEIGHTS_SMALLEST))
    #expect(try #require(given.max()) <= #require(kept.min()))
  }
}
