/// The tables of a `.tflite` file as plain values: offsets and lengths are checked, meanings are not yet.
struct ModelFile {
  struct OperatorCode {
    var builtin: Int
    var version: Int
  }

  struct Operator {
    var code: OperatorCode
    var inputs: [Int]
    var outputs: [Int]
    var optionsType: UInt8
    var options: FlatTable?
  }

  let bytes: [UInt8]
  let tensors: [Tensor]
  let inputs: [Int]
  let outputs: [Int]
  let operators: [Operator]

  init(bytes: [UInt8], limits: Model.Limits) throws(ModelError) {
    guard bytes.count <= limits.fileBytes else {
      throw ModelError(.tooLarge, "a file of \(bytes.count) bytes", expected: "at most \(limits.fileBytes)")
    }
    guard bytes.count >= 8, bytes[4..<8].elementsEqual("TFL3".utf8) else {
      throw ModelError(.notAModel, "no TFL3 identifier", expected: "a TensorFlow Lite file of schema version 3")
    }
    let buffer = FlatBuffer(bytes: bytes)
    let root = try buffer.table(at: try buffer.target(at: 0))
    let version = try root.uint32(0)
    guard version == 3 else {
      throw ModelError(.notAModel, "schema version \(version)", expected: "3")
    }
    guard let subgraphs = try root.vector(2, elementSize: 4), subgraphs.count >= 1 else {
      throw ModelError(.malformed, "no subgraph", expected: "one graph")
    }
    // Further subgraphs are reachable only from control-flow operators, which are refused.
    let subgraph = try subgraphs.table(at: 0)
    let codes = try Self.operatorCodes(of: root, limits: limits)
    let ranges = try Self.bufferRanges(of: root, bytes: bytes, limits: limits)

    self.bytes = bytes
    tensors = try Self.tensors(of: subgraph, buffers: ranges, limits: limits)
    inputs = try subgraph.int32s(1, atMost: limits.ports)
    outputs = try subgraph.int32s(2, atMost: limits.ports)
    operators = try Self.operators(of: subgraph, codes: codes, limits: limits)
  }

  private static func bounded(
    _ table: FlatTable, _ field: Int, _ name: String, atMost limit: Int
  ) throws(ModelError) -> FlatVector? {
    guard let vector = try table.vector(field, elementSize: 4) else { return nil }
    guard vector.count <= limit else {
      throw ModelError(.tooLarge, "\(vector.count) \(name)", expected: "at most \(limit)")
    }
    return vector
  }

  private static func operatorCodes(of root: FlatTable, limits: Model.Limits) throws(ModelError) -> [OperatorCode] {
    guard let vector = try bounded(root, 1, "operator codes", atMost: limits.operators) else { return [] }
    var codes: [OperatorCode] = []
    for index in 0..<vector.count {
      let table = try vector.table(at: index)
      // Codes above 127 live in the second field; older files only have the first.
      let deprecated = Int(Int8(bitPattern: try table.uint8(0)))
      codes.append(
        OperatorCode(builtin: max(deprecated, try table.int32(3)), version: try table.int32(2, default: 1)))
    }
    return codes
  }

  private static func bufferRanges(
    of root: FlatTable, bytes: [UInt8], limits: Model.Limits
  ) throws(ModelError) -> [Range<Int>] {
    guard let vector = try bounded(root, 4, "buffers", atMost: 2 * limits.tensors) else { return [] }
    var ranges: [Range<Int>] = []
    for index in 0..<vector.count {
      let table = try vector.table(at: index)
      guard try table.has(1) == false else {
        throw ModelError(
          .malformed, "buffer \(index) outside the FlatBuffer (files above 2 GB)",
          expected: "data inside its buffer table")
      }
      ranges.append(try table.vector(0, elementSize: 1)?.range ?? 0..<0)
    }
    return ranges
  }

  private static func tensors(
    of subgraph: FlatTable, buffers: [Range<Int>], limits: Model.Limits
  ) throws(ModelError) -> [Tensor] {
    guard let vector = try bounded(subgraph, 0, "tensors", atMost: limits.tensors) else { return [] }
    var tensors: [Tensor] = []
    tensors.reserveCapacity(vector.count)
    var scaleCount = 0
    for index in 0..<vector.count {
      do throws(ModelError) {
        let tensor = try tensor(from: try vector.table(at: index), buffers: buffers, limits: limits)
        scaleCount += tensor.quantization?.scales.count ?? 0
        // Many tensors may point at one vector of scales, and each keeps its own copy.
        guard scaleCount <= limits.scales else {
          throw ModelError(.tooLarge, "more than \(limits.scales) scales", expected: "a smaller model")
        }
        tensors.append(tensor)
      } catch {
        var located = error
        located.place.tensorIndex = index
        throw located
      }
    }
    return tensors
  }

