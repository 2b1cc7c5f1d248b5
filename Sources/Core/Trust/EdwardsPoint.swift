/// Points of edwards25519 that must never be keys.
///
/// libcrypto takes them: under the neutral element it accepts the same signature for every message.
enum EdwardsPoint {
  /// 2^255 - 19, little-endian.
  private static let prime: [UInt8] = [0xED] + [UInt8](repeating: 0xFF, count: 30) + [0x7F]

  /// The y coordinates of the eight points whose order divides the cofactor 8, little-endian: order 4 (0), order 1 (1),
  /// order 2 (-1), and the two of order 8. The sign bit of x makes two points of one y.
  private static let smallOrder: [[UInt8]] = [
    [UInt8](repeating: 0, count: 32),
    [1] + [UInt8](repeating: 0, count: 31),
    [0xEC] + [UInt8](repeating: 0xFF, count: 30) + [0x7F],
    [
      0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0,
      0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05,
    ],
    [
      0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F,
      0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A,
    ],
  ]

  /// What is wrong with the 32 bytes as a key, or nil. Whether the point is on the curve is for the verifier.
  static func weakness(of bytes: [UInt8]) -> String? {
    var y = bytes
    y[31] &= 0x7F
    if !isBelowPrime(y) { return "a point whose y is not below 2^255-19" }
    return smallOrder.contains(y) ? "a point of small order" : nil
  }

  private static func isBelowPrime(_ y: [UInt8]) -> Bool {
    for index in stride(from: 31, through: 0, by: -1) where y[index] != prime[index] {
      return y[index] < prime[index]
    }
    return false
  }
}
