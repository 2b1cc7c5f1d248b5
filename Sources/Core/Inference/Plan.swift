/// The outcome of planning: memory with every address fixed, and the steps in order.
struct Plan {
  let memory: PlanMemory
  let steps: [Step]
  let kernels: String

  init(graph: Graph, choice: KernelChoice, fusesOperators: Bool) throws(ModelError) {
    let roots = Self.sharedRoots(graph)
    let nodes = graph.nodes.filter { if case .reshape = $0.operation { false } else { true } }
    let requests = Self.requests(graph, nodes: nodes, roots: roots)
    var constants: [Int] = graph.outputs.filter { graph.tensors[$0].isConstant }
    for node in nodes {
      let weights = node.operation.constants
      constants += (node.inputs + [weights.weights, weights.bias].compactMap { $0 })
        .filter { graph.tensors[$0].isConstant }
    }
    let memory = PlanMemory(graph: graph, requests: requests, roots: roots, constants: constants)
    self.memory = memory
    steps = nodes.map { ReferenceStep(node: $0, memory: memory) }
    kernels = "reference"
  }

  /// RESHAPE and its kin change no byte: their output shares their input's memory and needs no step.
  private static func sharedRoots(_ graph: Graph) -> [Int] {
    var roots = Array(graph.tensors.indices)
    for node in graph.nodes {
      if case .reshape = node.operation {
        roots[node.output] = roots[node.inputs[0]]
      }
    }
    return roots
  }

  /// The life of every root tensor in steps: inputs live from the start, outputs to the end.
  private static func requests(_ graph: Graph, nodes: [Node], roots: [Int]) -> [ArenaLayout.Request] {
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
