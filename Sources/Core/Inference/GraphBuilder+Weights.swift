/// Operators with weights: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED.
extension GraphBuilder {
  /// Output size and leading pad of one axis of a convolution or pool (`ComputePaddingHeightWidth`).
  func window(
    input: Int, kernel: Int, stride: Int, dilation: Int = 1, padding: Padding, axis: String
  ) throws(ModelError) -> (output: Int, padBefore: Int) {
    // Far above any real network; keeps every later product inside 32 bits.
    let limit = 1 << 15
    guard (1...limit).contains(stride), (1...limit).contains(dilation) else {
      throw ModelError(.invalidOption, "\(axis) stride \(stride), dilation \(dilation)", expected: "1 to \(limit)")
    }
    guard kernel >= 1 else {
      throw ModelError(.invalidOption, "\(axis) window \(kernel)", expected: "at least 1")
    }
    let (reach, overflow) = (kernel - 1).multipliedReportingOverflow(by: dilation)
    guard !overflow, reach < 1 << 24 else {
      throw ModelError(
        .tooLarge, "a \(axis) window of \(kernel) taps, dilation \(dilation)", expected: "a reach below 2^24")
    }
    let effective = reach + 1
    switch padding {
    case .same:
      let output = (input + stride - 1) / stride
      let total = max((output - 1) * stride + effective - input, 0)
      return (output, total / 2)
    case .valid:
      guard input >= effective else {
        throw ModelError(
          .invalidShape, "a \(axis) window reaching over \(effective) of \(input)",
          expected: "a window inside the input")
      }
      return ((input - effective) / stride + 1, 0)
    }
  }

  func padding(_ code: UInt8) throws(ModelError) -> Padding {
    guard let padding = Padding(rawValue: code) else {
      throw ModelError(.invalidOption, "padding \(code)", expected: "0 (SAME) or 1 (VALID)")
    }
    return padding
  }

  /// `CalculateActivationRangeQuantized` for the output tensor.
  func clamp(activation code: UInt8, output: Int) throws(ModelError) -> ClampRange {
    guard let activation = Activation(rawValue: code) else {
      throw ModelError(
        .invalidOption, "fused activation \(code)", expected: "NONE, RELU, RELU_N1_TO_1 or RELU6")
    }
    let (scale, zeroPoint) = try quantization(output)
    return clamp(activation: activation, scale: scale, zeroPoint: zeroPoint)
  }

  func clamp(activation: Activation, scale: Float, zeroPoint: Int32) -> ClampRange {
    func quantized(_ value: Float) -> Int32 {
      let steps = (value / scale).rounded(.toNearestOrAwayFromZero)
      return zeroPoint + Int32(min(max(steps, -65536), 65536))
    }
    switch activation {
    case .none: return .int8
    case .relu: return ClampRange(lower: max(-128, quantized(0)), upper: 127)
    case .relu6: return ClampRange(lower: max(-128, quantized(0)), upper: min(127, quantized(6)))
    case .reluN1To1: return ClampRange(lower: max(-128, quantized(-1)), upper: min(127, quantized(1)))
    }
  }

  /// Scales of constant weights: one for each of `channels`, repeated when the tensor has a single one.
  private func weightScales(_ tensor: Int, channels: Int, axis: Int) throws(ModelError) -> [Float] {
    let place = ModelError.Place(tensorIndex: tensor)
    guard let quantization = tensors[tensor].quantization else {
      throw ModelError(.invalidQuantization, "none", expected: "one scale, or one a channel", at: place)
    }
    let scales = quantization.scales
    guard scales.count == 1 || scales.count == channels else {
      throw ModelError(
        .invalidQuantization, "\(scales.count) scales", expected: "1 or \(channels), one a channel", at: place)
    }
    guard scales.count == 1 || quantization.axis == axis else {
      throw ModelError(
        .invalidQuantization, "quantized_dimension \(quantization.axis)", expected: "\(axis)", at: place)
    }
    for scale in scales where !(scale.isFinite && scale > 0) {
      throw ModelError(.invalidQuantization, "scale \(scale)", expected: "finite scales above 0", at: place)
    }
    return scales.count == channels ? scales : [Float](repeating: scales[0], count: channels)
  }

  private func requireSymmetric(_ tensor: Int) throws(ModelError) {
    let zeroPoints = tensors[tensor].quantization?.zeroPoints ?? []
    guard zeroPoints.allSatisfy({ $0 == 0 }) else {
      throw ModelError(
        .invalidQuantization, "weights with a zero point", expected: "zero point 0", at: .init(tensorIndex: tensor))
    }
  }

