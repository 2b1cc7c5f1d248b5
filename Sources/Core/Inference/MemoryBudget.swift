import CInferenceKernels

/// How much memory an interpreter may take: 1.35 times what cannot be avoided (the file's weights and the arena's live-set
/// bound) and 256 KiB. Everything counts: packed weights, arena, constants, scratch and the plan itself.
struct MemoryBudget: Equatable, Sendable {
  let byteCount: Int

  init(byteCount: Int) {
    self.byteCount = byteCount
  }

  /// - Parameters:
  ///   - weightBytes: weights and biases in the file.
  ///   - arenaBoundBytes: the most bytes of tensors that live at the same time.
  init(weightBytes: Int, arenaBoundBytes: Int) {
    byteCount = (weightBytes + arenaBoundBytes) * 135 / 100 + 256 << 10
  }

  /// What a step takes beside its weights: the object, its parameter block, its label.
  private static let stepBytes = 2048

  /// Packs weights in the fastest form where the budget allows it. Where it does not, layers that gain least for
  /// their bytes (fewest multiply-accumulates for each byte more) make do with the smallest form first.
  /// - Parameter otherBytes: what the plan takes beside packed weights, scratch and steps.
  func choosePacking(_ nodes: inout [FusedNode], level: tgk_level, otherBytes: Int) {
    var excess = otherBytes + nodes.count * Self.stepBytes - byteCount
    var scratch = 0
    var choices: [(index: Int, bytesMore: Int, macs: Int)] = []
    for (index, node) in nodes.enumerated() {
      let fastest = node.kernelByteCounts(level)
      excess += fastest.packed
      scratch = max(scratch, fastest.scratch)
      var smaller = node
      smaller.weightForm = TGK_WEIGHTS_SMALLEST
      let more = fastest.packed - smaller.kernelByteCounts(level).packed
      if more > 0 {
        choices.append((index, more, node.operation.multiplyAccumulates))
      }
    }
    excess += scratch
    // a.macs / a.bytesMore < b.macs / b.bytesMore, and the first of equals.
    choices.sort { ($0.macs * $1.bytesMore, $0.index) < ($1.macs * $0.bytesMore, $1.index) }
    for choice in choices where excess > 0 {
      nodes[choice.index].weightForm = TGK_WEIGHTS_SMALLEST
      excess -= choice.bytesMore
    }
  }
}

extension FusedNode {
  /// Bytes the C kernels want for this node's weights and, while it runs, for scratch.
  func kernelByteCounts(_ level: tgk_level) -> (packed: Int, scratch: Int) {
    if operation.hasMinimumWeight {
      return (0, 0)
    }
    switch operation {
    case .convolution(let p):
      var geometry = tgk_conv_geometry(p, hasPool: hasPool, weightForm: weightForm)
      if case .depthwise = p.kind {
        return (tgk_depthwise_packed_size(level, &geometry), tgk_depthwise_scratch_size(level, &geometry))
      }
      return (tgk_conv_packed_size(level, &geometry), tgk_conv_scratch_size(level, &geometry))
    case .dense(let p):
      var geometry = tgk_dense_geometry(p)
      return (tgk_dense_packed_size(level, &geometry), tgk_dense_scratch_size(level, &geometry))
    default: return (0, 0)
    }
  }
}
