import CInferenceKernels

/// One or several operators of the graph that become one step.
struct FusedNode {
  /// An ADD or SUB behind a convolution; the other operand has the result's shape.
  struct Addition {
    var sum: Sum
    var operand: Int
    /// Which operand of the ADD the convolution's result is.
    var resultPosition: Int
  }

  var operation: Operation
  /// MAX_POOL_2D 2x2 on the accumulators.
  var hasPool = false
  var addition: Addition?
  /// How a convolution's weights are packed.
  var weightForm = TGK_WEIGHTS_FASTEST
  /// Everything read while the step runs, `addition`'s operand last.
  var inputs: [Int]
  var output: Int
  var operatorIndices: [Int]
  var names: [String]
  /// Another node does this one's work.
  var isMerged = false

  init(_ node: Node) {
    operation = node.operation
    inputs = node.inputs
    output = node.output
    operatorIndices = [node.operatorIndex]
    names = [node.operatorName]
  }

  /// Notes that this node carries out `other` too, which came before it.
  mutating func prepend(_ other: FusedNode) {
    operatorIndices = other.operatorIndices + operatorIndices
    names = other.names + names
  }

  /// Notes that this node carries out `other` too, which came behind it.
  mutating func append(_ other: FusedNode) {
    operatorIndices += other.operatorIndices
    names += other.names
  }
}

/// Merges operators where the result stays the same to the last bit.
struct Fusion {
  let graph: Graph
  let level: tgk_level
  private let roots: [Int]
  /// How many steps read each root tensor; a model output counts as one more reader.
  private var readers: [Int] = []
  var nodes: [FusedNode]

  /// - Parameters:
  ///   - nodes: the steps so far, in execution order, without reshapes.
  ///   - roots: for each tensor the one whose memory it shares.
  ///   - level: the kernels the steps are for.
  static func fuse(_ nodes: [FusedNode], graph: Graph, roots: [Int], level: tgk_level) -> [FusedNode] {
    var fusion = Fusion(nodes, graph: graph, roots: roots, level: level)
    fusion.mergePadding()
    fusion.mergeSpaceBatch()
    fusion.mergePairs()
    fusion.mergeAdditions()
    return fusion.nodes
  }

  private init(_ nodes: [FusedNode], graph: Graph, roots: [Int], level: tgk_level) {
    self.nodes = nodes
    self.graph = graph
    self.roots = roots
    self.level = level
    countReaders()
  }

  mutating func countReaders() {
    readers = [Int](repeating: 0, count: roots.count)
    for tensor in nodes.flatMap(\.inputs) + graph.outputs {
      readers[roots[tensor]] += 1
    }
  }

  /// Whether one step alone reads the tensor's memory.
  func hasOneReader(_ tensor: Int) -> Bool { readers[roots[tensor]] == 1 }

  /// A producer and its only consumer: convolution and max-pool, anything that clamps and a table that only clamps,
  /// table and table.
  private mutating func mergePairs() {
    var result: [FusedNode] = []
    var producer: [Int: Int] = [:]
    for node in nodes {
      if node.inputs.count == 1, let index = producer[roots[node.inputs[0]]], readers[roots[node.inputs[0]]] == 1,
        let merged = merge(result[index], node)
      {
        result[index] = merged
        producer[roots[node.output]] = index
      } else {
        producer[roots[node.output]] = result.count
        result.append(node)
      }
    }
    nodes = result
  }

  private func merge(_ first: FusedNode, _ second: FusedNode) -> FusedNode? {
    var merged = first
    merged.output = second.output
    merged.append(second)
    switch (first.operation, second.operation) {
    case (.convolution(var convolution), .maxPool(let pool)):
      guard !first.hasPool, !convolution.hasMinimumWeight, pool.isTwoByTwo, convolution.isMonotone else { return nil }
      convolution.clamp = convolution.clamp.followed(by: pool.clamp)
      merged.operation = .convolution(convolution)
      merged.hasPool = true
    case (.table(let a, let count), .table(let b, _)):
      merged.operation = .table(a.map { b[Int($0) + 128] }, count: count)
    case (_, .table(let entries, _)):
      guard let clamp = ClampRange(table: entries), let operation = first.operation.clamped(by: clamp) else {
        return nil
      }
      merged.operation = operation
    default:
      return nil
    }
    return merged
  }

