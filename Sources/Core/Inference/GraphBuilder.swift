/// Turns a file's tables into a `Graph`: checks every operator, computes every shape, folds what depends on constants.
struct GraphBuilder {
  /// One operator under construction.
  struct Site {
    let builtin: BuiltinOperator
    let index: Int
    let version: Int
    let inputs: [Int]
    let output: Int
    let options: FlatTable?
  }

  let file: ModelFile
  let limits: Model.Limits
  var tensors: [Tensor]
  var nodes: [Node] = []
  private var isWritten: [Bool]
  private var activationBytes = 0
  private var work = 0
  private var foldedWork = 0
  private var weightBytes = 0

  init(file: ModelFile, limits: Model.Limits) throws(ModelError) {
    self.file = file
    self.limits = limits
    tensors = file.tensors
    isWritten = tensors.map(\.isConstant)
  }

  mutating func build() throws(ModelError) -> Graph {
    for tensor in file.inputs {
      try checkIndex(tensor, of: "a model input")
      guard !isWritten[tensor] else {
        throw ModelError(
          .malformed, "a model input that is constant or listed twice", expected: "distinct tensors without data",
          at: .init(tensorIndex: tensor))
      }
      try markWritten(tensor)
    }
    for (index, entry) in file.operators.enumerated() {
      try add(entry, index: index)
    }
    var outputBytes = 0
    for tensor in file.outputs {
      try checkIndex(tensor, of: "a model output")
      guard isWritten[tensor] else {
        throw ModelError(
          .malformed, "a model output that nothing computes", expected: "an operator's output",
          at: .init(tensorIndex: tensor))
      }
      // One tensor may be listed more than once, and each mention needs a buffer.
      outputBytes += tensors[tensor].byteCount
      guard outputBytes <= limits.activationBytes else {
        throw ModelError(
          .tooLarge, "outputs of more than \(outputBytes) bytes", expected: "at most \(limits.activationBytes)")
      }
      if tensors[tensor].isConstant {
        _ = try constantBytes(tensor)
      }
    }
    guard !file.inputs.isEmpty, !file.outputs.isEmpty else {
      throw ModelError(
        .malformed, "\(file.inputs.count) inputs and \(file.outputs.count) outputs", expected: "at least one of each")
    }
    return Graph(
      bytes: file.bytes, tensors: tensors, inputs: file.inputs, outputs: file.outputs, nodes: nodes,
      work: work)
  }

  private mutating func add(_ entry: ModelFile.Operator, index: Int) throws(ModelError) {
    guard let builtin = BuiltinOperator(rawValue: entry.code.builtin) else {
      throw ModelError(
        .unsupportedOperator, "builtin code \(entry.code.builtin)", expected: "an int8 operator this engine implements",
        at: .init(operatorName: BuiltinOperator.schemaName(entry.code.builtin), operatorIndex: index))
    }
    do throws(ModelError) {
      let schema = builtin.schema
      guard (1...schema.newestVersion).contains(entry.code.version) else {
        throw ModelError(
          .unsupportedOperator, "version \(entry.code.version)", expected: "version 1 to \(schema.newestVersion)")
      }
      guard entry.options == nil || entry.optionsType == 0 || entry.optionsType == schema.optionsType else {
        throw ModelError(
          .malformed, "options of type \(entry.optionsType)", expected: "type \(schema.optionsType)")
      }
      guard entry.outputs.count == 1 else {
        throw ModelError(.malformed, "\(entry.outputs.count) outputs", expected: "1")
      }
      for tensor in entry.inputs where tensor != -1 {
        try checkIndex(tensor, of: "an input")
        guard isWritten[tensor] else {
          throw ModelError(
            .malformed, "an input read before any operator wrote it", expected: "operators in execution order",
            at: .init(tensorIndex: tensor))
        }
      }
      try checkIndex(entry.outputs[0], of: "the output")
      let site = Site(
        builtin: builtin, index: index, version: entry.code.version, inputs: entry.inputs, output: entry.outputs[0],
        options: entry.optionsType == 0 ? nil : entry.options)
      try add(site)
    } catch {
      var located = error
      located.place.operatorName = builtin.name
      located.place.operatorIndex = index
      throw located
    }
  }

