import Foundation
import Testing

@testable import Inference

@Suite("Golden vectors of the oracle")
struct GoldenVectorTests {
  @Test("the folder holds the models and operators this suite is meant for")
  func inventory() {
    #expect(GoldenVectors.names.filter { $0.hasPrefix("models/") }.count == 8)
    #expect(GoldenVectors.names.filter { $0.hasPrefix("ops/") }.count == 71)
    #expect(GoldenVectors.names.filter { $0.hasPrefix("chains/") }.count == 11)
  }

  @Test("reference kernels are byte-equal", arguments: GoldenVectors.names)
  func reference(name: String) throws {
    try expectByteEqual(name, kernels: .reference, fusesOperators: false)
  }

  @Test("every kernel level is byte-equal, operators fused and not", arguments: GoldenVectors.names)
  func levels(name: String) throws {
    for level in KernelChoice.levels where level.isAvailable && level.name != "reference" {
      try expectByteEqual(name, kernels: .named(level.name), fusesOperators: true)
      try expectByteEqual(name, kernels: .named(level.name), fusesOperators: false)
    }
  }

  @Test(
    "levels this processor lacks are refused by name",
    arguments: KernelChoice.levels.filter { !$0.isAvailable }.map(\.name))
  func unavailableLevel(name: String) throws {
    let model = try Model(bytes: GoldenVectors.bytes("ops/relu"))
    #expect(throws: ModelError.self) { try Interpreter(model: model, kernels: .named(name)) }
  }

  private func expectByteEqual(_ name: String, kernels: KernelChoice, fusesOperators: Bool) throws {
    let model = try Model(bytes: GoldenVectors.bytes(name))
    let golden = try GoldenVectors.load(name)
    #expect(model.inputs.map(\.shape) == golden.inputs.map(\.shape))
    #expect(model.outputs.map(\.shape) == golden.outputs.map(\.shape))
    #expect(model.outputs.map(\.type.name) == golden.outputs.map(\.type))
    let interpreter = try Interpreter(model: model, kernels: kernels, fusesOperators: fusesOperators)
    try #require(!golden.vectors.isEmpty)
    for (number, vector) in golden.vectors.enumerated() {
      let outputs = interpreter.invoke(vector.inputs.map { [UInt8]($0) })
      for (index, (actual, expected)) in zip(outputs, vector.outputs).enumerated() {
        let differing = zip(actual, expected).count { $0 != $1 }
        #expect(
          actual.count == expected.count && differing == 0,
          "\(name) \(kernels) vector \(number) output \(index): \(differing) of \(expected.count) bytes differ")
      }
    }
  }
}