  /// An ADD or SUB goes into the convolution that produces its later operand.
  private mutating func mergeAdditions() {
    var result: [FusedNode] = []
    var producer: [Int: Int] = [:]
    for node in nodes {
      if case .sum(let sum) = node.operation, sum.broadcast.isPlain, let target = host(of: node, in: result, producer) {
        var host = result[target.index]
        let operand = node.inputs[1 - target.position]
        host.addition = .init(sum: sum, operand: operand, resultPosition: target.position)
        host.inputs.append(operand)
        host.output = node.output
        host.append(node)
        result[target.index] = host
        producer[roots[node.output]] = target.index
      } else {
        producer[roots[node.output]] = result.count
        result.append(node)
      }
    }
    nodes = result
  }

  private func host(
    of node: FusedNode, in steps: [FusedNode], _ producer: [Int: Int]
  ) -> (index: Int, position: Int)? {
    let operands = node.inputs.map { roots[$0] }
    guard operands[0] != operands[1] else { return nil }
    // The step of each operand; constants and model inputs exist before every step.
    let origins = operands.map { producer[$0] ?? -1 }
    let position = origins[0] > origins[1] ? 0 : 1
    let index = origins[position]
    guard index >= 0, readers[operands[position]] == 1, steps[index].addition == nil,
      case .convolution(let convolution) = steps[index].operation, !convolution.hasMinimumWeight
    else { return nil }
    return (index, position)
  }
}

extension Pool {
  /// 2x2 by steps of 2 without padding; an odd last row or column is dropped.
  fileprivate var isTwoByTwo: Bool {
    windowHeight == 2 && windowWidth == 2 && strideHeight == 2 && strideWidth == 2 && padTop == 0 && padLeft == 0
      && outputHeight == inputHeight / 2 && outputWidth == inputWidth / 2
  }
}

extension Convolution {
  /// Whether requantisation preserves order, so that a maximum may be taken before it.
  fileprivate var isMonotone: Bool {
    let shifts = multipliers.map(\.exponent)
    return tgk_pool_fusion_is_exact(Int32(shifts.count), shifts)
  }
}

extension Broadcast {
  /// Whether both operands have the result's shape.
  fileprivate var isPlain: Bool { strides.allSatisfy { period(of: $0) == count } }

  /// The number of values after which a contiguous operand repeats, or nil when it repeats in another way.
  func period(of strides: [Int]) -> Int? {
    var period = 1
    var axis = shape.count
    while axis > 0, shape[axis - 1] == 1 || strides[axis - 1] == period {
      axis -= 1
      period *= shape[axis]
    }
    for outer in 0..<axis where shape[outer] != 1 && strides[outer] != 0 {
      return nil
    }
    return period
  }
}

extension ClampRange {
  /// The clamp that equals this one followed by `other`.
  func followed(by other: ClampRange) -> ClampRange {
    func clamp(_ value: Int32) -> Int32 { min(max(value, other.lower), other.upper) }
    return ClampRange(lower: clamp(lower), upper: clamp(upper))
  }

  /// The clamp a 256-entry table amounts to, if it is one.
  init?(table: [Int8]) {
    guard let lower = table.first, let upper = table.last, lower <= upper else { return nil }
    for (index, value) in table.enumerated() where Int(value) != min(max(index - 128, Int(lower)), Int(upper)) {
      return nil
    }
    self.init(lower: Int32(lower), upper: Int32(upper))
  }
}

extension Operation {
  /// This operation with a further clamp behind it, or nil when it has none of its own.
  fileprivate func clamped(by range: ClampRange) -> Operation? {
    switch self {
    case .convolution(var p):
      p.clamp = p.clamp.followed(by: range)
      return .convolution(p)
    case .dense(var p):
      p.clamp = p.clamp.followed(by: range)
      return .dense(p)
    case .sum(var p):
      p.clamp = p.clamp.followed(by: range)
      return .sum(p)
    case .product(var p):
      p.clamp = p.clamp.followed(by: range)
      return .product(p)
    case .maxPool(var p):
      p.clamp = p.clamp.followed(by: range)
      return .maxPool(p)
    case .averagePool(var p):
      p.clamp = p.clamp.followed(by: range)
      return .averagePool(p)
    default: return nil
    }
  }
}
