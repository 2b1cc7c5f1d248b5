import CInferenceKernels

// The C kernels' parameter blocks. Every size was bounded when the graph was built, so the conversions hold.

extension tgk_conv_geometry {
  init(_ p: Convolution, hasPool: Bool, weightForm: tgk_weight_form) {
    self.init()
    batch = Int32(p.batch)
    input_height = Int32(p.inputHeight)
    input_width = Int32(p.inputWidth)
    input_channels = Int32(p.inputChannels)
    output_height = Int32(p.outputHeight)
    output_width = Int32(p.outputWidth)
    output_channels = Int32(p.outputChannels)
    kernel_height = Int32(p.kernelHeight)
    kernel_width = Int32(p.kernelWidth)
    stride_height = Int32(p.strideHeight)
    stride_width = Int32(p.strideWidth)
    dilation_height = Int32(p.dilationHeight)
    dilation_width = Int32(p.dilationWidth)
    pad_top = Int32(p.padTop)
    pad_left = Int32(p.padLeft)
    groups =
      switch p.kind {
      case .full(let groups): Int32(groups)
      case .depthwise: 1
      }
    input_zero_point = p.inputZeroPoint
    output_zero_point = p.outputZeroPoint
    activation_min = p.clamp.lower
    activation_max = p.clamp.upper
    pool = hasPool ? TGK_POOL_MAX_2X2 : TGK_POOL_NONE
    weight_form = weightForm
  }
}

extension tgk_dense_geometry {
  init(_ p: Dense) {
    self.init()
    batch = Int32(p.batch)
    input_count = Int32(p.inputCount)
    output_count = Int32(p.outputCount)
    input_zero_point = p.inputZeroPoint
    weight_zero_point = p.weightZeroPoint
    output_zero_point = p.outputZeroPoint
    activation_min = p.clamp.lower
    activation_max = p.clamp.upper
    rounding = TGK_ROUNDING_FLOAT64
  }
}

extension tgk_pool_geometry {
  init(_ p: Pool) {
    self.init()
    batch = Int32(p.batch)
    input_height = Int32(p.inputHeight)
    input_width = Int32(p.inputWidth)
    channels = Int32(p.channels)
    output_height = Int32(p.outputHeight)
    output_width = Int32(p.outputWidth)
    window_height = Int32(p.windowHeight)
    window_width = Int32(p.windowWidth)
    stride_height = Int32(p.strideHeight)
    stride_width = Int32(p.strideWidth)
    pad_top = Int32(p.padTop)
    pad_left = Int32(p.padLeft)
    activation_min = p.clamp.lower
    activation_max = p.clamp.upper
  }
}

extension tgk_add_parameters {
  /// - Parameter first: which operand of the ADD the kernel's operand `a` is.
  init(_ p: Sum, first: Int) {
    self.init()
    let second = 1 - first
    let signs = [1, p.secondSign]
    a_zero_point = p.zeroPoints[first]
    a_multiplier = p.multipliers[first].mantissa
    a_shift = p.multipliers[first].exponent
    a_sign = signs[first]
    b_zero_point = p.zeroPoints[second]
    b_multiplier = p.multipliers[second].mantissa
    b_shift = p.multipliers[second].exponent
    b_sign = signs[second]
    output_zero_point = p.outputZeroPoint
    output_multiplier = p.outputMultiplier.mantissa
    output_shift = p.outputMultiplier.exponent
    activation_min = p.clamp.lower
    activation_max = p.clamp.upper
  }
}

extension tgk_multiply_parameters {
  init(_ p: Product, first: Int) {
    self.init()
    a_zero_point = p.zeroPoints[first]
    b_zero_point = p.zeroPoints[1 - first]
    output_zero_point = p.outputZeroPoint
    multiplier = p.multiplier.mantissa
    shift = p.multiplier.exponent
    activation_min = p.clamp.lower
    activation_max = p.clamp.upper
  }
}

extension tgk_mean_parameters {
  /// nil when the summed axes are not neighbours.
  init?(_ p: Mean) {
    guard let layout = p.layout else { return nil }
    self.init()
    outer = Int32(layout.outer)
    count = Int32(layout.count)
    inner = Int32(layout.inner)
    input_zero_point = p.inputZeroPoint
    output_zero_point = p.outputZeroPoint
    multiplier = p.multiplier.mantissa
    shift = p.multiplier.exponent
  }
}

extension tgk_copy_box {
  /// Axes of length 1 are dropped and axes that continue each other in both tensors are joined, so that the kernel
  /// copies the longest possible runs.
  init(_ box: Move.Box, elementSize: Int) {
    var shape: [Int] = []
    var sources: [Int] = []
    var destinations: [Int] = []
    for axis in box.shape.indices where box.shape[axis] != 1 {
      if let last = shape.indices.last, sources[last] == box.sourceStrides[axis] * box.shape[axis],
        destinations[last] == box.destinationStrides[axis] * box.shape[axis]
      {
        shape[last] *= box.shape[axis]
        sources[last] = box.sourceStrides[axis]
        destinations[last] = box.destinationStrides[axis]
      } else {
        shape.append(box.shape[axis])
        sources.append(box.sourceStrides[axis])
        destinations.append(box.destinationStrides[axis])
      }
    }
    if shape.isEmpty {
      (shape, sources, destinations) = ([1], [1], [1])
    }
    self.init()
    rank = Int32(shape.count)
    element_size = Int32(elementSize)
    withUnsafeMutableBytes(of: &count) { raw in
      let values = raw.bindMemory(to: Int32.self)
      for axis in shape.indices { values[axis] = Int32(shape[axis]) }
    }
    withUnsafeMutableBytes(of: &source_stride) { raw in
      let values = raw.bindMemory(to: Int.self)
      for axis in shape.indices { values[axis] = sources[axis] * elementSize }
    }
    withUnsafeMutableBytes(of: &destination_stride) { raw in
      let values = raw.bindMemory(to: Int.self)
      for axis in shape.indices { values[axis] = destinations[axis] * elementSize }
    }
  }
}
