/// A random version 4 UUID (RFC 9562 section 5.4): the capture's id and the outbox's id.
///
/// It needs no clock, so a board that boots in 1970 still makes unique ids.
package struct RandomIdentifier: Sendable, Hashable, Comparable, CustomStringConvertible {
  package let high: UInt64
  package let low: UInt64

  /// A fresh identifier. The generator is a parameter so that tests can repeat one.
  package init(using generator: inout some RandomNumberGenerator) {
    high = (generator.next() & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000
    low = (generator.next() & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
  }

  /// The identifier written as `text` (36 characters, hyphens at 8, 13, 18, 23; either case), or nil.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count == 36 else { return nil }
    var halves: (UInt64, UInt64) = (0, 0)
    var digits = 0
    for (index, byte) in bytes.enumerated() {
      if index == 8 || index == 13 || index == 18 || index == 23 {
        guard byte == UInt8(ascii: "-") else { return nil }
        continue
      }
      guard let nibble = Hexadecimal.value(of: byte) else { return nil }
      if digits < 16 { halves.0 = halves.0 << 4 | UInt64(nibble) } else { halves.1 = halves.1 << 4 | UInt64(nibble) }
      digits += 1
    }
    (high, low) = halves
  }

  /// The identifier in 16 bytes of network order, or nil.
  package init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    low = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Lower case with hyphens, e.g. `9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11`.
  package var description: String {
    String(unsafeUninitializedCapacity: 36) { text in
      var end = 0
      for digit in 0..<32 {
        if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
          text[end] = UInt8(ascii: "-")
          end += 1
        }
        let half = digit < 16 ? high : low
        text[end] = Hexadecimal.digit(of: UInt8(truncatingIfNeeded: half >> (60 - 4 * (digit & 15))) & 15)
        end += 1
      }
      return end
    }
  }

  /// The 16 bytes in network order.
  package var bytes: [UInt8] {
    (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> (56 - 8 * ($0 & 7))) }
  }

  package static func < (left: Self, right: Self) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}

extension RandomIdentifier: Codable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let identifier = RandomIdentifier(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "expected a UUID of 36 characters")
    }
    self = identifier
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
