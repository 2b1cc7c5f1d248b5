/// The definition of right: every operator written plainly after TFLite's reference kernels. Parameters were validated
/// when the graph was built, so these check nothing; they allocate nothing that outlives a call.
enum ReferenceKernels {
  /// Runs one operation on row-major buffers.
  /// - Parameters:
  ///   - inputs: one pointer for each of the node's inputs.
  ///   - weights, bias: the constants of a convolution or dense layer; nil elsewhere or without bias.
  static func run(
    _ operation: Operation, inputs: [UnsafeRawPointer], output: UnsafeMutableRawPointer,
    weights: UnsafePointer<Int8>?, bias: UnsafePointer<Int32>?
  ) {
    func int8(_ position: Int) -> UnsafePointer<Int8> { inputs[position].assumingMemoryBound(to: Int8.self) }
    let target = output.assumingMemoryBound(to: Int8.self)
    switch operation {
    case .convolution(let parameters):
      guard let weights else { return }
      switch parameters.kind {
      case .full(let groups):
        convolution(parameters, groups: groups, input: int8(0), weights: weights, bias: bias, output: target)
      case .depthwise:
        depthwise(parameters, input: int8(0), weights: weights, bias: bias, output: target)
      }
    case .dense(let parameters):
      guard let weights else { return }
      dense(parameters, input: int8(0), weights: weights, bias: bias, output: target)
    case .sum(let parameters): sum(parameters, int8(0), int8(1), output: target)
    case .product(let parameters): product(parameters, int8(0), int8(1), output: target)
    case .maxPool(let parameters): maxPool(parameters, input: int8(0), output: target)
    case .averagePool(let parameters): averagePool(parameters, input: int8(0), output: target)
    case .mean(let parameters): mean(parameters, input: int8(0), output: target)
    case .table(let entries, let count): lookUp(entries, count: count, input: int8(0), output: target)
    case .softmax(let parameters): softmax(parameters, input: int8(0), output: target)
    case .quantize(let scale, let zeroPoint, let count):
      quantize(
        scale: scale, zeroPoint: zeroPoint, count: count, input: inputs[0].assumingMemoryBound(to: Float.self),
        output: target)
    case .dequantize(let scale, let zeroPoint, let count):
      dequantize(
        scale: scale, zeroPoint: zeroPoint, count: count, input: int8(0),
        output: output.assumingMemoryBound(to: Float.self))
    case .move(let parameters): move(parameters, inputs: inputs, output: output)
    case .reshape(let byteCount): output.copyMemory(from: inputs[0], byteCount: byteCount)
    }
  }
}

// MARK: Weights

extension ReferenceKernels {
  /// CONV_2D (`reference_integer_ops::ConvPerChannel`). Taps outside the input contribute nothing.
  static func convolution(
    _ p: Convolution, groups: Int, input: UnsafePointer<Int8>, weights: UnsafePointer<Int8>,
    bias: UnsafePointer<Int32>?, output: UnsafeMutablePointer<Int8>
  ) {
    let groupInputs = p.inputChannels / groups
    let groupOutputs = p.outputChannels / groups
    var target = output
    for batch in 0..<p.batch {
      for y in 0..<p.outputHeight {
        for x in 0..<p.outputWidth {
          for channel in 0..<p.outputChannels {
            var sum = bias?[channel] ?? 0
            let firstInput = channel / groupOutputs * groupInputs
            for tapY in 0..<p.kernelHeight {
              let row = y * p.strideHeight - p.padTop + tapY * p.dilationHeight
              guard row >= 0, row < p.inputHeight else { continue }
              for tapX in 0..<p.kernelWidth {
                let column = x * p.strideWidth - p.padLeft + tapX * p.dilationWidth
                guard column >= 0, column < p.inputWidth else { continue }
                let pixel =
                  input + ((batch * p.inputHeight + row) * p.inputWidth + column) * p.inputChannels + firstInput
                let tap = weights + ((channel * p.kernelHeight + tapY) * p.kernelWidth + tapX) * groupInputs
                for index in 0..<groupInputs {
                  sum &+= Int32(tap[index]) &* (Int32(pixel[index]) &- p.inputZeroPoint)
                }
              }
            }
            target.pointee = requantize(sum, channel, p)
            target += 1
          }
        }
      }
    }
  }

  /// DEPTHWISE_CONV_2D (`reference_integer_ops::DepthwiseConvPerChannel`).
  static func depthwise(
    _ p: Convolution, input: UnsafePointer<Int8>, weights: UnsafePointer<Int8>, bias: UnsafePointer<Int32>?,
    output: UnsafeMutablePointer<Int8>
  ) {
    let multiplier = p.outputChannels / p.inputChannels
    var target = output
    for batch in 0..<p.batch {
      for y in 0..<p.outputHeight {
        for x in 0..<p.outputWidth {
          for channel in 0..<p.outputChannels {
            var sum = bias?[channel] ?? 0
            for tapY in 0..<p.kernelHeight {
              let row = y * p.strideHeight - p.padTop + tapY * p.dilationHeight
              guard row >= 0, row < p.inputHeight else { continue }
              for tapX in 0..<p.kernelWidth {
                let column = x * p.strideWidth - p.padLeft + tapX * p.dilationWidth
                guard column >= 0, column < p.inputWidth else { continue }
                let value =
                  input[
                    ((batch * p.inputHeight + row) * p.inputWidth + column) * p.inputChannels + channel / multiplier]
                let weight = weights[(tapY * p.kernelWidth + tapX) * p.outputChannels + channel]
                sum &+= Int32(weight) &* (Int32(value) &- p.inputZeroPoint)
              }
            }
            target.pointee = requantize(sum, channel, p)
            target += 1
          }
        }
      }
    }
  }

