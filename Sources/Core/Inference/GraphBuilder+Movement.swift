/// Operators that only move data: RESHAPE, EXPAND_DIMS, SQUEEZE, SHAPE, PAD, CONCATENATION, PACK, TRANSPOSE and the
/// space-batch pair. STRIDED_SLICE has a file of its own.
extension GraphBuilder {
  static let movableTypes: [ElementType] = [.int8, .int32, .float32]

  /// The output of a movement keeps its input's type; the bytes are the same, so is the element size.
  func elementType(_ tensor: Int) throws(ModelError) -> ElementType {
    guard let type = tensors[tensor].type, Self.movableTypes.contains(type) else {
      throw ModelError(
        .unsupportedType, "element type \(tensors[tensor].typeCode)", expected: "int8, int32 or float32",
        at: .init(tensorIndex: tensor))
    }
    return type
  }

  mutating func emitMove(
    _ site: Site, inputs: [Int], shape: [Int], fill: Int8? = nil, boxes: [Move.Box], pattern: Move.Pattern? = nil
  ) throws(ModelError) {
    let type = try elementType(inputs[0])
    try define(site, shape: shape, type: type)
    let count = shape.reduce(1, *)
    try emit(
      site, .move(Move(elementSize: type.size, outputCount: count, fill: fill, boxes: boxes, pattern: pattern)),
      inputs: inputs, work: count)
  }

  // MARK: The same bytes under another shape

  private mutating func emitReshape(_ site: Site, input tensor: Int, shape: [Int]) throws(ModelError) {
    try define(site, shape: shape, type: try elementType(tensor))
    try emit(
      site, .reshape(byteCount: tensors[tensor].byteCount), inputs: [tensor], work: tensors[tensor].elementCount)
  }