  /// The optional bias: present, int32 and of the right length, or nil. Its quantisation has no influence.
  private func bias(_ site: Site, channels: Int) throws(ModelError) -> Int? {
    guard site.inputs.count == 3, site.inputs[2] != -1 else { return nil }
    let tensor = try input(site, 2, types: [.int32])
    guard tensors[tensor].elementCount == channels else {
      throw ModelError(
        .invalidShape, "bias shape \(tensors[tensor].shape)", expected: "[\(channels)]", at: .init(tensorIndex: tensor))
    }
    return tensor
  }

  /// Proves that no input can make a channel's accumulator leave 32 bits. Returns whether a weight is -128.
  /// `channel` of the weight at a position is (position / `run`) % `channels`.
  private func checkAccumulators(
    weights: Int, bias: Int?, channels: Int, run: Int, inputZeroPoint: Int32, weightZeroPoint: Int32
  ) throws(ModelError) -> Bool {
    let bytes = try constantBytes(weights)
    var magnitudes = [Int](repeating: 0, count: channels)
    var hasMinimum = false
    bytes.withUnsafeBytes { raw in
      magnitudes.withUnsafeMutableBufferPointer { sums in
        if run == 1 {
          // Channels innermost (depthwise).
          let zeroPoint = Int(weightZeroPoint)
          var channel = 0
          for value in raw.bindMemory(to: Int8.self) {
            sums[channel] &+= abs(Int(value) &- zeroPoint)
            hasMinimum = hasMinimum || value == -128
            channel = channel &+ 1 == channels ? 0 : channel &+ 1
          }
        } else {
          for channel in 0..<channels {
            let extent = WeightExtent(
              of: UnsafeRawBufferPointer(rebasing: raw[channel * run..<(channel + 1) * run]),
              zeroPoint: Int16(weightZeroPoint))
            sums[channel] = extent.magnitude
            hasMinimum = hasMinimum || extent.smallest == -128
          }
        }
      }
    }
    let reach = Int(max(inputZeroPoint + 128, 127 - inputZeroPoint))
    let offsets = try bias.map { tensor throws(ModelError) in try integers(tensor, atMost: channels) }
    for channel in 0..<channels {
      let bound = magnitudes[channel] * reach + abs(offsets?[channel] ?? 0)
      guard bound <= Int(Int32.max) else {
        throw ModelError(
          .invalidQuantization, "channel \(channel) whose accumulator may reach \(bound)",
          expected: "at most 2^31 - 1", at: .init(tensorIndex: weights))
      }
    }
    return hasMinimum
  }

  private struct WindowOptions {
    var padding: Padding
    var strideHeight, strideWidth: Int
    var dilationHeight, dilationWidth: Int
    var activation: UInt8
  }

  private func windowOptions(_ site: Site) throws(ModelError) -> WindowOptions {
    guard let options = site.options else {
      throw ModelError(.malformed, "no options", expected: "strides and padding")
    }
    // DepthwiseConv2DOptions has depth_multiplier before the activation; it follows from the shapes.
    let shift = site.builtin == .depthwiseConv2D ? 1 : 0
    return WindowOptions(
      padding: try padding(try options.uint8(0)),
      strideHeight: try options.int32(2), strideWidth: try options.int32(1),
      dilationHeight: try options.int32(5 + shift, default: 1), dilationWidth: try options.int32(4 + shift, default: 1),
      activation: try options.uint8(3 + shift))
  }

