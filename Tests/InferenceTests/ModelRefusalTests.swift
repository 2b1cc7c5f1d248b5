import Testing

@testable import Inference

@Suite("Models that are refused")
struct ModelRefusalTests {
  private func refusal(
    _ name: String, _ change: (inout [UInt8], ModelSurgery, Model) throws -> Void
  ) throws -> ModelError {
    var bytes = try GoldenVectors.bytes(name)
    try change(&bytes, ModelSurgery(bytes), Model(bytes: bytes))
    return try #require(throws: ModelError.self) { try Model(bytes: bytes) }
  }

  /// Overwrites one scalar of the options of operator 0.
  private func option(_ name: String, _ field: Int, _ value: Int32) throws -> ModelError {
    try refusal(name) { bytes, surgery, _ in
      let options = try #require(surgery.operatorOptions[0])
      bytes.store(value, at: try #require(try options.field(field, size: 4)))
    }
  }

  /// Overwrites the first value with a role.
  private func field(_ name: String, _ role: String, index: Int = 0, _ value: Int32) throws -> ModelError {
    try refusal(name) { bytes, surgery, _ in
      bytes.store(value, at: surgery.fields.filter { $0.role == role }[index].position)
    }
  }

  @Test("every truncation", arguments: ["ops/conv_grouped2_s2", "ops/sslice_a", "ops/fc_nobias"])
  func truncations(name: String) throws {
    let bytes = try GoldenVectors.bytes(name)
    // The builder writes the tables first and the data last, so a file that lost its tail may lose only padding.
    for length in 0..<bytes.count - 16 {
      #expect(throws: ModelError.self) { try Model(bytes: Array(bytes[..<length])) }
    }
  }

  @Test("no model at all")
  func notAModel() throws {
    let error = try #require(throws: ModelError.self) { try Model(bytes: Array("P2 32 24".utf8)) }
    #expect(error.kind == .notAModel)
    #expect(
      error.description
        == "model: not a model: no TFL3 identifier; expected a TensorFlow Lite file of schema version 3")
  }

  @Test("strides, dilations and windows out of range")
  func windows() throws {
    let stride = try option("ops/conv_3x3_valid_s2", 1, 0)
    #expect(stride.kind == .invalidOption)
    #expect(
      stride.description
        == "operator 0 (CONV_2D): invalid option: horizontal stride 0, dilation 1; expected 1 to 32768")
    #expect(try option("ops/conv_3x3_valid_s2", 2, -1).kind == .invalidOption)
    #expect(try option("ops/maxpool_3x3_same_s2", 3, 0).kind == .invalidOption)
    #expect(try option("ops/maxpool_3x3_same_s2", 4, .max).kind == .tooLarge)
  }

  @Test("an operator this engine does not have, by its name and index")
  func unsupportedOperator() throws {
    let error = try refusal("ops/relu") { bytes, surgery, _ in
      let codes = surgery.fields.filter { $0.role == "code" }
      bytes[codes[0].position] = 23
      if codes.count > 1 { bytes.store(Int32(23), at: codes[1].position) }
    }
    #expect(error.kind == .unsupportedOperator)
    #expect(error.place == .init(operatorName: "RESIZE_BILINEAR", operatorIndex: 0))
  }

  @Test("an operator newer than its known meaning")
  func version() throws {
    #expect(try field("ops/add_same", "version", 99).kind == .unsupportedOperator)
  }

  @Test("tensors out of order, out of range or written twice")
  func order() throws {
    #expect(try field("ops/relu", "input", 77).kind == .malformed)
    #expect(try field("ops/relu", "input", 1).kind == .malformed)
    #expect(try field("ops/relu", "output", 0).kind == .malformed)
    #expect(try field("ops/relu", "model output", -5).kind == .malformed)
  }

  @Test("axes out of range")
  func axes() throws {
    let error = try field("ops/mean_hw", "constant", 9)
    #expect(error.kind == .invalidOption)
    #expect(error.description.contains("axis 9"))
    #expect(try field("ops/transpose_0312", "constant", 1).kind == .invalidOption)
    #expect(try option("ops/concat_ch", 0, 12).kind == .invalidOption)
  }

  @Test("paddings that are negative or huge")
  func paddings() throws {
    #expect(try field("ops/pad_0", "constant", -1).kind == .invalidOption)
    #expect(try field("ops/pad_0", "constant", 2_000_000).kind == .tooLarge)
    #expect(try field("ops/s2b_2x2", "constant", 0).kind == .invalidOption)
  }

  @Test("a buffer that does not fill its tensor")
  func bufferSize() throws {
    let error = try refusal("ops/fc_relu6") { bytes, _, model in
      let weights = try #require(model.graph.nodes.first?.operation.constants.weights)
      guard case .file(let range) = model.graph.tensors[weights].source else { return }
      bytes.store(Int32(range.count - 4), at: range.lowerBound - 4)
    }
    #expect(error.kind == .malformed)
    #expect(error.place.operatorName == "FULLY_CONNECTED")
  }

  @Test("scales that are no scales, zero points outside int8")
  func quantization() throws {
    for bad: Float in [0, -1, .nan, .infinity] {
      #expect(try field("ops/relu", "scale", Int32(bitPattern: bad.bitPattern)).kind == .invalidQuantization)
    }
    let error = try refusal("ops/relu") { bytes, surgery, _ in
      bytes.store(Int64(200), at: surgery.fields.filter { $0.role == "zero point" }[0].position)
    }
    #expect(error.kind == .invalidQuantization)
    #expect(error.place.tensorIndex == 0)
  }

  @Test("a bias that could overflow the accumulator")
  func accumulator() throws {
    let error = try refusal("ops/conv_pertensor") { bytes, _, model in
      let bias = try #require(model.graph.nodes.first?.operation.constants.bias)
      guard case .file(let range) = model.graph.tensors[bias].source else { return }
      bytes.store(Int32.max, at: range.lowerBound)
    }
    #expect(error.kind == .invalidQuantization)
    #expect(error.description.contains("accumulator"))
  }

  @Test("an output shape that contradicts the operator")
  func shape() throws {
    let error = try refusal("ops/maxpool_2x2_same_odd") { bytes, surgery, _ in
      let shapes = surgery.fields.filter { $0.role == "shape" }
      bytes.store(bytes.int32(at: shapes[5].position) + 1, at: shapes[5].position)
    }
    #expect(error.kind == .invalidShape)
  }

  @Test("more work than the limit")
  func work() throws {
    var limits = Model.Limits()
    limits.work = 1_000_000
    let bytes = try GoldenVectors.bytes("models/s7_thermal24x32")
    let error = try #require(throws: ModelError.self) { try Model(bytes: bytes, limits: limits) }
    #expect(error.kind == .tooLarge)
  }

  @Test("a plan larger than the limit")
  func planBytes() throws {
    var limits = Model.Limits()
    limits.planBytes = 10_000
    let model = try Model(bytes: GoldenVectors.bytes("models/s7_thermal24x32"), limits: limits)
    let error = try #require(throws: ModelError.self) { try Interpreter(model: model) }
    #expect(error.kind == .tooLarge)
  }
}