  private static func tensor(
    from table: FlatTable, buffers: [Range<Int>], limits: Model.Limits
  ) throws(ModelError) -> Tensor {
    let shape = try table.int32s(0, atMost: limits.rank)
    let signature = try table.int32s(7, atMost: limits.rank)
    guard shape.count <= limits.rank else {
      throw ModelError(.tooLarge, "rank \(shape.count)", expected: "at most \(limits.rank) dimensions")
    }
    guard signature.isEmpty || signature.count == shape.count else {
      throw ModelError(
        .malformed, "a shape signature of \(signature.count) dimensions for \(shape.count)", expected: "equal counts")
    }
    // A dimension declared unknown may be stored as -1; its real value comes from the operators or defaults to 1.
    let unknown = shape.indices.map { shape[$0] == -1 || (!signature.isEmpty && signature[$0] == -1) }
    var dimensions = shape
    for axis in shape.indices where unknown[axis] && shape[axis] == -1 {
      dimensions[axis] = 1
    }
    try checkShape(dimensions, limits: limits)

    let typeCode = try table.uint8(1)
    let type = ElementType(rawValue: typeCode)
    let bufferIndex = try table.uint32(2)
    guard bufferIndex < max(buffers.count, 1) else {
      throw ModelError(.malformed, "buffer \(bufferIndex) of \(buffers.count)", expected: "a buffer of the file")
    }
    let range = buffers.isEmpty ? 0..<0 : buffers[bufferIndex]
    let quantization = try table.table(4).map { table throws(ModelError) in
      try self.quantization(from: table, limits: limits)
    }
    guard try table.has(6) == false else {
      throw ModelError(.unsupportedType, "a sparse tensor", expected: "dense tensors")
    }
    return Tensor(
      name: try table.string(3, atMost: limits.nameBytes), shape: dimensions, isDimensionUnknown: unknown,
      hasDeclaredShape: !shape.isEmpty, type: type, typeCode: typeCode, quantization: quantization ?? nil,
      source: range.isEmpty ? .computed : .file(range))
  }

  static func checkShape(_ shape: [Int], limits: Model.Limits) throws(ModelError) {
    guard shape.count <= limits.rank else {
      throw ModelError(.tooLarge, "rank \(shape.count)", expected: "at most \(limits.rank) dimensions")
    }
    var count = 1
    for dimension in shape {
      guard dimension >= 1 else {
        throw ModelError(.invalidShape, "dimension \(dimension) in \(shape)", expected: "dimensions of at least 1")
      }
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard !overflow, product <= limits.tensorElements else {
        throw ModelError(.tooLarge, "shape \(shape)", expected: "at most \(limits.tensorElements) elements")
      }
      count = product
    }
  }

  private static func quantization(from table: FlatTable, limits: Model.Limits) throws(ModelError) -> Quantization? {
    guard let scaleVector = try table.vector(2, elementSize: 4), scaleVector.count > 0 else { return nil }
    let zeroPointVector = try table.vector(3, elementSize: 8)
    let zeroPointCount = zeroPointVector?.count ?? 0
    guard scaleVector.count <= limits.scales, zeroPointCount <= 1 || zeroPointCount == scaleVector.count else {
      throw ModelError(
        .invalidQuantization, "\(zeroPointCount) zero points for \(scaleVector.count) scales",
        expected: "one each, or one")
    }
    let scales = try scaleVector.floats()
    let zeroPoints = try zeroPointVector?.int64s() ?? []
    guard try table.uint8(4) == 0 else {
      throw ModelError(.invalidQuantization, "custom quantisation details", expected: "an affine quantisation")
    }
    return Quantization(
      scales: scales, zeroPoints: zeroPoints.isEmpty ? [0] : zeroPoints, axis: try table.int32(6))
  }

  private static func operators(
    of subgraph: FlatTable, codes: [OperatorCode], limits: Model.Limits
  ) throws(ModelError) -> [Operator] {
    guard let vector = try bounded(subgraph, 3, "operators", atMost: limits.operators) else { return [] }
    var operators: [Operator] = []
    operators.reserveCapacity(vector.count)
    for index in 0..<vector.count {
      let table = try vector.table(at: index)
      let code = try table.uint32(0)
      guard code < codes.count else {
        throw ModelError(
          .malformed, "operator \(index) with code index \(code) of \(codes.count)",
          expected: "an operator code of the file")
      }
      operators.append(
        Operator(
          code: codes[code], inputs: try table.int32s(1, atMost: limits.operands),
          outputs: try table.int32s(2, atMost: limits.operands),
          optionsType: try table.uint8(3), options: try table.table(4)))
    }
    return operators
  }
}
