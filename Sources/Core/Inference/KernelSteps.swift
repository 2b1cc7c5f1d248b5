import CInferenceKernels

// Steps that call the C kernels. Each holds its parameter block and addresses; `run` is one call.

/// A parameter block at a fixed address, as the kernels take it.
final class Boxed<Value> {
  let pointer: UnsafeMutablePointer<Value>

  init(_ value: Value) {
    pointer = .allocate(capacity: 1)
    pointer.initialize(to: value)
  }

  deinit {
    pointer.deinitialize(count: 1)
    pointer.deallocate()
  }
}

/// Memory for packed weights.
final class PackedWeights {
  let pointer: UnsafeMutableRawPointer
  let byteCount: Int

  init(byteCount: Int) {
    self.byteCount = byteCount
    pointer = .allocate(byteCount: byteCount, alignment: Int(TGK_ALIGNMENT))
    pointer.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
  }

  deinit {
    pointer.deallocate()
  }
}

/// What every kernel step is made from.
struct StepSite {
  let node: FusedNode
  let memory: PlanMemory
  let graph: Graph
  let level: tgk_level
  let levelName: String

  func input(_ position: Int) -> UnsafePointer<Int8> {
    memory.source(node.inputs[position]).assumingMemoryBound(to: Int8.self)
  }

  var output: UnsafeMutablePointer<Int8> {
    memory.target(node.output).assumingMemoryBound(to: Int8.self)
  }

  var label: String { node.names.joined(separator: "+") + " " + levelName }

  /// The values of a weight tensor and, when there is one, of its bias. Pointers hold for the call only.
  func withConstants(
    weights: Int, bias: Int?, _ body: (UnsafePointer<Int8>, UnsafePointer<Int32>?) -> Void
  ) {
    graph.constantBytes(weights).withUnsafeBytes { raw in
      guard let base = raw.bindMemory(to: Int8.self).baseAddress else { return }
      guard let bias else {
        body(base, nil)
        return
      }
      // Copied: the file may hold it at any alignment.
      let values = graph.constantBytes(bias).withUnsafeBytes { bytes in
        stride(from: 0, to: bytes.count, by: 4).map {
          Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: Int32.self))
        }
      }
      values.withUnsafeBufferPointer { body(base, $0.baseAddress) }
    }
  }
}

/// CONV_2D or DEPTHWISE_CONV_2D with what is fused behind it.
final class ConvolutionStep: Step {
  typealias Kernel =
    @convention(c) (
      tgk_level, UnsafePointer<tgk_conv_geometry>?, UnsafeRawPointer?, UnsafePointer<Int8>?,
      UnsafeMutablePointer<Int8>?, UnsafePointer<tgk_add_epilogue>?, UnsafeMutableRawPointer?
    ) -> Void

  private let kernel: Kernel
  private let level: tgk_level
  private let geometry: Boxed<tgk_conv_geometry>
  private let epilogue: Boxed<tgk_add_epilogue>?
  private let packed: PackedWeights
  private let input: UnsafePointer<Int8>
  private let output: UnsafeMutablePointer<Int8>
  private let scratch: UnsafeMutableRawPointer

  init?(_ p: Convolution, site: StepSite) {
    let isDepthwise = if case .depthwise = p.kind { true } else { false }
    var block = tgk_conv_geometry(p, hasPool: site.node.hasPool, weightForm: site.node.weightForm)
    let size =
      isDepthwise ? tgk_depthwise_packed_size(site.level, &block) : tgk_conv_packed_size(site.level, &block)
    guard size > 0 else { return nil }
    geometry = Boxed(block)
    packed = PackedWeights(byteCount: size)
    level = site.level
    input = site.input(0)
    output = site.output
    scratch = site.memory.scratch
    kernel = isDepthwise ? tgk_depthwise : tgk_conv
    epilogue = site.node.addition.map { addition in
      Boxed(
        tgk_add_epilogue(
          parameters: tgk_add_parameters(addition.sum, first: addition.resultPosition),
          operand: site.memory.source(addition.operand).assumingMemoryBound(to: Int8.self)))
    }
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
    let mantissas = p.multipliers.map(\.mantissa)
    let exponents = p.multipliers.map(\.exponent)
    site.withConstants(weights: p.weights, bias: p.bias) { weights, bias in
      let pack = isDepthwise ? tgk_depthwise_pack : tgk_conv_pack
      pack(site.level, geometry.pointer, weights, bias, mantissas, exponents, packed.pointer)
    }
  }

  override var packedByteCount: Int { packed.byteCount }

  override func run() {
    kernel(level, geometry.pointer, packed.pointer, input, output, epilogue?.pointer, scratch)
  }
}

final class DenseStep: Step {
  private let level: tgk_level
  private let geometry: Boxed<tgk_dense_geometry>
  private let packed: PackedWeights
  private let input: UnsafePointer<Int8>
  private let output: UnsafeMutablePointer<Int8>
  private let scratch: UnsafeMutableRawPointer

  init?(_ p: Dense, site: StepSite) {
    var block = tgk_dense_geometry(p)
    let size = tgk_dense_packed_size(site.level, &block)
    guard size > 0 else { return nil }
    geometry = Boxed(block)
    packed = PackedWeights(byteCount: size)
    level = site.level
    input = site.input(0)
    output = site.output
    scratch = site.memory.scratch
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
    site.withConstants(weights: p.weights, bias: p.bias) { weights, bias in
      tgk_dense_pack(site.level, geometry.pointer, weights, bias, p.scales, nil, nil, packed.pointer)
    }
  }

  override var packedByteCount: Int { packed.byteCount }

  override func run() {
    tgk_dense(level, geometry.pointer, packed.pointer, input, output, scratch)
  }
}

final class PoolStep: Step {
  private let level: tgk_level
  private let geometry: Boxed<tgk_pool_geometry>
  private let isMaximum: Bool
  private let input: UnsafePointer<Int8>
  private let output: UnsafeMutablePointer<Int8>

  init(_ p: Pool, isMaximum: Bool, site: StepSite) {
    level = site.level
    geometry = Boxed(tgk_pool_geometry(p))
    self.isMaximum = isMaximum
    input = site.input(0)
    output = site.output
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
  }

  override func run() {
    if isMaximum {
      tgk_max_pool(level, geometry.pointer, input, output)
    } else {
      tgk_average_pool(level, geometry.pointer, input, output)
    }
  }
}

final class MeanStep: Step {
  private let level: tgk_level
  private let parameters: Boxed<tgk_mean_parameters>
  private let input: UnsafePointer<Int8>
  private let output: UnsafeMutablePointer<Int8>

  init?(_ p: Mean, site: StepSite) {
    guard let block = tgk_mean_parameters(p) else { return nil }
    level = site.level
    parameters = Boxed(block)
    input = site.input(0)
    output = site.output
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
  }

  override func run() {
    tgk_mean(level, parameters.pointer, input, output)
  }
}

final class SoftmaxStep: Step {
  private let level: tgk_level
  private let table: Boxed<tgk_softmax_table>
  private let rows: Int32
  private let depth: Int32
  private let input: UnsafePointer<Int8>
  private let output: UnsafeMutablePointer<Int8>

  init(_ p: Softmax, site: StepSite) {
    level = site.level
    table = Boxed(tgk_softmax_table())
    tgk_softmax_prepare(p.multiplier.mantissa, p.multiplier.exponent, p.minimumDifference, table.pointer)
    rows = Int32(p.rows)
    depth = Int32(p.depth)
    input = site.input(0)
    output = site.output
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
  }

  override func run() {
    tgk_softmax(level, table.pointer, rows, depth, input, output)
  }
}
