/// The hash functions that pure logic needs; `Storage` implements them over libcrypto, so that Core names no C.
package protocol MessageDigests: Sendable {
  /// SHA-256 (FIPS 180-4): 32 bytes.
  func sha256(_ message: [UInt8]) -> [UInt8]
  /// HMAC-SHA-256 (RFC 2104): 32 bytes. `key` may have any length.
  func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8]
}
