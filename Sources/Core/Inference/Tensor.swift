/// The affine map of a quantised tensor: real = scale * (q - zeroPoint).
struct Quantization: Equatable, Sendable {
  /// One scale, or one for each index along `axis`.
  var scales: [Float]
  var zeroPoints: [Int64]
  var axis: Int
}

/// A tensor of the validated graph.
struct Tensor: Sendable {
  enum Source: Equatable, Sendable {
    /// Written by an operator or by the caller.
    case computed
    /// A range of the model file.
    case file(Range<Int>)
    /// Computed while the graph was loaded (constant folding).
    case folded([UInt8])
  }

  var name: String
  /// Outermost dimension first; empty for a scalar. Every dimension is at least 1.
  var shape: [Int]
  /// Dimensions the file declares unknown (`shape_signature` -1); their value in `shape` is only a guess.
  var isDimensionUnknown: [Bool]
  /// Whether the file states a shape at all.
  var hasDeclaredShape: Bool
  /// nil: a type this engine has no use for; refused as soon as an operator touches it.
  var type: ElementType?
  var typeCode: UInt8
  var quantization: Quantization?
  var source: Source

  var elementCount: Int { shape.reduce(1, *) }
  var byteCount: Int { elementCount * (type?.size ?? 1) }
  var isConstant: Bool { source != .computed }
}

/// What a caller needs to know of a model's input or output.
package struct TensorInfo: Equatable, Sendable {
  package let name: String
  /// Outermost dimension first, the batch included.
  package let shape: [Int]
  package let type: ElementType
  /// real = scale * (q - zeroPoint); 0 when the tensor is not quantised.
  package let scale: Float
  package let zeroPoint: Int

  package var elementCount: Int { shape.reduce(1, *) }
  package var byteCount: Int { elementCount * type.size }
}
