/// What a node computes, every parameter resolved and checked. Reference and fast kernels both read these and check
/// nothing more.
enum Operation: Sendable {
  /// CONV_2D and DEPTHWISE_CONV_2D.
  case convolution(Convolution)
  /// FULLY_CONNECTED.
  case dense(Dense)
  /// ADD, SUB.
  case sum(Sum)
  /// MUL.
  case product(Product)
  case maxPool(Pool)
  case averagePool(Pool)
  case mean(Mean)
  /// Any function of one int8 value: RELU, RELU6, RELU_N1_TO_1, LEAKY_RELU, LOGISTIC, TANH, QUANTIZE from int8.
  /// Entry q + 128 is the result for q.
  case table([Int8], count: Int)
  case softmax(Softmax)
  /// QUANTIZE from float32.
  case quantize(scale: Float, zeroPoint: Int32, count: Int)
  case dequantize(scale: Float, zeroPoint: Int32, count: Int)
  /// PAD, PADV2, CONCATENATION, TRANSPOSE, STRIDED_SLICE, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND, PACK.
  case move(Move)
  /// RESHAPE, EXPAND_DIMS, SQUEEZE: the same bytes under another shape.
  case reshape(byteCount: Int)
}

/// Clamp of an int8 result, both ends included; the fused activation is part of it.
struct ClampRange: Equatable, Sendable {
  var lower: Int32
  var upper: Int32

  static let int8 = ClampRange(lower: -128, upper: 127)
}

struct Convolution: Sendable {
  enum Kind: Sendable {
    /// Weights [outputChannels, kernelHeight, kernelWidth, inputChannels / groups].
    case full(groups: Int)
    /// Weights [kernelHeight, kernelWidth, outputChannels]; output channel = input channel * multiplier + m.
    case depthwise
  }

  var kind: Kind
  var batch: Int
  var inputHeight, inputWidth, inputChannels: Int
  var outputHeight, outputWidth, outputChannels: Int
  var kernelHeight, kernelWidth: Int
  var strideHeight, strideWidth: Int
  var dilationHeight, dilationWidth: Int
  var padTop, padLeft: Int
  var inputZeroPoint, outputZeroPoint: Int32
  var clamp: ClampRange
  /// Tensor indices.
  var weights: Int
  var bias: Int?
  /// One for each output channel.
  var multipliers: [FixedPoint.Multiplier]
  /// Whether some weight is -128, outside the quantisation specification; fast kernels need [-127, 127].
  var hasMinimumWeight: Bool

  /// Taps of one output value, padding included.
  var depth: Int {
    switch kind {
    case .full(let groups): kernelHeight * kernelWidth * (inputChannels / groups)
    case .depthwise: kernelHeight * kernelWidth
    }
  }
}

struct Dense: Sendable {
  var batch: Int
  var inputCount, outputCount: Int
  var inputZeroPoint, weightZeroPoint, outputZeroPoint: Int32
  var clamp: ClampRange
  /// Tensor indices.
  var weights: Int
  var bias: Int?
  /// input scale * weight scale / output scale for each output.
  var scales: [Double]
  var hasMinimumWeight: Bool
}

/// How two operands of up to six dimensions meet: element strides of each, 0 where it is repeated.
struct Broadcast: Equatable, Sendable {
  var shape: [Int]
  var strides: [[Int]]

  var count: Int { shape.reduce(1, *) }
}

struct Sum: Sendable {
  var broadcast: Broadcast
  var zeroPoints: [Int32]
  var multipliers: [FixedPoint.Multiplier]
  /// -1: the second operand is subtracted.
  var secondSign: Int32
  var outputMultiplier: FixedPoint.Multiplier
  var outputZeroPoint: Int32
  var clamp: ClampRange
}

struct Product: Sendable {
  var broadcast: Broadcast
  var zeroPoints: [Int32]
  var multiplier: FixedPoint.Multiplier
  var outputZeroPoint: Int32
  var clamp: ClampRange
}

struct Pool: Sendable {
  var batch, inputHeight, inputWidth, channels: Int
  var outputHeight, outputWidth: Int
  var windowHeight, windowWidth: Int
  var strideHeight, strideWidth: Int
  var padTop, padLeft: Int
  var clamp: ClampRange
}

struct Mean: Sendable {
  /// Dimensions that stay and their element strides in the input, outermost first.
  var keptShape, keptStrides: [Int]
  /// Dimensions that are summed.
  var reducedShape, reducedStrides: [Int]
  var inputZeroPoint, outputZeroPoint: Int32
  /// The element count is already divided in.
  var multiplier: FixedPoint.Multiplier
  /// The input as [outer, count, inner] with `count` summed, when the summed axes are neighbours.
  var layout: (outer: Int, count: Int, inner: Int)?

  var reducedCount: Int { reducedShape.reduce(1, *) }
  var keptCount: Int { keptShape.reduce(1, *) }
}

struct Softmax: Sendable {
  var rows, depth: Int
  /// beta * input scale * 2^26 in fixed point; the exponent is at least 0.
  var multiplier: FixedPoint.Multiplier
  /// Differences to the row's maximum below this count as zero probability.
  var minimumDifference: Int32
}

/// Data movement: an optional fill of the whole output, then boxes copied from the inputs.
struct Move: Sendable {
  /// A box of up to six dimensions; offsets and strides in elements.
  struct Box: Sendable {
    var input: Int
    var shape: [Int]
    var sourceOffset = 0
    var sourceStrides: [Int]
    var destinationOffset = 0
    var destinationStrides: [Int]
  }

  /// A movement that a convolution beside it can take over.
  enum Pattern: Sendable {
    /// Rows and columns of the fill value about a 4-D tensor.
    case padding(top: Int, left: Int)
    /// SPACE_TO_BATCH_ND of a 4-D tensor: block sizes of height and width, and what is padded before each.
    case spaceToBatch(blocks: [Int], before: [Int])
    /// BATCH_TO_SPACE_ND to a 4-D tensor: block sizes of height and width, and what is cropped before each.
    case batchToSpace(blocks: [Int], before: [Int])
  }

  var elementSize: Int
  var outputCount: Int
  /// int8 only.
  var fill: Int8?
  var boxes: [Box]
  var pattern: Pattern?
}

/// Element strides of a row-major tensor.
func rowMajorStrides(_ shape: [Int]) -> [Int] {
  var strides = shape
  var stride = 1
  for axis in shape.indices.reversed() {
    strides[axis] = stride
    stride *= shape[axis]
  }
  return strides
}
