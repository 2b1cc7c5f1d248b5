import CInferenceKernels

/// The outcome of planning: memory with every address fixed, and the steps in order.
struct Plan {
  let memory: PlanMemory
  let steps: [Step]
  let kernels: String

  init(graph: Graph, choice: KernelChoice, fusesOperators: Bool, byteLimit: Int) throws(ModelError) {
    let set = try choice.resolve()
    let roots = Self.sharedRoots(graph)
    var nodes = graph.nodes.filter { !$0.operation.isReshape }.map(FusedNode.init)
    if fusesOperators, let set {
      nodes = Fusion.fuse(nodes, graph: graph, roots: roots, level: set.level)
    }
    // The Swift kernels read weights where they are; the C kernels have packed copies.
    var constants: [Int] = graph.outputs.filter { graph.tensors[$0].isConstant }
    for node in nodes {
      constants += node.inputs.filter { graph.tensors[$0].isConstant }
      if set == nil || node.operation.hasMinimumWeight {
        let weights = node.operation.constants
        constants += [weights.weights, weights.bias].compactMap { $0 }
      }
    }
    let layout = ArenaLayout(Self.requests(graph, nodes: nodes, roots: roots))
    let constantBytes = Set(constants).reduce(0) { $0 + graph.tensors[$1].byteCount }
    if let set {
      let budget = MemoryBudget(weightBytes: graph.weightBytes, arenaBoundBytes: layout.bound)
      budget.choosePacking(&nodes, level: set.level, otherBytes: layout.byteCount + constantBytes)
    }
    let needs = set.map { set in nodes.map { $0.kernelByteCounts(set.level) } } ?? []
    let scratch = needs.reduce(0) { max($0, $1.scratch) }
    let total = needs.reduce(layout.byteCount + scratch + constantBytes) { $0 + $1.packed }
    guard total <= byteLimit else {
      throw ModelError(.tooLarge, "a plan of \(total) bytes", expected: "at most \(byteLimit)")
    }
    let memory = PlanMemory(
      graph: graph, layout: layout, roots: roots, constants: constants, scratchByteCount: scratch)
    self.memory = memory
    kernels = set?.name ?? "reference"
    steps = nodes.map { node in
      guard let set else { return ReferenceStep(node: node, memory: memory) }
      let site = StepSite(node: node, memory: memory, graph: graph, level: set.level, levelName: set.name)
      return Self.kernelStep(site) ?? ReferenceStep(node: node, memory: memory)
    }
  }

  /// The step of the C kernels, or nil where they have none for these parameters.
  private static func kernelStep(_ site: StepSite) -> Step? {
    switch site.node.operation {
    case .convolution(let p): p.hasMinimumWeight ? nil : ConvolutionStep(p, site: site)
    case .dense(let p): p.hasMinimumWeight ? nil : DenseStep(p, site: site)
    case .sum, .product: PairStep(site.node.operation, site: site)
    case .maxPool(let p): PoolStep(p, isMaximum: true, site: site)
    case .averagePool(let p): PoolStep(p, isMaximum: false, site: site)
    case .mean(let p): MeanStep(p, site: site)
    case .table(let entries, let count): TableStep(entries, count: count, site: site)
    case .softmax(let p): SoftmaxStep(p, site: site)
    case .quantize(let scale, let zeroPoint, let count):
      QuantizeStep(scale: scale, zeroPoint: zeroPoint, count: count, site: site)
    case .dequantize(let scale, let zeroPoint, let count):
      DequantizeStep(scale: scale, zeroPoint: zeroPoint, count: count, site: site)
    case .move(let p): MoveStep(p, site: site)
    case .reshape: nil
    }
  }

  /// RESHAPE and its kin change no byte: their output shares their input's memory and needs no step.
  private static func sharedRoots(_ graph: Graph) -> [Int] {
    var roots = Array(graph.tensors.indices)
    for node in graph.nodes where node.operation.isReshape {
      roots[node.output] = roots[node.inputs[0]]
    }
    return roots
  }

  /// The life of every root tensor in steps: inputs live from the start, outputs to the end.
  private static func requests(_ graph: Graph, nodes: [FusedNode], roots: [Int]) -> [ArenaLayout.Request] {
    var lives: [Int: ArenaLayout.Request] = [:]
    func extend(_ tensor: Int, to step: Int) {
      guard !graph.tensors[tensor].isConstant else { return }
      let root = roots[tensor]
      var life =
        lives[root]
        ?? ArenaLayout.Request(tensor: root, bytes: graph.tensors[root].byteCount, first: step, last: step)
      life.first = min(life.first, step)
      life.last = max(life.last, step)
      lives[root] = life
    }
    // All inputs are written before the first step, so they live from -1 together.
    for tensor in graph.inputs { extend(tensor, to: -1) }
    for (step, node) in nodes.enumerated() {
      for tensor in node.inputs { extend(tensor, to: step) }
      extend(node.output, to: step)
    }
    for tensor in graph.outputs { extend(tensor, to: nodes.count) }
    return lives.values.sorted { $0.tensor < $1.tensor }
  }
}

extension Operation {
  var isReshape: Bool {
    if case .reshape = self { true } else { false }
  }

  /// Whether a weight is -128, which only the reference kernels take.
  var hasMinimumWeight: Bool {
    switch self {
    case .convolution(let p): p.hasMinimumWeight
    case .dense(let p): p.hasMinimumWeight
    default: false
    }
  }
}
