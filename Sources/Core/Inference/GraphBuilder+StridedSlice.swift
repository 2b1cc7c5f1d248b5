/// STRIDED_SLICE with every mask, as `strided_slice.cc` resolves them.
extension GraphBuilder {
  private struct SliceOptions {
    var begin, end, ellipsis, newAxis, shrink: Int
    /// `end` counts from `begin` instead of from 0.
    var isOffset: Bool

    static func has(_ mask: Int, _ bit: Int) -> Bool { bit < 31 && mask >> bit & 1 == 1 }
  }

  /// One axis of the input after new axes and the ellipsis are expanded.
  private struct SliceAxis {
    var length: Int
    var begin: Int?
    var end: Int?
    var stride = 1
    var shrinks = false
    /// An axis of length 1 that the slice inserts.
    var isNew = false
  }

  mutating func addStridedSlice(_ site: Site) throws(ModelError) {
    try require(site, inputs: 4...4)
    let tensor = try input(site, 0, types: Self.movableTypes)
    let source = tensors[tensor].shape
    guard let table = site.options else {
      throw ModelError(.malformed, "no options", expected: "the masks of the slice")
    }
    let options = SliceOptions(
      begin: try table.int32(0), end: try table.int32(1), ellipsis: try table.int32(2), newAxis: try table.int32(3),
      shrink: try table.int32(4), isOffset: try table.bool(5))
    let begin = try integers(try input(site, 1, types: [.int32]), atMost: 2 * limits.rank)
    let end = try integers(try input(site, 2, types: [.int32]), atMost: 2 * limits.rank)
    let strides = try integers(try input(site, 3, types: [.int32]), atMost: 2 * limits.rank)
    guard begin.count == end.count, begin.count == strides.count, begin.count <= 2 * limits.rank else {
      throw ModelError(
        .invalidShape, "\(begin.count) begins, \(end.count) ends and \(strides.count) strides",
        expected: "equally many, at most \(2 * limits.rank)")
    }
    for stride in strides where stride == 0 || stride == Int(Int32.min) {
      throw ModelError(.invalidOption, "stride \(stride)", expected: "any stride but 0 and -2^31")
    }
    let axes = try expand(options, source: source, begin: begin, end: end, strides: strides)

    var shape: [Int] = []
    var box = Move.Box(input: 0, shape: [], sourceStrides: [], destinationStrides: [])
    var sourceAxis = 0
    let sourceStrides = rowMajorStrides(source)
    for axis in axes {
      if axis.isNew {
        shape.append(1)
        continue
      }
      let (start, count) = try resolve(axis, isOffset: options.isOffset)
      box.sourceOffset += start * sourceStrides[sourceAxis]
      box.shape.append(count)
      box.sourceStrides.append(sourceStrides[sourceAxis] * axis.stride)
      if !axis.shrinks {
        shape.append(count)
      }
      sourceAxis += 1
    }
    try ModelFile.checkShape(shape, limits: limits)
    box.destinationStrides = rowMajorStrides(box.shape)
    try emitMove(site, inputs: [tensor], shape: shape, boxes: [box])
  }

  private func expand(
    _ options: SliceOptions, source: [Int], begin: [Int], end: [Int], strides: [Int]
  ) throws(ModelError) -> [SliceAxis] {
    // A new axis under the ellipsis has no effect.
    let added = begin.indices.count {
      SliceOptions.has(options.newAxis, $0) && !SliceOptions.has(options.ellipsis, $0)
    }
    let ellipses = begin.indices.filter { SliceOptions.has(options.ellipsis, $0) }
    guard ellipses.count <= 1 else {
      throw ModelError(.invalidOption, "\(ellipses.count) ellipses", expected: "at most one")
    }
    let specified = begin.count - added - ellipses.count
    guard specified <= source.count else {
      throw ModelError(
        .invalidOption, "a slice of \(specified) axes of input \(source)", expected: "at most \(source.count)")
    }
    var axes: [SliceAxis] = []
    var next = source.makeIterator()
    func takeWhole(_ count: Int) {
      for _ in 0..<count {
        if let length = next.next() {
          axes.append(SliceAxis(length: length))
        }
      }
    }
    for position in begin.indices {
      if SliceOptions.has(options.ellipsis, position) {
        takeWhole(source.count - specified)
      } else if SliceOptions.has(options.newAxis, position) {
        axes.append(SliceAxis(length: 1, isNew: true))
      } else if let length = next.next() {
        axes.append(
          SliceAxis(
            length: length,
            begin: SliceOptions.has(options.begin, position) ? nil : begin[position],
            end: SliceOptions.has(options.end, position) ? nil : end[position],
            stride: strides[position], shrinks: SliceOptions.has(options.shrink, position)))
      }
    }
    takeWhole(source.count)
    return axes
  }

  /// First index and number of elements along one axis; negative indices count from the end, others are clamped.
  private func resolve(_ axis: SliceAxis, isOffset: Bool) throws(ModelError) -> (start: Int, count: Int) {
    let forward = axis.stride > 0
    let lowest = forward ? 0 : -1
    let highest = forward ? axis.length : axis.length - 1
    func clamped(_ index: Int) -> Int {
      min(max(index < 0 ? index + axis.length : index, lowest), highest)
    }
    let start = axis.begin.map(clamped) ?? (forward ? 0 : axis.length - 1)
    if axis.shrinks {
      // Only the start matters; the slice is one element whatever the end says.
      guard axis.stride > 0, (0..<axis.length).contains(start) else {
        throw ModelError(
          .invalidOption, "index \(axis.begin ?? 0) of an axis of \(axis.length)",
          expected: "an index inside the axis and a positive stride")
      }
      return (start, 1)
    }
    let end = axis.end.map { clamped(isOffset ? $0 + start : $0) } ?? (forward ? axis.length : -1)
    let distance = forward ? end - start : start - end
    guard distance > 0 else {
      throw ModelError(
        .invalidShape, "an empty slice \(start)..<\(end) by \(axis.stride)", expected: "at least one element")
    }
    return (start, (distance - 1) / abs(axis.stride) + 1)
  }
}
