/// The identity a tag reports: 5 bytes for EM4100 (version byte first), 4, 7 or 10 for ISO 14443A, 8 for ISO 15693.
///
/// It never leaves the device: it has no textual description, so that it cannot slip into a log or an error. The
/// bytes are stored inline, so that decoding a stream of frames allocates nothing.
package struct TagUID: Sendable, Hashable {
  /// The longest identity that fits.
  package static let largestByteCount = 16

  /// The bytes from the most significant end, zero-padded at the end.
  private let high: UInt64
  private let low: UInt64
  /// 1...16
  package let byteCount: Int

  /// The identity made of `bytes` in the order they are printed; nil unless there are 1...16 of them.
  package init?(bytes: some Collection<UInt8>) {
    guard (1...Self.largestByteCount).contains(bytes.count) else { return nil }
    var halves: (UInt64, UInt64) = (0, 0)
    for (index, byte) in bytes.enumerated() {
      if index < 8 {
        halves.0 |= UInt64(byte) << (56 - 8 * UInt64(index))
      } else {
        halves.1 |= UInt64(byte) << (120 - 8 * UInt64(index))
      }
    }
    (high, low) = halves
    byteCount = bytes.count
  }

  /// The identity whose `byteCount` (1...16) bytes are the low end of `bits`, most significant first.
  init(bits: UInt128, byteCount: Int) {
    precondition((1...Self.largestByteCount).contains(byteCount))
    let aligned = bits << UInt128(128 - 8 * byteCount)
    high = UInt64(truncatingIfNeeded: aligned >> 64)
    low = UInt64(truncatingIfNeeded: aligned)
    self.byteCount = byteCount
  }

  /// The five bytes of an EM4100 tag: the low 40 bits of `bits`, version byte in the most significant position.
  init(em4100 bits: UInt64) {
    high = bits << 24
    low = 0
    byteCount = 5
  }

  /// The bytes in printed order.
  package var bytes: [UInt8] {
    (0..<byteCount).map { index in
      index < 8
        ? UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64(index)))
        : UInt8(truncatingIfNeeded: low >> (120 - 8 * UInt64(index)))
    }
  }

  /// The first eight bytes as a number, zero-padded at the low end.
  var leadingBits: UInt64 { high }

  /// Every bit is 0, or every bit is 1: what a reader sends when it hears nothing. Never a person's tag.
  package var isBlank: Bool {
    let highBits = min(byteCount, 8) * 8
    let lowBits = max(byteCount - 8, 0) * 8
    let highOnes = highBits == 64 ? UInt64.max : ~(UInt64.max >> UInt64(highBits))
    let lowOnes = lowBits == 64 ? UInt64.max : ~(UInt64.max >> UInt64(lowBits))
    return (high == 0 && low == 0) || (high == highOnes && low == lowOnes)
  }
}

extension TagUID: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "TagUID(hidden)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
