import CAllocationCount
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Inference

/// Mutated models never crash, never ask for much, and when they still load all kernel sets agree on them.
///
/// A few thousand in a normal run; `INFERENCE_MUTATIONS` asks for more, `INFERENCE_MUTATION_SEED` for other ones.
@Suite("Mutated models")
struct ModelMutationTests {
  private static let environment = ProcessInfo.processInfo.environment
  static let count = environment["INFERENCE_MUTATIONS"].flatMap(Int.init) ?? 4000
  static let seed = environment["INFERENCE_MUTATION_SEED"].flatMap(UInt64.init) ?? 1
  /// What one mutant may have allocated at once while it is loaded and planned.
  static let peakBytesMax: Int64 = 64 << 20

  /// Two single-operator models of every kind would do; these small ones cover all operators.
  private static let seeds: [(name: String, bytes: [UInt8], surgery: ModelSurgery)] = {
    let names =
      GoldenVectors.names.filter { !$0.hasPrefix("models/") } + ["models/s8_opzoo24x32", "models/s7_thermal24x32"]
    return names.compactMap { name in
      guard let bytes = try? GoldenVectors.bytes(name), let surgery = try? ModelSurgery(bytes) else { return nil }
      return (name, bytes, surgery)
    }
  }()

  @Test("load or are refused within bounds")
  func mutants() throws {
    try #require(Self.seeds.count == 84)
    var loaded = 0
    var run = 0
    var refusals: [ModelError.Kind: Int] = [:]
    var worstPeak: Int64 = 0
    var slowest = (seconds: 0.0, name: "")
    for number in 0..<Self.count {
      var random = SeededGenerator(seed: Self.seed &* 1_000_003 &+ UInt64(number))
      guard let origin = Self.seeds.randomElement(using: &random) else { continue }
      let mutant = Self.mutate(origin.bytes, origin.surgery, &random)
      let started = processorSeconds()
      allocation_counts_reset()
      do {
        let model = try Model(bytes: mutant)
        loaded += 1
        let interpreter = try Interpreter(model: model)
        worstPeak = max(worstPeak, allocation_counts_read().peak_bytes)
        if model.graph.work <= 2_000_000 {
          try Self.expectAgreement(model, interpreter, "\(origin.name) mutation \(number)", &random)
          run += 1
        }
      } catch let error as ModelError {
        refusals[error.kind, default: 0] += 1
        #expect(!error.description.isEmpty)
      }
      let peak = allocation_counts_read().peak_bytes
      worstPeak = max(worstPeak, peak)
      #expect(peak <= Self.peakBytesMax, "\(origin.name) mutation \(number): \(peak) bytes")
      let seconds = processorSeconds() - started
      if seconds > slowest.seconds { slowest = (seconds, "\(origin.name) mutation \(number)") }
    }
    // A hang guard, in processor time and far above what any of these takes.
    #expect(slowest.seconds < 10, "\(slowest.name)")
    // The mutator must leave some models alive and kill others, or it tests nothing.
    #expect(loaded > Self.count / 20)
    #expect(run > Self.count / 40)
    #expect(refusals.values.reduce(0, +) > Self.count / 10)
    let reasons = refusals.map { "\($0.key.rawValue) \($0.value)" }.sorted().joined(separator: ", ")
    print(
      "\(Self.count) mutants: \(loaded) loaded, \(run) run on every kernel set; refused: \(reasons); "
        + "largest allocation \(worstPeak) bytes, slowest \(slowest.seconds) s (\(slowest.name))")
  }

  private static func expectAgreement(
    _ model: Model, _ interpreter: Interpreter, _ name: String, _ random: inout SeededGenerator
  ) throws {
    let inputs = model.inputs.map { tensor in
      (0..<tensor.byteCount).map { _ in UInt8.random(in: 0...255, using: &random) }
    }
    let expected = try Interpreter(model: model, kernels: .reference).invoke(inputs)
    #expect(interpreter.invoke(inputs) == expected, "\(name): \(interpreter.kernels)")
    let plain = try Interpreter(model: model, kernels: .named("portable"), fusesOperators: false)
    #expect(plain.invoke(inputs) == expected, "\(name): portable, not fused")
  }

  private static func mutate(_ bytes: [UInt8], _ surgery: ModelSurgery, _ random: inout SeededGenerator) -> [UInt8] {
    var mutant = bytes
    switch Int.random(in: 0..<10, using: &random) {
    case 0:
      mutant.removeLast(Int.random(in: 1...bytes.count, using: &random))
    case 1:
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        mutant[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
    default:
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        guard let field = surgery.fields.randomElement(using: &random) else { break }
        change(field, in: &mutant, surgery, &random)
      }
    }
    return mutant
  }

  private static func change(
    _ field: ModelSurgery.Field, in bytes: inout [UInt8], _ surgery: ModelSurgery, _ random: inout SeededGenerator
  ) {
    switch field.kind {
    case .byte:
      bytes[field.position] = [0, 1, 2, 3, 4, 5, 9, 127, 128, 255].randomElement(using: &random) ?? 0
    case .float:
      let values: [Float] = [0, -1, .nan, .infinity, 1e-38, 1e-30, 1e30, 0.003, 1, 1 / 256, -.infinity]
      bytes.store((values.randomElement(using: &random) ?? 0).bitPattern, at: field.position)
    case .int64:
      bytes.store([0, 1, -1, 127, -128, 128, .max, .min].randomElement(using: &random) ?? Int64(0), at: field.position)
    case .int32:
      let current = bytes.int32(at: field.position)
      let peers = surgery.fields.filter { $0.role == field.role && $0.kind == .int32 }
      let choices: [Int32] = [
        0, 1, 2, 3, 4, 7, -1, -2, -128, 255, 4096, 65536, 1 << 20, 1 << 24, .max, .min, current &+ 1, current &- 1,
        current &* 2, 0 &- current, current / 2,
        // What another place of the same role holds: aliased buffers, tensors out of order.
        peers.randomElement(using: &random).map { bytes.int32(at: $0.position) } ?? 0,
        Int32.random(in: -8...64, using: &random),
      ]
      bytes.store(choices.randomElement(using: &random) ?? 0, at: field.position)
    }
  }
}
