/// Operators that reduce: MAX_POOL_2D, AVERAGE_POOL_2D, MEAN.
extension GraphBuilder {
  /// Pools keep their input's quantisation: they work on the stored integers.
  private func requireSameQuantization(_ tensor: Int, _ output: Int) throws(ModelError) {
    let a = try quantization(tensor)
    let b = try quantization(output)
    guard a.zeroPoint == b.zeroPoint, (a.scale - b.scale).magnitude <= 1e-6 else {
      throw ModelError(
        .invalidQuantization, "scale \(b.scale), zero point \(b.zeroPoint)",
        expected: "the input's: \(a.scale) and \(a.zeroPoint)", at: .init(tensorIndex: output))
    }
  }

  mutating func addPool(_ site: Site) throws(ModelError) {
    try require(site, inputs: 1...1)
    let tensor = try input(site, 0)
    let shape = tensors[tensor].shape
    guard shape.count == 4 else {
      throw ModelError(.invalidShape, "input \(shape)", expected: "[batch, height, width, channels]")
    }
    guard let options = site.options else {
      throw ModelError(.malformed, "no options", expected: "window, strides and padding")
    }
    try requireSameQuantization(tensor, site.output)
    let padding = try padding(try options.uint8(0))
    let (strideHeight, strideWidth) = (try options.int32(2), try options.int32(1))
    let (windowHeight, windowWidth) = (try options.int32(4), try options.int32(3))
    let vertical = try window(
      input: shape[1], kernel: windowHeight, stride: strideHeight, padding: padding, axis: "vertical")
    let horizontal = try window(
      input: shape[2], kernel: windowWidth, stride: strideWidth, padding: padding, axis: "horizontal")
    let pool = Pool(
      batch: shape[0], inputHeight: shape[1], inputWidth: shape[2], channels: shape[3],
      outputHeight: vertical.output, outputWidth: horizontal.output,
      windowHeight: windowHeight, windowWidth: windowWidth,
      strideHeight: strideHeight, strideWidth: strideWidth,
      padTop: vertical.padBefore, padLeft: horizontal.padBefore,
      clamp: try clamp(activation: try options.uint8(5), output: site.output))
    let outputShape = [shape[0], vertical.output, horizontal.output, shape[3]]
    try define(site, shape: outputShape, type: .int8)
    let taps = min(windowHeight, shape[1]) * min(windowWidth, shape[2])
    try emit(
      site, site.builtin == .maxPool2D ? .maxPool(pool) : .averagePool(pool), inputs: [tensor],
      work: try product(outputShape.reduce(1, *), taps))
  }

  mutating func addMean(_ site: Site) throws(ModelError) {
    try require(site, inputs: 2...2)
    let tensor = try input(site, 0)
    let shape = tensors[tensor].shape
    var isReduced = [Bool](repeating: false, count: shape.count)
    for axis in try integers(try input(site, 1, types: [.int32, .int64]), atMost: 2 * limits.rank) {
      guard (-shape.count..<shape.count).contains(axis) else {
        throw ModelError(.invalidOption, "axis \(axis) of \(shape)", expected: "\(-shape.count) to \(shape.count - 1)")
      }
      isReduced[axis < 0 ? axis + shape.count : axis] = true
    }
    let keepsDimensions = try site.options?.bool(0) ?? false
    let strides = rowMajorStrides(shape)
    let kept = shape.indices.filter { !isReduced[$0] }
    let reduced = shape.indices.filter { isReduced[$0] }
    let count = reduced.reduce(1) { $0 * shape[$1] }

    let (inputScale, inputZeroPoint) = try quantization(tensor)
    let (outputScale, outputZeroPoint) = try quantization(site.output)
    let mean = Mean(
      keptShape: kept.map { shape[$0] }, keptStrides: kept.map { strides[$0] },
      reducedShape: reduced.map { shape[$0] }, reducedStrides: reduced.map { strides[$0] },
      inputZeroPoint: inputZeroPoint, outputZeroPoint: outputZeroPoint,
      multiplier: Self.meanMultiplier(Double(inputScale) / Double(outputScale), count: count),
      layout: Self.neighbours(shape, isReduced: isReduced))
    let outputShape = shape.indices.compactMap { isReduced[$0] ? (keepsDimensions ? 1 : nil) : shape[$0] }
    try define(site, shape: outputShape, type: .int8)
    try emit(site, .mean(mean), inputs: [tensor], work: tensors[tensor].elementCount)
  }

  /// The shape as [outer, count, inner] when the reduced axes of length above 1 are neighbours.
  private static func neighbours(_ shape: [Int], isReduced: [Bool]) -> (outer: Int, count: Int, inner: Int)? {
    let reduced = shape.indices.filter { isReduced[$0] && shape[$0] != 1 }
    guard let first = reduced.first, let last = reduced.last else {
      return (shape.reduce(1, *), 1, 1)
    }
    guard (first...last).allSatisfy({ isReduced[$0] || shape[$0] == 1 }) else { return nil }
    return (
      shape[..<first].reduce(1, *), shape[first...last].reduce(1, *), shape[(last + 1)...].reduce(1, *)
    )
  }

  /// The scale ratio with the division by `count` folded in, at the precision the reference keeps (`reduce.cc`,
  /// `EvalMean`): the mantissa is shifted up as far as the count and 64 bits allow, then divided, truncating.
  static func meanMultiplier(_ factor: Double, count: Int) -> FixedPoint.Multiplier {
    let multiplier = FixedPoint.Multiplier(factor)
    let log2 = Int.bitWidth - 1 - count.leadingZeroBitCount
    let shift = min(log2, 32, 31 + Int(multiplier.exponent))
    let mantissa = (Int64(multiplier.mantissa) << Int64(shift)) / Int64(count)
    return FixedPoint.Multiplier(
      mantissa: Int32(truncatingIfNeeded: mantissa), exponent: multiplier.exponent - Int32(shift))
  }
}
