import CInferenceKernels

// Movements that convolutions take over: the kernels pad and dilate as they read.
extension Fusion {
  /// PAD with the convolution's zero point goes into the padding of the convolution behind it.
  mutating func mergePadding() {
    for index in nodes.indices {
      guard case .convolution(var convolution) = nodes[index].operation,
        let pad = nodes.firstIndex(where: { $0.output == nodes[index].inputs[0] }),
        case .move(let move) = nodes[pad].operation, case .padding(let top, let left)? = move.pattern,
        let fill = move.fill, Int32(fill) == convolution.inputZeroPoint, hasOneReader(nodes[pad].output)
      else { continue }
      let shape = graph.tensors[nodes[pad].inputs[0]].shape
      convolution.inputHeight = shape[1]
      convolution.inputWidth = shape[2]
      convolution.padTop += top
      convolution.padLeft += left
      guard isWithinReach(convolution, hasPool: nodes[index].hasPool) else { continue }
      nodes[index].operation = .convolution(convolution)
      nodes[index].inputs[0] = nodes[pad].inputs[0]
      nodes[index].prepend(nodes[pad])
      nodes[pad].isMerged = true
    }
    nodes.removeAll(where: \.isMerged)
    countReaders()
  }

  /// SPACE_TO_BATCH_ND, a convolution by steps of one, tables and BATCH_TO_SPACE_ND are one dilated convolution, and the tables
  /// behind it: block row r of phase p is row r * block + p - before of the space, so kernel rows that lie `dilation`
  /// block rows apart lie `dilation * block` rows apart in space.
  mutating func mergeSpaceBatch() {
    for index in nodes.indices where !nodes[index].isMerged {
      guard case .convolution(var convolution) = nodes[index].operation, !nodes[index].hasPool,
        convolution.strideHeight == 1, convolution.strideWidth == 1,
        let first = nodes.firstIndex(where: { $0.output == nodes[index].inputs[0] }),
        case .move(let move) = nodes[first].operation, case .spaceToBatch(let blocks, let padded)? = move.pattern,
        let fill = move.fill, Int32(fill) == convolution.inputZeroPoint, hasOneReader(nodes[first].output),
        let tail = batchToSpace(behind: index), tail.blocks == blocks
      else { continue }
      let source = graph.tensors[nodes[first].inputs[0]].shape
      let result = graph.tensors[nodes[tail.last].output].shape
      convolution.padTop = padded[0] + convolution.padTop * blocks[0] - tail.cropped[0]
      convolution.padLeft = padded[1] + convolution.padLeft * blocks[1] - tail.cropped[1]
      guard convolution.padTop >= 0, convolution.padLeft >= 0, source[0] == result[0] else { continue }
      convolution.batch = source[0]
      (convolution.inputHeight, convolution.inputWidth) = (source[1], source[2])
      (convolution.outputHeight, convolution.outputWidth) = (result[1], result[2])
      convolution.dilationHeight *= blocks[0]
      convolution.dilationWidth *= blocks[1]
      guard isWithinReach(convolution, hasPool: false) else { continue }
      nodes[index].operation = .convolution(convolution)
      nodes[index].inputs[0] = nodes[first].inputs[0]
      nodes[index].output = nodes[tail.last].output
      nodes[index].prepend(nodes[first])
      nodes[index].append(nodes[tail.last])
      // Tables work in place on the result: element by element, any order of elements will do.
      for table in tail.tables {
        if case .table(let entries, _) = nodes[table].operation {
          nodes[table].operation = .table(entries, count: result.reduce(1, *))
        }
        nodes[table].inputs = [nodes[tail.last].output]
        nodes[table].output = nodes[tail.last].output
      }
      nodes[first].isMerged = true
      nodes[tail.last].isMerged = true
    }
    nodes.removeAll(where: \.isMerged)
    countReaders()
  }

  private struct Tail {
    var tables: [Int] = []
    var last: Int
    var blocks, cropped: [Int]
  }

  /// The BATCH_TO_SPACE_ND that alone reads the result of step `index`, itself or through tables.
  private func batchToSpace(behind index: Int) -> Tail? {
    var tables: [Int] = []
    var output = nodes[index].output
    while hasOneReader(output), let next = nodes.firstIndex(where: { $0.inputs == [output] }), next > index {
      switch nodes[next].operation {
      case .table: tables.append(next)
      case .move(let move):
        guard case .batchToSpace(let blocks, let cropped)? = move.pattern else { return nil }
        return Tail(tables: tables, last: next, blocks: blocks, cropped: cropped)
      default: return nil
      }
      output = nodes[next].output
    }
    return nil
  }

  /// Whether the kernels take this geometry with little scratch; a kernel dilated far beyond its input would not.
  private func isWithinReach(_ convolution: Convolution, hasPool: Bool) -> Bool {
    var geometry = tgk_conv_geometry(convolution, hasPool: hasPool, weightForm: TGK_WEIGHTS_FASTEST)
    let scratchBytesMax = 1 << 18
    if case .depthwise = convolution.kind {
      return tgk_depthwise_packed_size(level, &geometry) > 0
        && tgk_depthwise_scratch_size(level, &geometry) <= scratchBytesMax
    }
    return tgk_conv_packed_size(level, &geometry) > 0
      && tgk_conv_scratch_size(level, &geometry) <= scratchBytesMax
  }
}
