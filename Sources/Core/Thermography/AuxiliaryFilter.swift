/// A moving average of the auxiliary words over the last 16 sub-pages: their noise would otherwise move the whole
/// image from frame to frame.
struct AuxiliaryFilter: Sendable {
  static let length = 16
  private var ring: [AuxiliaryWords] = []
  private var next = 0

  init() { ring.reserveCapacity(Self.length) }

  mutating func forget() {
    ring.removeAll(keepingCapacity: true)
    next = 0
  }

  /// Takes in one sub-page's words and gives the average of those at hand.
  mutating func add(_ words: AuxiliaryWords) -> AuxiliaryWords {
    if ring.count < Self.length {
      ring.append(words)
    } else {
      ring[next] = words
      next = (next + 1) % Self.length
    }
    var sum = words
    sum.scale(by: 0)
    for entry in ring { sum.add(entry) }
    sum.scale(by: 1 / Double(ring.count))
    return sum
  }
}

extension AuxiliaryWords {
  fileprivate mutating func add(_ other: AuxiliaryWords) {
    vbe += other.vbe
    ptat += other.ptat
    gain += other.gain
    vdd += other.vdd
    compensationPixel0 += other.compensationPixel0
    compensationPixel1 += other.compensationPixel1
  }

  fileprivate mutating func scale(by factor: Double) {
    vbe *= factor
    ptat *= factor
    gain *= factor
    vdd *= factor
    compensationPixel0 *= factor
    compensationPixel1 *= factor
  }
}
