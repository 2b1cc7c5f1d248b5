import Foundation
import Testing

@testable import Inference

@Suite("Golden vectors of the oracle")
struct GoldenVectorTests {
  @Test("the folder holds the models and operators this suite is meant for")
  func inventory() {
    #expect(GoldenVectors.names.filter { $0.hasPrefix("models/") }.count == 8)
    #expect(GoldenVectors.names.filter { $0.hasPrefix("ops/") }.count == 71)
  }

  @Test("reference kernels are byte-equal", arguments: GoldenVectors.names)
  func reference(name: String) throws {
    try expectByteEqual(name, kernels: .reference, fusesOperators: false)
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
          "\(name) vector \(number) output \(index): \(differing) of \(expected.count) bytes differ")
      }
    }
  }
}
