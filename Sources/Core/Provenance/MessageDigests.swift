/// The hash functions that pure logic needs; `Storage` implements them over libcrypto, so that Core names no C.
package protocol MessageDigests: Sendable {
  /// SHA-256 (FIPS 180-4): 32 bytes.
  func sha256(_ message: [UInt8]) -> [UInt8]
  /// HMAC-SHA-256 (RFC 2104): 32 bytes. `key` may have any length.
  func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8]
  /// scrypt (RFC 7914) with r = 8 and p = 1: slow and large on purpose, about 1024 * `cost` bytes.
  ///
  /// - Parameters:
  ///   - cost: N, a power of two from 2 to 65,536.
  ///   - byteCount: of the result, 1...64.
  func scrypt(_ secret: [UInt8], salt: [UInt8], cost: Int, byteCount: Int) -> [UInt8]
}