  private mutating func add(_ site: Site) throws(ModelError) {
    switch site.builtin {
    case .conv2D, .depthwiseConv2D: try addConvolution(site)
    case .fullyConnected: try addDense(site)
    case .add, .sub: try addSum(site)
    case .mul: try addProduct(site)
    case .maxPool2D, .averagePool2D: try addPool(site)
    case .mean: try addMean(site)
    case .relu, .relu6, .reluN1To1: try addRectifier(site)
    case .leakyRelu: try addLeakyRectifier(site)
    case .logistic, .tanh: try addSigmoid(site)
    case .quantize: try addQuantize(site)
    case .dequantize: try addDequantize(site)
    case .softmax: try addSoftmax(site)
    case .reshape: try addReshape(site)
    case .expandDims: try addExpandDimensions(site)
    case .squeeze: try addSqueeze(site)
    case .pad, .padV2: try addPad(site)
    case .concatenation: try addConcatenation(site)
    case .pack: try addPack(site)
    case .transpose: try addTranspose(site)
    case .stridedSlice: try addStridedSlice(site)
    case .spaceToBatchND: try addSpaceToBatch(site)
    case .batchToSpaceND: try addBatchToSpace(site)
    case .shape: try addShape(site)
    }
  }
}

// MARK: Parts every operator uses

extension GraphBuilder {
  private func checkIndex(_ tensor: Int, of role: String) throws(ModelError) {
    guard tensors.indices.contains(tensor) else {
      throw ModelError(.malformed, "tensor \(tensor) as \(role)", expected: "an index below \(tensors.count)")
    }
  }

  private mutating func markWritten(_ tensor: Int) throws(ModelError) {
    isWritten[tensor] = true
    if !tensors[tensor].isConstant {
      activationBytes += tensors[tensor].byteCount
    }
    guard activationBytes <= limits.activationBytes else {
      throw ModelError(
        .tooLarge, "computed tensors of more than \(activationBytes) bytes",
        expected: "at most \(limits.activationBytes)",
        at: .init(tensorIndex: tensor))
    }
  }

  func require(_ site: Site, inputs: ClosedRange<Int>) throws(ModelError) {
    guard inputs.contains(site.inputs.count) else {
      throw ModelError(
        .malformed, "\(site.inputs.count) inputs",
        expected: inputs.count == 1 ? "\(inputs.lowerBound)" : "\(inputs.lowerBound) to \(inputs.upperBound)")
    }
  }

  /// The tensor index of input `position`, which must be present and of one of `types`.
  func input(_ site: Site, _ position: Int, types: [ElementType] = [.int8]) throws(ModelError) -> Int {
    guard site.inputs.indices.contains(position) else {
      throw ModelError(.malformed, "\(site.inputs.count) inputs", expected: "at least \(position + 1)")
    }
    let index = site.inputs[position]
    guard index >= 0 else {
      throw ModelError(.malformed, "input \(position) left out", expected: "a tensor")
    }
    try checkType(index, types)
    return index
  }

  func checkType(_ tensor: Int, _ types: [ElementType]) throws(ModelError) {
    guard let type = tensors[tensor].type, types.contains(type) else {
      let found = tensors[tensor].type?.name ?? "element type \(tensors[tensor].typeCode)"
      throw ModelError(
        .unsupportedType, found, expected: types.map(\.name).joined(separator: " or "), at: .init(tensorIndex: tensor))
    }
  }

  /// The bytes of a constant tensor, whose length is checked against its shape and type.
  func constantBytes(_ tensor: Int) throws(ModelError) -> ArraySlice<UInt8> {
    let bytes: ArraySlice<UInt8>
    switch tensors[tensor].source {
    case .computed:
      throw ModelError(
        .malformed, "a computed tensor", expected: "a constant that is known at load", at: .init(tensorIndex: tensor))
    case .file(let range): bytes = file.bytes[range]
    case .folded(let values): bytes = values[...]
    }
    guard bytes.count == tensors[tensor].byteCount else {
      throw ModelError(
        .malformed, "\(bytes.count) bytes of data for shape \(tensors[tensor].shape)",
        expected: "\(tensors[tensor].byteCount) bytes", at: .init(tensorIndex: tensor))
    }
    return bytes
  }

  /// The values of a constant int32 or int64 tensor, in the int32 range.
  func integers(_ tensor: Int, atMost limit: Int) throws(ModelError) -> [Int] {
    try checkType(tensor, [.int32, .int64])
    guard tensors[tensor].elementCount <= limit else {
      throw ModelError(
        .invalidShape, "\(tensors[tensor].elementCount) values", expected: "at most \(limit)",
        at: .init(tensorIndex: tensor))
    }
    let bytes = try constantBytes(tensor)
    let size = tensors[tensor].type?.size ?? 4
    var values: [Int] = []
    values.reserveCapacity(bytes.count / size)
    var position = bytes.startIndex
    while position < bytes.endIndex {
      var pattern: UInt64 = 0
      for byte in 0..<size {
        pattern |= UInt64(bytes[position + byte]) << UInt64(8 * byte)
      }
      let value = size == 4 ? Int(Int32(truncatingIfNeeded: pattern)) : Int(Int64(bitPattern: pattern))
      guard value == Int(Int32(clamping: value)) else {
        throw ModelError(.invalidOption, "the value \(value)", expected: "32 bits", at: .init(tensorIndex: tensor))
      }
      values.append(value)
      position += size
    }
    return values
  }

