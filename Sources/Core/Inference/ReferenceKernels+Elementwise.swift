extension ReferenceKernels {
  // MARK: Two operands

  /// ADD and SUB: both operands at a common scale with 20 spare bits, then one requantisation.
  static func sum(
    _ p: Sum, _ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>, output: UnsafeMutablePointer<Int8>
  ) {
    forEachPair(p.broadcast, a, b) { index, x, y in
      let first = FixedPoint.multiply((x &- p.zeroPoints[0]) << 20, by: p.multipliers[0])
      let second = FixedPoint.multiply((y &- p.zeroPoints[1]) << 20, by: p.multipliers[1])
      let total = first &+ p.secondSign &* second
      output[index] = FixedPoint.clamp(
        FixedPoint.multiply(total, by: p.outputMultiplier), plus: p.outputZeroPoint, p.clamp)
    }
  }

  static func product(
    _ p: Product, _ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>, output: UnsafeMutablePointer<Int8>
  ) {
    forEachPair(p.broadcast, a, b) { index, x, y in
      let value = (x &- p.zeroPoints[0]) &* (y &- p.zeroPoints[1])
      output[index] = FixedPoint.clamp(
        FixedPoint.multiply(value, by: p.multiplier), plus: p.outputZeroPoint, p.clamp)
    }
  }

  @inline(__always)
  private static func forEachPair(
    _ broadcast: Broadcast, _ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>,
    _ body: (_ index: Int, _ x: Int32, _ y: Int32) -> Void
  ) {
    for index in 0..<broadcast.count {
      let x = a[offset(of: index, shape: broadcast.shape, strides: broadcast.strides[0])]
      let y = b[offset(of: index, shape: broadcast.shape, strides: broadcast.strides[1])]
      body(index, Int32(x), Int32(y))
    }
  }

  // MARK: One operand

  static func lookUp(
    _ entries: [Int8], count: Int, input: UnsafePointer<Int8>, output: UnsafeMutablePointer<Int8>
  ) {
    for index in 0..<count {
      output[index] = entries[Int(input[index]) + 128]
    }
  }

  /// Values outside int8 saturate; NaN, for which the reference is undefined, becomes the zero point.
  static func quantize(
    scale: Float, zeroPoint: Int32, count: Int, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Int8>
  ) {
    for index in 0..<count {
      output[index] = quantized(input[index], scale: scale, zeroPoint: zeroPoint)
    }
  }

  static func quantized(_ value: Float, scale: Float, zeroPoint: Int32) -> Int8 {
    let steps = (value / scale).rounded(.toNearestOrAwayFromZero)
    let bounded = steps.isNaN ? 0 : Int32(min(max(steps, -65536), 65536))
    return FixedPoint.clamp(bounded, plus: zeroPoint)
  }

  static func dequantize(
    scale: Float, zeroPoint: Int32, count: Int, input: UnsafePointer<Int8>, output: UnsafeMutablePointer<Float>
  ) {
    for index in 0..<count {
      output[index] = Float(Double(scale) * Double(Int32(input[index]) - zeroPoint))
    }
  }

  // MARK: Data movement

  static func move(_ p: Move, inputs: [UnsafeRawPointer], output: UnsafeMutableRawPointer) {
    if let fill = p.fill {
      output.assumingMemoryBound(to: Int8.self).update(repeating: fill, count: p.outputCount)
    }
    for box in p.boxes {
      let source = inputs[box.input] + box.sourceOffset * p.elementSize
      let target = output + box.destinationOffset * p.elementSize
      for index in 0..<box.shape.reduce(1, *) {
        let from = offset(of: index, shape: box.shape, strides: box.sourceStrides)
        let to = offset(of: index, shape: box.shape, strides: box.destinationStrides)
        (target + to * p.elementSize).copyMemory(from: source + from * p.elementSize, byteCount: p.elementSize)
      }
    }
  }
}