  mutating func addReshape(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...2)
    let tensor = try input(site, 0, types: Self.movableTypes)
    let requested: [Int]
    if site.inputs.count == 2, site.inputs[1] != -1 {
      requested = try integers(try input(site, 1, types: [.int32]), atMost: limits.rank)
    } else {
      let values = try site.options?.int32s(0, atMost: limits.rank) ?? []
      // Old converters write [0] for a scalar.
      requested = values == [0] ? [] : values
    }
    let count = tensors[tensor].elementCount
    var known = 1
    var wildcard: Int?
    for (axis, dimension) in requested.enumerated() {
      if dimension == -1, wildcard == nil {
        wildcard = axis
      } else {
        guard dimension >= 1, dimension <= count / known else {
          throw ModelError(
            .invalidShape, "new shape \(requested) for \(count) elements", expected: "the same number of elements")
        }
        known *= dimension
      }
    }
    var shape = requested
    if let wildcard {
      shape[wildcard] = count / known
      known *= shape[wildcard]
    }
    guard known == count else {
      throw ModelError(
        .invalidShape, "new shape \(requested) for \(count) elements", expected: "the same number of elements")
    }
    try emitReshape(site, input: tensor, shape: shape)
  }

  mutating func addExpandDimensions(_ site: Site) throws(ModelError) {
    try require(site, inputs: 2...2)
    let tensor = try input(site, 0, types: Self.movableTypes)
    let axes = try integers(try input(site, 1, types: [.int32, .int64]), atMost: 1)
    let rank = tensors[tensor].shape.count
    guard axes.count == 1, (-rank - 1...rank).contains(axes[0]) else {
      throw ModelError(.invalidOption, "axis \(axes)", expected: "one of \(-rank - 1) to \(rank)")
    }
    var shape = tensors[tensor].shape
    shape.insert(1, at: axes[0] < 0 ? axes[0] + rank + 1 : axes[0])
    try emitReshape(site, input: tensor, shape: shape)
  }

  mutating func addSqueeze(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...1)
    let tensor = try input(site, 0, types: Self.movableTypes)
    let source = tensors[tensor].shape
    let axes = try site.options?.int32s(0, atMost: limits.rank) ?? []
    var isDropped = source.map { axes.isEmpty && $0 == 1 }
    for axis in axes {
      let resolved = axis < 0 ? axis + source.count : axis
      guard source.indices.contains(resolved), source[resolved] == 1 else {
        throw ModelError(.invalidOption, "squeeze axis \(axis) of \(source)", expected: "an axis of length 1")
      }
      isDropped[resolved] = true
    }
    try emitReshape(site, input: tensor, shape: source.indices.filter { !isDropped[$0] }.map { source[$0] })
  }

  /// SHAPE of a tensor whose shape is known is a constant.
  mutating func addShape(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...1)
    let tensor = try input(site, 0, types: Self.movableTypes)
    let shape = tensors[tensor].shape
    try define(site, shape: [shape.count], type: .int32)
    var bytes: [UInt8] = []
    for dimension in shape {
      withUnsafeBytes(of: Int32(dimension).littleEndian) { bytes.append(contentsOf: $0) }
    }
    tensors[site.output].source = .folded(bytes)
  }

  // MARK: Joining

  mutating func addConcatenation(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...256)
    guard try site.options?.uint8(1) ?? 0 == 0 else {
      throw ModelError(.invalidOption, "a fused activation", expected: "none")
    }
    var operands: [Int] = []
    for position in site.inputs.indices {
      operands.append(try input(site, position, types: Self.movableTypes))
    }
    let first = tensors[operands[0]]
    let axisOption = try site.options?.int32(0) ?? 0
    let axis = axisOption < 0 ? axisOption + first.shape.count : axisOption
    guard first.shape.indices.contains(axis) else {
      throw ModelError(.invalidOption, "axis \(axisOption) of \(first.shape)", expected: "an axis of the inputs")
    }
    var shape = first.shape
    shape[axis] = 0
    for operand in operands {
      var expected = tensors[operand].shape
      guard expected.count == shape.count, tensors[operand].type == first.type else {
        throw ModelError(
          .invalidShape, "\(expected) beside \(first.shape)", expected: "equal ranks and types",
          at: .init(tensorIndex: operand))
      }
      shape[axis] += expected[axis]
      expected[axis] = first.shape[axis]
      guard expected == first.shape else {
        throw ModelError(
          .invalidShape, "\(tensors[operand].shape) beside \(first.shape)",
          expected: "shapes equal but for axis \(axis)",
          at: .init(tensorIndex: operand))
      }
      if first.type == .int8 {
        try requireEqualQuantization(operand, site.output)
      }
    }
    try ModelFile.checkShape(shape, limits: limits)
    let strides = rowMajorStrides(shape)
    var offset = 0
    var boxes: [Move.Box] = []
    for (position, operand) in operands.enumerated() {
      let part = tensors[operand].shape
      boxes.append(
        Move.Box(
          input: position, shape: part, sourceStrides: rowMajorStrides(part), destinationOffset: offset,
          destinationStrides: strides))
      offset += part[axis] * strides[axis]
    }
    try emitMove(site, inputs: operands, shape: shape, boxes: boxes)
  }

  private func requireEqualQuantization(_ tensor: Int, _ output: Int) throws(ModelError) {
    let a = try quantization(tensor)
    let b = try quantization(output)
    guard a == b else {
      throw ModelError(
        .invalidQuantization, "scale \(a.scale), zero point \(a.zeroPoint)",
        expected: "the output's: \(b.scale) and \(b.zeroPoint)", at: .init(tensorIndex: tensor))
    }
  }

  mutating func addPack(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...256)
    guard let options = site.options, try options.int32(0) == site.inputs.count else {
      throw ModelError(.malformed, "a values_count unlike the \(site.inputs.count) inputs", expected: "equal counts")
    }
    var operands: [Int] = []
    for position in site.inputs.indices {
      operands.append(try input(site, position, types: Self.movableTypes))
    }
    let part = tensors[operands[0]].shape
    let axisOption = try options.int32(1)
    let axis = axisOption < 0 ? axisOption + part.count + 1 : axisOption
    guard (0...part.count).contains(axis) else {
      throw ModelError(.invalidOption, "axis \(axisOption)", expected: "\(-part.count - 1) to \(part.count)")
    }
    for operand in operands where tensors[operand].shape != part || tensors[operand].type != tensors[operands[0]].type {
      throw ModelError(
        .invalidShape, "\(tensors[operand].shape) beside \(part)", expected: "equal shapes and types",
        at: .init(tensorIndex: operand))
    }
    var shape = part
    shape.insert(operands.count, at: axis)
    try ModelFile.checkShape(shape, limits: limits)
    var strides = rowMajorStrides(shape)
    let step = strides.remove(at: axis)
    let boxes = operands.indices.map {
      Move.Box(
        input: $0, shape: part, sourceStrides: rowMajorStrides(part), destinationOffset: $0 * step,
        destinationStrides: strides)
    }
    try emitMove(site, inputs: operands, shape: shape, boxes: boxes)
  }

  // MARK: Padding and transposition

  /// A constant [rank, 2] tensor of amounts before and after each axis, none negative.
  private func amounts(_ tensor: Int, rank: Int) throws(ModelError) -> [(before: Int, after: Int)] {
    let values = try integers(tensor, atMost: 2 * rank)
    guard tensors[tensor].shape == [rank, 2] else {
      throw ModelError(
        .invalidShape, "amounts of shape \(tensors[tensor].shape)", expected: "[\(rank), 2]",
        at: .init(tensorIndex: tensor))
    }
    for value in values where value < 0 || value > limits.tensorElements {
      throw ModelError(
        .invalidOption, "an amount of \(value)", expected: "0 to \(limits.tensorElements)",
        at: .init(tensorIndex: tensor))
    }
    return (0..<rank).map { (values[2 * $0], values[2 * $0 + 1]) }
  }

  mutating func addPad(_ site: Site) throws(ModelError) {
    let takesValue = site.builtin == .padV2
    try require(site, inputs: takesValue ? 3...3 : 2...2)
    let tensor = try input(site, 0)
    let source = tensors[tensor].shape
    let pads = try amounts(try input(site, 1, types: [.int32, .int64]), rank: source.count)
    var value = Int8(try quantization(site.output).zeroPoint)
    if takesValue {
      let constant = try input(site, 2)
      let bytes = try constantBytes(constant)
      guard bytes.count == 1, let byte = bytes.first else {
        throw ModelError(.invalidShape, "\(bytes.count) pad values", expected: "1", at: .init(tensorIndex: constant))
      }
      try requireEqualQuantization(constant, site.output)
      value = Int8(bitPattern: byte)
    }
    let shape = zip(source, pads).map { $0 + $1.before + $1.after }
    try ModelFile.checkShape(shape, limits: limits)
    let strides = rowMajorStrides(shape)
    let offset = zip(pads, strides).reduce(0) { $0 + $1.0.before * $1.1 }
    let box = Move.Box(
      input: 0, shape: source, sourceStrides: rowMajorStrides(source), destinationOffset: offset,
      destinationStrides: strides)
    // Batches and channels untouched.
    let isSpatial = source.count == 4 && shape[0] == source[0] && shape[3] == source[3]
    try emitMove(
      site, inputs: [tensor], shape: shape, fill: value, boxes: [box],
      pattern: isSpatial ? .padding(top: pads[1].before, left: pads[2].before) : nil)
  }

  mutating func addTranspose(_ site: Site) throws(ModelError) {
    try require(site, inputs: 2...2)
    let tensor = try input(site, 0, types: Self.movableTypes)
    let source = tensors[tensor].shape
    let permutation = try integers(try input(site, 1, types: [.int32, .int64]), atMost: limits.rank).map {
      $0 < 0 ? $0 + source.count : $0
    }
    guard permutation.sorted() == Array(source.indices) else {
      throw ModelError(
        .invalidOption, "permutation \(permutation) of \(source.count) axes", expected: "each axis once")
    }
    let strides = rowMajorStrides(source)
    let shape = permutation.map { source[$0] }
    let box = Move.Box(
      input: 0, shape: shape, sourceStrides: permutation.map { strides[$0] },
      destinationStrides: rowMajorStrides(shape))
    try emitMove(site, inputs: [tensor], shape: shape, boxes: [box])
  }

  // MARK: Space and batch

  private struct Blocks {
    var sizes: [Int]
    var amounts: [(before: Int, after: Int)]
  }

  /// Block sizes and paddings or crops of the M spatial axes after the batch.
  private func blocks(_ site: Site, shape: [Int]) throws(ModelError) -> Blocks {
    try require(site, inputs: 3...3)
    let sizes = try integers(try input(site, 1, types: [.int32]), atMost: limits.rank)
    // The reference takes [batch, width, channels] and [batch, height, width, channels].
    guard (3...4).contains(shape.count), sizes.count == shape.count - 2 else {
      throw ModelError(
        .invalidShape, "\(sizes.count) block sizes for input \(shape)",
        expected: "3-D or 4-D input, one size a spatial axis")
    }
    for size in sizes where !(1...limits.tensorElements).contains(size) {
      throw ModelError(.invalidOption, "block size \(size)", expected: "at least 1")
    }
    return Blocks(sizes: sizes, amounts: try amounts(try input(site, 2, types: [.int32]), rank: sizes.count))
  }

  /// The boxes of both directions: for each phase within a block, the positions of the space tensor that have it form a
  /// strided box, and so do those of the batch tensor.
  private func phases(
    space: [Int], batched: [Int], blocks: Blocks, body: (_ phase: [Int], _ index: Int) -> Move.Box?
  ) throws(ModelError) -> [Move.Box] {
    let count = try product(blocks.sizes[0], blocks.sizes.count > 1 ? blocks.sizes[1] : 1)
    guard count <= 1 << 16 else {
      throw ModelError(.tooLarge, "\(count) positions in a block", expected: "at most 65536")
    }
    var boxes: [Move.Box] = []
    for index in 0..<count {
      let phase = blocks.sizes.count > 1 ? [index / blocks.sizes[1], index % blocks.sizes[1]] : [index]
      if let box = body(phase, index) {
        boxes.append(box)
      }
    }
    return boxes
  }

  /// Along one axis: block row r holds space position r * size + phase - before. The rows inside 0..<length.
  private func rows(phase: Int, size: Int, before: Int, length: Int, rows: Int) -> Range<Int> {
    let first = max(0, (before - phase + size - 1) / size)
    let end = min(rows, (length - 1 + before - phase) / size + 1)
    return length - 1 + before - phase < 0 || first >= end ? 0..<0 : first..<end
  }

  mutating func addSpaceToBatch(_ site: Site) throws(ModelError) {
    let tensor = try input(site, 0)
    let source = tensors[tensor].shape
    let blocks = try blocks(site, shape: source)
    var shape = source
    for (axis, size) in blocks.sizes.enumerated() {
      let padded = source[axis + 1] + blocks.amounts[axis].before + blocks.amounts[axis].after
      guard padded.isMultiple(of: size) else {
        throw ModelError(.invalidShape, "\(padded) padded positions", expected: "a multiple of the block size \(size)")
      }
      shape[axis + 1] = padded / size
      shape[0] = try product(shape[0], size)
    }
    try ModelFile.checkShape(shape, limits: limits)
    let boxes = try spaceBatchBoxes(space: source, batched: shape, blocks: blocks, intoBatch: true)
    let fill = Int8(try quantization(site.output).zeroPoint)
    try emitMove(
      site, inputs: [tensor], shape: shape, fill: fill, boxes: boxes,
      pattern: blocks.sizes.count == 2
        ? .spaceToBatch(blocks: blocks.sizes, before: blocks.amounts.map(\.before)) : nil)
  }

  mutating func addBatchToSpace(_ site: Site) throws(ModelError) {
    let tensor = try input(site, 0)
    let source = tensors[tensor].shape
    let blocks = try blocks(site, shape: source)
    var shape = source
    for (axis, size) in blocks.sizes.enumerated() {
      guard shape[0].isMultiple(of: size) else {
        throw ModelError(.invalidShape, "a batch of \(source[0])", expected: "a multiple of all block sizes")
      }
      shape[0] /= size
      shape[axis + 1] = try product(source[axis + 1], size) - blocks.amounts[axis].before - blocks.amounts[axis].after
    }
    try ModelFile.checkShape(shape, limits: limits)
    let boxes = try spaceBatchBoxes(space: shape, batched: source, blocks: blocks, intoBatch: false)
    try emitMove(
      site, inputs: [tensor], shape: shape, boxes: boxes,
      pattern: blocks.sizes.count == 2
        ? .batchToSpace(blocks: blocks.sizes, before: blocks.amounts.map(\.before)) : nil)
  }

  private func spaceBatchBoxes(
    space: [Int], batched: [Int], blocks: Blocks, intoBatch: Bool
  ) throws(ModelError) -> [Move.Box] {
    let spaceStrides = rowMajorStrides(space)
    let batchedStrides = rowMajorStrides(batched)
    return try phases(space: space, batched: batched, blocks: blocks) { phase, index in
      var shape = space
      var strides = spaceStrides
      var spaceOffset = 0
      var batchedOffset = index * space[0] * batchedStrides[0]
      for axis in phase.indices {
        let size = blocks.sizes[axis]
        let before = blocks.amounts[axis].before
        let rows = rows(
          phase: phase[axis], size: size, before: before, length: space[axis + 1], rows: batched[axis + 1])
        guard !rows.isEmpty else { return nil }
        shape[axis + 1] = rows.count
        spaceOffset += (rows.lowerBound * size + phase[axis] - before) * spaceStrides[axis + 1]
        strides[axis + 1] = size * spaceStrides[axis + 1]
        batchedOffset += rows.lowerBound * batchedStrides[axis + 1]
      }
      return intoBatch
        ? Move.Box(
          input: 0, shape: shape, sourceOffset: spaceOffset, sourceStrides: strides,
          destinationOffset: batchedOffset, destinationStrides: batchedStrides)
        : Move.Box(
          input: 0, shape: shape, sourceOffset: batchedOffset, sourceStrides: batchedStrides,
          destinationOffset: spaceOffset, destinationStrides: strides)
    }
  }
}