  /// Scale and zero point of an int8 tensor quantised as a whole.
  func quantization(_ tensor: Int) throws(ModelError) -> (scale: Float, zeroPoint: Int32) {
    let place = ModelError.Place(tensorIndex: tensor)
    guard let quantization = tensors[tensor].quantization else {
      throw ModelError(.invalidQuantization, "none", expected: "a scale and a zero point", at: place)
    }
    guard quantization.scales.count == 1, quantization.zeroPoints.count == 1 else {
      throw ModelError(
        .invalidQuantization, "\(quantization.scales.count) scales", expected: "one for the whole tensor", at: place)
    }
    let scale = quantization.scales[0]
    let zeroPoint = quantization.zeroPoints[0]
    guard scale.isFinite, scale > 0 else {
      throw ModelError(.invalidQuantization, "scale \(scale)", expected: "a finite scale above 0", at: place)
    }
    guard (-128...127).contains(zeroPoint) else {
      throw ModelError(.invalidQuantization, "zero point \(zeroPoint)", expected: "-128 to 127", at: place)
    }
    return (scale, Int32(zeroPoint))
  }

  /// Declares the output: the type must be as computed, and the shape too wherever the file claims to know it.
  mutating func define(_ site: Site, shape: [Int], type: ElementType) throws(ModelError) {
    let place = ModelError.Place(tensorIndex: site.output)
    guard !isWritten[site.output] else {
      throw ModelError(
        .malformed, "an output that already has a value", expected: "one writer for each tensor", at: place)
    }
    try ModelFile.checkShape(shape, limits: limits)
    let declared = tensors[site.output]
    try checkType(site.output, [type])
    if declared.hasDeclaredShape {
      var agrees = declared.shape.count == shape.count
      if agrees {
        for axis in shape.indices where !declared.isDimensionUnknown[axis] && declared.shape[axis] != shape[axis] {
          agrees = false
        }
      }
      guard agrees else {
        throw ModelError(
          .invalidShape, "output shape \(declared.shape) in the file", expected: "\(shape) from the operator", at: place
        )
      }
    }
    tensors[site.output].shape = shape
    try markWritten(site.output)
  }

  /// Appends the node, or folds it into a constant when all it reads is constant.
  mutating func emit(
    _ site: Site, _ operation: Operation, inputs: [Int], work steps: Int
  ) throws(ModelError) {
    let (total, overflow) = work.addingReportingOverflow(steps)
    guard !overflow, total <= limits.work else {
      throw ModelError(.tooLarge, "more than \(limits.work) steps an invocation", expected: "a smaller model")
    }
    work = total
    for tensor in inputs where tensors[tensor].isConstant {
      _ = try constantBytes(tensor)
    }
    for tensor in [operation.constants.weights, operation.constants.bias].compactMap({ $0 }) {
      weightBytes += tensors[tensor].byteCount
    }
    guard weightBytes <= limits.weightBytes else {
      throw ModelError(
        .tooLarge, "more than \(limits.weightBytes) bytes of weights", expected: "a smaller model")
    }
    if operation.constants.weights == nil, foldedWork + steps <= limits.foldedWork,
      inputs.allSatisfy({ tensors[$0].isConstant })
    {
      foldedWork += steps
      tensors[site.output].source = .folded(try fold(operation, inputs: inputs, output: site.output))
    } else {
      nodes.append(
        Node(
          operation: operation, inputs: inputs, output: site.output, operatorIndex: site.index,
          operatorName: site.builtin.name))
    }
  }

  /// steps = a * b, or a limit error instead of an overflow.
  func product(_ a: Int, _ b: Int) throws(ModelError) -> Int {
    let (value, overflow) = a.multipliedReportingOverflow(by: b)
    guard !overflow else {
      throw ModelError(.tooLarge, "more than 2^63 steps", expected: "at most \(limits.work)")
    }
    return value
  }

  private func fold(_ operation: Operation, inputs: [Int], output: Int) throws(ModelError) -> [UInt8] {
    // Constants are at unaligned file offsets; operators on wider elements get aligned copies.
    var sources: [[UInt8]] = []
    for tensor in inputs {
      sources.append(Array(try constantBytes(tensor)))
    }
    var result = [UInt8](repeating: 0, count: tensors[output].byteCount)
    result.withUnsafeMutableBytes { target in
      guard let base = target.baseAddress else { return }
      let pointers = sources.map { source in
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(source.count, 1), alignment: 16)
        copy.copyBytes(from: source)
        return copy
      }
      ReferenceKernels.run(
        operation, inputs: pointers.compactMap { UnsafeRawPointer($0.baseAddress) }, output: base,
        weights: nil, bias: nil)
      for pointer in pointers {
        pointer.deallocate()
      }
    }
    return result
  }
}
