import Provenance
import Testing

@testable import Inference

@Suite("Planning")
struct PlanTests {
  @Test("the arena stays within 1.05 of the live-set bound", arguments: GoldenVectors.names)
  func arenaBound(name: String) throws {
    let model = try Model(bytes: GoldenVectors.bytes(name))
    for fuses in [true, false] {
      let report = try Interpreter(model: model, fusesOperators: fuses).memoryReport
      #expect(report.arenaBytes >= report.arenaBoundBytes)
      #expect(Double(report.arenaBytes) <= 1.05 * Double(report.arenaBoundBytes))
    }
  }

  @Test("tensors alive at the same time never share memory")
  func noOverlap() {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<200 {
      let requests = (0..<Int.random(in: 1...40, using: &random)).map { tensor in
        let first = Int.random(in: 0..<20, using: &random)
        return ArenaLayout.Request(
          tensor: tensor, bytes: Int.random(in: 1...5000, using: &random), first: first,
          last: first + Int.random(in: 0..<8, using: &random))
      }
      let layout = ArenaLayout(requests)
      for (index, a) in requests.enumerated() {
        for b in requests[(index + 1)...] where a.overlaps(b) {
          let (x, y) = (layout.offsets[a.tensor] ?? -1, layout.offsets[b.tensor] ?? -1)
          #expect(x >= 0 && y >= 0 && (x + a.bytes <= y || y + b.bytes <= x))
        }
        #expect((layout.offsets[a.tensor] ?? 0) + a.bytes <= layout.byteCount)
      }
    }
  }

  private func steps(_ name: String, fuses: Bool = true) throws -> [ModelDescription.StepEntry] {
    try Interpreter(model: Model(bytes: GoldenVectors.bytes(name)), fusesOperators: fuses).stepEntries
  }

  @Test("max-pools and additions join the convolution before them")
  func fusion() throws {
    #expect(try steps("models/s7_thermal24x32").map(\.operators) == [[0, 1], [2, 3], [4], [5], [7], [8], [9]])
    let residual = try steps("models/s2_resnet8_32")
    #expect(residual.contains { $0.label.hasPrefix("CONV_2D+ADD") })
    #expect(!residual.contains { $0.label.hasPrefix("ADD") })
  }

  @Test("a dilation written as SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND is one step")
  func dilation() throws {
    #expect(
      try steps("models/s8_opzoo24x32").map(\.operators).prefix(4) == [[1], [2], [0, 3, 4], [5]])
    // Cropped, depthwise, with a table between, with an ADD behind.
    #expect(try steps("chains/dilated_12").map(\.operators) == [[0, 1, 2]])
    #expect(try steps("chains/dilated_23").map(\.operators) == [[0, 1, 3], [2], [4]])
    #expect(try steps("chains/dilated_20").map(\.operators) == [[0, 1, 2, 3]])
  }

  @Test("padding with the zero point is the convolution's own; read twice or of another value it is not")
  func padding() throws {
    #expect(try steps("chains/padded_2").map(\.operators) == [[0, 1]])
    #expect(try steps("chains/padded_17").map(\.operators) == [[0, 1]])
    #expect(try steps("chains/padded_5").map(\.operators) == [[0], [1], [2]])
    var bytes = try GoldenVectors.bytes("chains/padded_17")
    let model = try Model(bytes: bytes)
    let value = try #require(
      model.graph.tensors.first { $0.type == .int8 && $0.isConstant && $0.elementCount == 1 && $0.shape == [1] })
    guard case .file(let range) = value.source else {
      Issue.record("the pad value is not in the file")
      return
    }
    bytes[range.lowerBound] ^= 1
    #expect(try Interpreter(model: Model(bytes: bytes)).stepEntries.map(\.operators) == [[0], [1]])
  }

  @Test("without fusion every operator is a step, reshapes excepted")
  func noFusion() throws {
    #expect(try steps("models/s7_thermal24x32", fuses: false).count == 9)
    #expect(try steps("ops/reshape").isEmpty)
  }

  @Test("a tensor that is also an output is not fused away")
  func taps() throws {
    let model = try Model(bytes: GoldenVectors.bytes("models/s7_thermal24x32_taps"))
    #expect(try Interpreter(model: model).outputs.count == model.outputs.count)
    #expect(model.outputs.count > 1)
  }

  @Test("an unknown kernel set is refused with the names there are")
  func unknownKernels() throws {
    let model = try Model(bytes: GoldenVectors.bytes("ops/relu"))
    let error = try #require(throws: ModelError.self) { try Interpreter(model: model, kernels: .named("sse9")) }
    #expect(error.kind == .unavailableKernels)
    #expect(error.description.contains("sse9") && error.description.contains("portable"))
  }

  @Test("clamps compose")
  func clamps() {
    let first = ClampRange(lower: -10, upper: 20)
    #expect(first.followed(by: ClampRange(lower: 0, upper: 50)) == ClampRange(lower: 0, upper: 20))
    #expect(first.followed(by: ClampRange(lower: 30, upper: 50)) == ClampRange(lower: 30, upper: 30))
    #expect(ClampRange(table: (-128...127).map { Int8(max($0, -3)) }) == ClampRange(lower: -3, upper: 127))
    #expect(ClampRange(table: (-128...127).map { Int8($0 / 2) }) == nil)
  }
}
