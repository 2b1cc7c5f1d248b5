/// Names and numbers of the TFLite FlatBuffers schema (`schema.fbs`, version 3) that this engine understands.
enum BuiltinOperator: Int, Sendable, CaseIterable {
  case add = 0
  case averagePool2D = 1
  case concatenation = 2
  case conv2D = 3
  case depthwiseConv2D = 4
  case dequantize = 6
  case fullyConnected = 9
  case logistic = 14
  case maxPool2D = 17
  case mul = 18
  case relu = 19
  case reluN1To1 = 20
  case relu6 = 21
  case reshape = 22
  case softmax = 25
  case tanh = 28
  case pad = 34
  case batchToSpaceND = 37
  case spaceToBatchND = 38
  case transpose = 39
  case mean = 40
  case sub = 41
  case squeeze = 43
  case stridedSlice = 45
  case padV2 = 60
  case expandDims = 70
  case shape = 77
  case pack = 83
  case leakyRelu = 98
  case quantize = 114

  /// What the schema says of one operator: its name, the options table it carries (0: none) and the newest version
  /// whose meaning is implemented here. A newer version may mean something else, so it is refused.
  var schema: (name: String, optionsType: UInt8, newestVersion: Int) {
    switch self {
    case .add: ("ADD", 11, 5)
    case .averagePool2D: ("AVERAGE_POOL_2D", 5, 3)
    case .concatenation: ("CONCATENATION", 10, 7)
    case .conv2D: ("CONV_2D", 1, 8)
    case .depthwiseConv2D: ("DEPTHWISE_CONV_2D", 2, 7)
    case .dequantize: ("DEQUANTIZE", 38, 9)
    case .fullyConnected: ("FULLY_CONNECTED", 8, 14)
    case .logistic: ("LOGISTIC", 0, 3)
    case .maxPool2D: ("MAX_POOL_2D", 5, 3)
    case .mul: ("MUL", 21, 7)
    case .relu: ("RELU", 0, 3)
    case .reluN1To1: ("RELU_N1_TO_1", 0, 3)
    case .relu6: ("RELU6", 0, 3)
    case .reshape: ("RESHAPE", 17, 2)
    case .softmax: ("SOFTMAX", 9, 3)
    case .tanh: ("TANH", 0, 3)
    case .pad: ("PAD", 22, 6)
    case .batchToSpaceND: ("BATCH_TO_SPACE_ND", 24, 4)
    case .spaceToBatchND: ("SPACE_TO_BATCH_ND", 25, 4)
    case .transpose: ("TRANSPOSE", 26, 8)
    case .mean: ("MEAN", 27, 3)
    case .sub: ("SUB", 28, 5)
    case .squeeze: ("SQUEEZE", 30, 2)
    case .stridedSlice: ("STRIDED_SLICE", 32, 8)
    case .padV2: ("PADV2", 43, 6)
    case .expandDims: ("EXPAND_DIMS", 52, 2)
    case .shape: ("SHAPE", 55, 2)
    case .pack: ("PACK", 59, 5)
    case .leakyRelu: ("LEAKY_RELU", 75, 2)
    case .quantize: ("QUANTIZE", 89, 6)
    }
  }

  var name: String { schema.name }
}

/// The element types a tensor of this engine may have. Every other type of the schema is refused.
package enum ElementType: UInt8, Sendable {
  case float32 = 0
  case int32 = 2
  case int64 = 4
  case int8 = 9

  /// NumPy's name of the type, which is also the name in messages.
  package var name: String {
    switch self {
    case .float32: "float32"
    case .int32: "int32"
    case .int64: "int64"
    case .int8: "int8"
    }
  }

  /// Bytes of one element.
  package var size: Int {
    switch self {
    case .int8: 1
    case .float32, .int32: 4
    case .int64: 8
    }
  }
}

/// `ActivationFunctionType`; TANH (4) and SIGN_BIT (5) never occur on int8 and are refused.
enum Activation: UInt8, Sendable {
  case none = 0
  case relu = 1
  case reluN1To1 = 2
  case relu6 = 3
}

/// `Padding`.
enum Padding: UInt8, Sendable {
  case same = 0
  case valid = 1
}
