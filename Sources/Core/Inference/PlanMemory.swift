/// The memory of one interpreter: an arena for computed tensors and a block for the constants its steps read in place.
/// Both are allocated once and freed with the object; addresses never change.
final class PlanMemory {
  let layout: ArenaLayout
  let constantByteCount: Int
  let scratchByteCount: Int
  /// Working memory of whichever step runs.
  let scratch: UnsafeMutableRawPointer
  private let arena: UnsafeMutableRawPointer
  private let constants: UnsafeMutableRawPointer
  private let constantOffsets: [Int: Int]
  private let roots: [Int]

  /// - Parameters:
  ///   - layout: where the root tensors live.
  ///   - roots: for each tensor the one whose memory it shares (itself for most).
  ///   - constants: tensors to copy out of the graph.
  ///   - scratchByteCount: the most any step needs.
  init(graph: Graph, layout: ArenaLayout, roots: [Int], constants needed: [Int], scratchByteCount: Int) {
    self.layout = layout
    self.roots = roots
    var offsets: [Int: Int] = [:]
    var size = 0
    for tensor in needed where offsets[tensor] == nil {
      offsets[tensor] = size
      size += ArenaLayout.rounded(graph.constantBytes(tensor).count)
    }
    constantOffsets = offsets
    constantByteCount = size
    self.scratchByteCount = scratchByteCount
    scratch = .allocate(byteCount: max(scratchByteCount, 1), alignment: 64)
    scratch.initializeMemory(as: UInt8.self, repeating: 0, count: scratchByteCount)
    arena = .allocate(byteCount: max(layout.byteCount, 1), alignment: 64)
    // Zeroed, so that nothing of another allocation can ever be read through it.
    arena.initializeMemory(as: UInt8.self, repeating: 0, count: layout.byteCount)
    constants = .allocate(byteCount: max(size, 1), alignment: 64)
    for (tensor, offset) in offsets {
      let bytes = graph.constantBytes(tensor)
      bytes.withUnsafeBytes { source in
        if let base = source.baseAddress {
          (constants + offset).copyMemory(from: base, byteCount: source.count)
        }
      }
    }
  }

  deinit {
    arena.deallocate()
    constants.deallocate()
    scratch.deallocate()
  }

  /// Where a tensor's bytes are while the plan runs, constant or computed.
  func source(_ tensor: Int) -> UnsafeRawPointer {
    if let offset = constantOffsets[tensor] {
      return UnsafeRawPointer(constants + offset)
    }
    return UnsafeRawPointer(target(tensor))
  }

  func target(_ tensor: Int) -> UnsafeMutableRawPointer {
    guard let offset = layout.offsets[roots[tensor]] else {
      preconditionFailure("tensor \(tensor) has no place in the arena")
    }
    return arena + offset
  }
}
