/// Operators that work value by value: ADD, SUB, MUL, the rectifiers, LOGISTIC, TANH, QUANTIZE, DEQUANTIZE, SOFTMAX.
extension GraphBuilder {
  /// NumPy broadcasting of two shapes, as element strides.
  private func broadcast(_ a: [Int], _ b: [Int]) throws(ModelError) -> Broadcast {
    let rank = max(a.count, b.count)
    let padded = [a, b].map { [Int](repeating: 1, count: rank - $0.count) + $0 }
    var shape: [Int] = []
    for axis in 0..<rank {
      let (x, y) = (padded[0][axis], padded[1][axis])
      guard x == y || x == 1 || y == 1 else {
        throw ModelError(.invalidShape, "operands \(a) and \(b)", expected: "shapes that broadcast")
      }
      shape.append(max(x, y))
    }
    let strides = padded.map { operand in
      zip(operand, rowMajorStrides(operand)).map { $0 == 1 ? 0 : $1 }
    }
    return Broadcast(shape: shape, strides: strides)
  }

  mutating func addSum(_ site: Site) throws(ModelError) {
    try require(site, inputs: 2...2)
    let operands = [try input(site, 0), try input(site, 1)]
    let a = try quantization(operands[0])
    let b = try quantization(operands[1])
    let output = try quantization(site.output)
    let broadcast = try broadcast(tensors[operands[0]].shape, tensors[operands[1]].shape)
    // Both operands are brought to twice the larger scale with 20 spare bits (`add.cc`, `sub.cc`).
    let twiceMaximum = 2 * Double(max(a.scale, b.scale))
    let outputFactor = twiceMaximum / (Double(1 << 20) * Double(output.scale))
    guard outputFactor < 1 else {
      throw ModelError(
        .invalidQuantization, "an output scale 2^19 times smaller than an operand's", expected: "comparable scales")
    }
    let sum = Sum(
      broadcast: broadcast, zeroPoints: [a.zeroPoint, b.zeroPoint],
      multipliers: [
        FixedPoint.Multiplier(Double(a.scale) / twiceMaximum), FixedPoint.Multiplier(Double(b.scale) / twiceMaximum),
      ],
      secondSign: site.builtin == .sub ? -1 : 1,
      outputMultiplier: FixedPoint.Multiplier(outputFactor), outputZeroPoint: output.zeroPoint,
      clamp: try clamp(activation: try site.options?.uint8(0) ?? 0, output: site.output))
    try define(site, shape: broadcast.shape, type: .int8)
    try emit(site, .sum(sum), inputs: operands, work: broadcast.count)
  }

  mutating func addProduct(_ site: Site) throws(ModelError) {
    try require(site, inputs: 2...2)
    let operands = [try input(site, 0), try input(site, 1)]
    let a = try quantization(operands[0])
    let b = try quantization(operands[1])
    let output = try quantization(site.output)
    let broadcast = try broadcast(tensors[operands[0]].shape, tensors[operands[1]].shape)
    let product = Product(
      broadcast: broadcast, zeroPoints: [a.zeroPoint, b.zeroPoint],
      multiplier: FixedPoint.Multiplier(Double(a.scale * b.scale / output.scale)), outputZeroPoint: output.zeroPoint,
      clamp: try clamp(activation: try site.options?.uint8(0) ?? 0, output: site.output))
    try define(site, shape: broadcast.shape, type: .int8)
    try emit(site, .product(product), inputs: operands, work: broadcast.count)
  }

  private mutating func addTable(
    _ site: Site, input tensor: Int, entry: (Int32) -> Int8
  ) throws(ModelError) {
    let count = tensors[tensor].elementCount
    try define(site, shape: tensors[tensor].shape, type: .int8)
    try emit(site, .table((Int32(-128)...127).map(entry), count: count), inputs: [tensor], work: count)
  }

