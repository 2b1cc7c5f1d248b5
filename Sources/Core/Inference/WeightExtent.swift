/// How far the int8 weights of one output channel reach: sixteen at a time, since every weight of a model passes here
/// while it loads.
struct WeightExtent: Equatable {
  /// Sum of |w - zero point|.
  var magnitude = 0
  /// The smallest weight; 127 of no weights.
  var smallest: Int8 = 127

  /// `zeroPoint` is within int8.
  init(of weights: UnsafeRawBufferPointer, zeroPoint: Int16) {
    typealias Lanes = SIMD16<Int16>
    let lanes = Lanes.scalarCount
    // |w - zero point| is at most 255, so a lane takes 128 of them before it must be emptied.
    let lanesHold = 128
    let zero = Lanes(repeating: zeroPoint)
    var smallest = Lanes(repeating: 127)
    var position = 0
    while weights.count - position >= lanes {
      var sum = Lanes.zero
      for _ in 0..<min((weights.count - position) / lanes, lanesHold) {
        let values = Lanes(
          truncatingIfNeeded: weights.loadUnaligned(fromByteOffset: position, as: SIMD16<Int8>.self))
        // Replacements by mask: the compiler keeps pointwiseMin and pointwiseMax as calls.
        var distance = values &- zero
        distance.replace(with: zero &- values, where: values .< zero)
        sum &+= distance
        smallest.replace(with: values, where: values .< smallest)
        position += lanes
      }
      magnitude += Int(SIMD16<Int32>(truncatingIfNeeded: sum).wrappedSum())
    }
    self.smallest = Int8(truncatingIfNeeded: smallest.min())
    for byte in weights[position...] {
      let value = Int8(bitPattern: byte)
      magnitude += Int(abs(Int16(value) - zeroPoint))
      self.smallest = min(self.smallest, value)
    }
  }
}
