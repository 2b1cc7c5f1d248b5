/// A TFLite int8 model, parsed and wholly validated: shapes, types, options, quantisation and accumulator bounds of
/// every operator are known to be sound, and every shape computation is folded away. Immutable; an `Interpreter` runs
/// it.
package struct Model: Sendable {
  /// Bounds on what a file may ask for, so that no file can exhaust a small board.
  package struct Limits: Sendable {
    package var fileBytes = 16 << 20
    package var tensors = 4096
    package var operators = 2048
    package var rank = 6
    /// Elements of one tensor.
    package var tensorElements = 4 << 20
    /// Bytes of all computed tensors together.
    package var activationBytes = 24 << 20
    /// Elementary steps of one invocation: multiply-accumulates, pooled taps, moved elements.
    package var work = 1 << 30
    /// Operators on constants alone are computed at load up to this many steps, later ones at every invocation.
    package var foldedWork = 1 << 20
    /// Inputs or outputs of the model.
    package var ports = 64
    /// Inputs or outputs of one operator.
    package var operands = 256
    /// Quantisation scales of all tensors together.
    package var scales = 1 << 20
    /// Weights and biases of all operators, shared ones counted each time: every operator packs its own.
    package var weightBytes = 16 << 20
    /// Packed weights, constants, arena and scratch of one interpreter.
    package var planBytes = 48 << 20
    /// Of a tensor's name; the rest is cut.
    package var nameBytes = 256

    package init() {}
  }

  package let limits: Limits
  package let inputs: [TensorInfo]
  package let outputs: [TensorInfo]

  let graph: Graph

  /// - Throws: `ModelError` naming the operator, tensor and what was expected.
  package init(bytes: [UInt8], limits: Limits = Limits()) throws(ModelError) {
    self.limits = limits
    var builder = try GraphBuilder(file: try ModelFile(bytes: bytes, limits: limits), limits: limits)
    graph = try builder.build()
    inputs = try graph.information(of: graph.inputs)
    outputs = try graph.information(of: graph.outputs)
  }
}