  mutating func addRectifier(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...1)
    let tensor = try input(site, 0)
    let (inputScale, inputZeroPoint) = try quantization(tensor)
    let (outputScale, outputZeroPoint) = try quantization(site.output)
    let activation: Activation =
      switch site.builtin {
      case .relu6: .relu6
      case .reluN1To1: .reluN1To1
      default: .relu
      }
    let range = clamp(activation: activation, scale: outputScale, zeroPoint: outputZeroPoint)
    let multiplier = FixedPoint.Multiplier(Double(inputScale / outputScale))
    try addTable(site, input: tensor) { value in
      FixedPoint.clamp(
        FixedPoint.multiply(value - inputZeroPoint, by: multiplier), plus: outputZeroPoint, range)
    }
  }

  mutating func addLeakyRectifier(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...1)
    let tensor = try input(site, 0)
    let (inputScale, inputZeroPoint) = try quantization(tensor)
    let (outputScale, outputZeroPoint) = try quantization(site.output)
    let alpha = try site.options?.float(0) ?? 0
    guard alpha.isFinite else {
      throw ModelError(.invalidOption, "alpha \(alpha)", expected: "a finite slope")
    }
    let identity = FixedPoint.Multiplier(Double(inputScale / outputScale))
    let leak = FixedPoint.Multiplier(Double(inputScale * alpha / outputScale))
    try addTable(site, input: tensor) { value in
      let difference = value - inputZeroPoint
      return FixedPoint.clamp(
        FixedPoint.multiply(difference, by: difference >= 0 ? identity : leak), plus: outputZeroPoint)
    }
  }

  mutating func addSigmoid(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...1)
    let tensor = try input(site, 0)
    let (inputScale, inputZeroPoint) = try quantization(tensor)
    let (outputScale, outputZeroPoint) = try quantization(site.output)
    let isLogistic = site.builtin == .logistic
    let expected: (scale: Float, zeroPoint: Int32) = isLogistic ? (1 / 256, -128) : (1 / 128, 0)
    guard outputScale == expected.scale, outputZeroPoint == expected.zeroPoint else {
      throw ModelError(
        .invalidQuantization, "output scale \(outputScale), zero point \(outputZeroPoint)",
        expected: "\(expected.scale) and \(expected.zeroPoint)", at: .init(tensorIndex: site.output))
    }
    // `LUTPopulate`: the whole table in float32.
    let inverseScale = 1 / outputScale
    try addTable(site, input: tensor) { value in
      let real = inputScale * Float(value - inputZeroPoint)
      let result = isLogistic ? Transcendental.logistic(real) : Transcendental.tanh(real)
      let steps = Int32((result * inverseScale).rounded(.toNearestOrAwayFromZero))
      return FixedPoint.clamp(steps, plus: outputZeroPoint)
    }
  }

  mutating func addQuantize(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...1)
    let tensor = try input(site, 0, types: [.int8, .float32])
    let (outputScale, outputZeroPoint) = try quantization(site.output)
    guard tensors[tensor].type == .int8 else {
      let count = tensors[tensor].elementCount
      try define(site, shape: tensors[tensor].shape, type: .int8)
      try emit(
        site, .quantize(scale: outputScale, zeroPoint: outputZeroPoint, count: count), inputs: [tensor], work: count)
      return
    }
    let (inputScale, inputZeroPoint) = try quantization(tensor)
    let multiplier = FixedPoint.Multiplier(Double(inputScale) / Double(outputScale))
    try addTable(site, input: tensor) { value in
      FixedPoint.clamp(FixedPoint.multiply(value - inputZeroPoint, by: multiplier), plus: outputZeroPoint)
    }
  }

  mutating func addDequantize(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...1)
    let tensor = try input(site, 0)
    let (scale, zeroPoint) = try quantization(tensor)
    let count = tensors[tensor].elementCount
    try define(site, shape: tensors[tensor].shape, type: .float32)
    try emit(site, .dequantize(scale: scale, zeroPoint: zeroPoint, count: count), inputs: [tensor], work: count)
  }

  mutating func addSoftmax(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...1)
    let tensor = try input(site, 0)
    let (scale, _) = try quantization(tensor)
    let output = try quantization(site.output)
    guard output.scale == 1 / 256, output.zeroPoint == -128 else {
      throw ModelError(
        .invalidQuantization, "output scale \(output.scale), zero point \(output.zeroPoint)",
        expected: "1/256 and -128", at: .init(tensorIndex: site.output))
    }
    let shape = tensors[tensor].shape
    guard let depth = shape.last else {
      throw ModelError(.invalidShape, "a scalar", expected: "at least one dimension")
    }
    guard depth < 1 << 12 else {
      // The sum of probabilities has 12 integer bits.
      throw ModelError(.tooLarge, "rows of \(depth)", expected: "at most 4095")
    }
    let beta = try site.options?.float(0) ?? 0
    let factor = min(Double(beta) * Double(scale) * Double(1 << 26), Double(Int32.max))
    guard beta.isFinite, factor > 1 else {
      throw ModelError(
        .invalidOption, "beta \(beta) with input scale \(scale)", expected: "beta * scale above 2^-26")
    }
    let multiplier = FixedPoint.Multiplier(factor)
    let radius = Double(31 << 26) / Double(Int64(1) << Int64(multiplier.exponent))
    let softmax = Softmax(
      rows: tensors[tensor].elementCount / depth, depth: depth, multiplier: multiplier,
      minimumDifference: -Int32(radius.rounded(.down)))
    try define(site, shape: shape, type: .int8)
    try emit(site, .softmax(softmax), inputs: [tensor], work: try product(tensors[tensor].elementCount, 8))
  }
}