  mutating func addConvolution(_ site: Site) throws(ModelError) {
    try require(site, inputs: 2...3)
    let source = try input(site, 0)
    let weights = try input(site, 1)
    let shape = tensors[source].shape
    let filter = tensors[weights].shape
    guard shape.count == 4, filter.count == 4 else {
      throw ModelError(
        .invalidShape, "input \(shape) and weights \(filter)",
        expected: "[batch, height, width, channels] and 4-D weights")
    }
    let options = try windowOptions(site)
    let isDepthwise = site.builtin == .depthwiseConv2D
    let inputChannels = shape[3]
    let outputChannels = isDepthwise ? filter[3] : filter[0]
    if isDepthwise {
      guard filter[0] == 1, outputChannels.isMultiple(of: inputChannels) else {
        throw ModelError(
          .invalidShape, "weights \(filter) for \(inputChannels) input channels",
          expected: "[1, height, width, a multiple of the input channels]", at: .init(tensorIndex: weights))
      }
    } else {
      guard inputChannels.isMultiple(of: filter[3]), outputChannels.isMultiple(of: inputChannels / filter[3]) else {
        throw ModelError(
          .invalidShape, "weights \(filter) for \(inputChannels) input channels",
          expected: "channel counts that divide into groups", at: .init(tensorIndex: weights))
      }
    }
    let vertical = try window(
      input: shape[1], kernel: filter[1], stride: options.strideHeight, dilation: options.dilationHeight,
      padding: options.padding, axis: "vertical")
    let horizontal = try window(
      input: shape[2], kernel: filter[2], stride: options.strideWidth, dilation: options.dilationWidth,
      padding: options.padding, axis: "horizontal")

    let (inputScale, inputZeroPoint) = try quantization(source)
    let (outputScale, outputZeroPoint) = try quantization(site.output)
    let scales = try weightScales(weights, channels: outputChannels, axis: isDepthwise ? 3 : 0)
    try requireSymmetric(weights)
    let bias = try bias(site, channels: outputChannels)
    let hasMinimumWeight = try checkAccumulators(
      weights: weights, bias: bias, channels: outputChannels,
      run: isDepthwise ? 1 : filter[1] * filter[2] * filter[3], inputZeroPoint: inputZeroPoint, weightZeroPoint: 0)

    let convolution = Convolution(
      kind: isDepthwise ? .depthwise : .full(groups: inputChannels / filter[3]),
      batch: shape[0], inputHeight: shape[1], inputWidth: shape[2], inputChannels: inputChannels,
      outputHeight: vertical.output, outputWidth: horizontal.output, outputChannels: outputChannels,
      kernelHeight: filter[1], kernelWidth: filter[2],
      strideHeight: options.strideHeight, strideWidth: options.strideWidth,
      dilationHeight: options.dilationHeight, dilationWidth: options.dilationWidth,
      padTop: vertical.padBefore, padLeft: horizontal.padBefore,
      inputZeroPoint: inputZeroPoint, outputZeroPoint: outputZeroPoint,
      clamp: try clamp(activation: options.activation, output: site.output),
      weights: weights, bias: bias,
      multipliers: scales.map { FixedPoint.Multiplier(Double(inputScale) * Double($0) / Double(outputScale)) },
      hasMinimumWeight: hasMinimumWeight)
    let outputShape = [shape[0], vertical.output, horizontal.output, outputChannels]
    try define(site, shape: outputShape, type: .int8)
    try emit(
      site, .convolution(convolution), inputs: [source],
      work: try product(outputShape.reduce(1, *), convolution.depth))
  }

  mutating func addDense(_ site: Site) throws(ModelError) {
    try require(site, inputs: 2...3)
    let source = try input(site, 0)
    let weights = try input(site, 1)
    let shape = tensors[source].shape
    let filter = tensors[weights].shape
    guard filter.count == 2 else {
      throw ModelError(
        .invalidShape, "weights \(filter)", expected: "[outputs, inputs]", at: .init(tensorIndex: weights))
    }
    let outputCount = filter[0]
    let inputCount = filter[1]
    let elements = tensors[source].elementCount
    guard elements.isMultiple(of: inputCount) else {
      throw ModelError(.invalidShape, "\(elements) inputs", expected: "a multiple of \(inputCount)")
    }
    let format = try site.options?.uint8(1) ?? 0
    guard format == 0 else {
      throw ModelError(.invalidOption, "weights format \(format)", expected: "0 (plain)")
    }
    var outputShape = [elements / inputCount, outputCount]
    if try site.options?.bool(2) ?? false {
      guard let last = shape.last, last == inputCount else {
        throw ModelError(.invalidShape, "input \(shape)", expected: "\(inputCount) as last dimension (keep_num_dims)")
      }
      outputShape = shape.dropLast() + [outputCount]
    }

    let (inputScale, inputZeroPoint) = try quantization(source)
    let (outputScale, outputZeroPoint) = try quantization(site.output)
    let scales = try weightScales(weights, channels: outputCount, axis: 0)
    var weightZeroPoint: Int32 = 0
    if tensors[weights].quantization?.scales.count == 1 {
      weightZeroPoint = try quantization(weights).zeroPoint
    } else {
      try requireSymmetric(weights)
    }
    let bias = try bias(site, channels: outputCount)
    let hasMinimumWeight = try checkAccumulators(
      weights: weights, bias: bias, channels: outputCount, run: inputCount, inputZeroPoint: inputZeroPoint,
      weightZeroPoint: weightZeroPoint)

    let dense = Dense(
      batch: elements / inputCount, inputCount: inputCount, outputCount: outputCount,
      inputZeroPoint: inputZeroPoint, weightZeroPoint: weightZeroPoint, outputZeroPoint: outputZeroPoint,
      clamp: try clamp(activation: try site.options?.uint8(0) ?? 0, output: site.output),
      weights: weights, bias: bias,
      scales: scales.map { Double(inputScale) * Double($0) / Double(outputScale) },
      hasMinimumWeight: hasMinimumWeight)
    try define(site, shape: outputShape, type: .int8)
    try emit(site, .dense(dense), inputs: [source], work: try product(elements, outputCount))
  }
}