  @inline(__always)
  private static func requantize(_ sum: Int32, _ channel: Int, _ p: Convolution) -> Int8 {
    FixedPoint.clamp(FixedPoint.multiply(sum, by: p.multipliers[channel]), plus: p.outputZeroPoint, p.clamp)
  }

  /// FULLY_CONNECTED. The reference requantises in float64 here, not in fixed point.
  static func dense(
    _ p: Dense, input: UnsafePointer<Int8>, weights: UnsafePointer<Int8>, bias: UnsafePointer<Int32>?,
    output: UnsafeMutablePointer<Int8>
  ) {
    for batch in 0..<p.batch {
      let row = input + batch * p.inputCount
      for channel in 0..<p.outputCount {
        let column = weights + channel * p.inputCount
        var sum = bias?[channel] ?? 0
        for index in 0..<p.inputCount {
          sum &+= (Int32(column[index]) &- p.weightZeroPoint) &* (Int32(row[index]) &- p.inputZeroPoint)
        }
        let scaled = (Double(sum) * p.scales[channel]).rounded(.toNearestOrAwayFromZero)
        // Anything beyond the int8 range clamps, so the conversion may saturate early.
        let steps = Int32(min(max(scaled, -1_000_000), 1_000_000))
        output[batch * p.outputCount + channel] = FixedPoint.clamp(steps, plus: p.outputZeroPoint, p.clamp)
      }
    }
  }
}

// MARK: Pooling and reduction

extension ReferenceKernels {
  /// Calls `body` for each output pixel with the rows and columns of the input its window covers.
  @inline(__always)
  private static func forEachWindow(
    _ p: Pool, _ body: (_ batch: Int, _ rows: Range<Int>, _ columns: Range<Int>, _ pixel: Int) -> Void
  ) {
    var pixel = 0
    for batch in 0..<p.batch {
      for y in 0..<p.outputHeight {
        let top = y * p.strideHeight - p.padTop
        let rows = max(top, 0)..<min(top + p.windowHeight, p.inputHeight)
        for x in 0..<p.outputWidth {
          let left = x * p.strideWidth - p.padLeft
          body(batch, rows, max(left, 0)..<min(left + p.windowWidth, p.inputWidth), pixel)
          pixel += 1
        }
      }
    }
  }

  static func maxPool(_ p: Pool, input: UnsafePointer<Int8>, output: UnsafeMutablePointer<Int8>) {
    forEachWindow(p) { batch, rows, columns, pixel in
      for channel in 0..<p.channels {
        var maximum = Int8.min
        for row in rows {
          for column in columns {
            maximum = max(
              maximum, input[((batch * p.inputHeight + row) * p.inputWidth + column) * p.channels + channel])
          }
        }
        output[pixel * p.channels + channel] = FixedPoint.clamp(Int32(maximum), p.clamp.lower, p.clamp.upper)
      }
    }
  }

  /// Rounds half away from zero over the taps inside the input, on the stored integers.
  static func averagePool(_ p: Pool, input: UnsafePointer<Int8>, output: UnsafeMutablePointer<Int8>) {
    forEachWindow(p) { batch, rows, columns, pixel in
      let count = Int32(rows.count * columns.count)
      for channel in 0..<p.channels {
        var sum: Int32 = 0
        for row in rows {
          for column in columns {
            sum &+= Int32(input[((batch * p.inputHeight + row) * p.inputWidth + column) * p.channels + channel])
          }
        }
        let average = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count
        output[pixel * p.channels + channel] = FixedPoint.clamp(average, p.clamp.lower, p.clamp.upper)
      }
    }
  }

  static func mean(_ p: Mean, input: UnsafePointer<Int8>, output: UnsafeMutablePointer<Int8>) {
    let count = p.reducedCount
    for index in 0..<p.keptCount {
      let origin = input + offset(of: index, shape: p.keptShape, strides: p.keptStrides)
      var sum: Int32 = 0
      for term in 0..<count {
        sum &+= Int32(origin[offset(of: term, shape: p.reducedShape, strides: p.reducedStrides)])
      }
      sum = sum &- Int32(truncatingIfNeeded: count) &* p.inputZeroPoint
      output[index] = FixedPoint.clamp(FixedPoint.multiply(sum, by: p.multiplier), plus: p.outputZeroPoint)
    }
  }

  /// The element offset of position `index`, counted row-major over `shape`.
  @inline(__always)
  static func offset(of index: Int, shape: [Int], strides: [Int]) -> Int {
    var remainder = index
    var offset = 0
    var axis = shape.count
    while axis > 0 {
      axis -= 1
      offset += remainder % shape[axis] * strides[axis]
      remainder /= shape[axis]
    }
    return offset
  }
}
