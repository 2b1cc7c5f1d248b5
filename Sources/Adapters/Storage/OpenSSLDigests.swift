import COpenSSL
import Provenance
import Trust

/// SHA-256, SHA-512 and HMAC-SHA-256 by libcrypto.
package struct OpenSSLDigests: MetadataDigests {
  package init() {}

  package func sha256(_ message: [UInt8]) -> [UInt8] {
    digest { tg_sha256(message, message.count, $0) }
  }

  package func sha512(_ message: [UInt8]) -> [UInt8] {
    digest(byteCount: Int(TG_SHA512_BYTES)) { tg_sha512(message, message.count, $0) }
  }

  package func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] {
    digest { tg_hmac_sha256(key, key.count, message, message.count, $0) }
  }

  /// libcrypto refuses these calls only when it has no memory or was built without SHA-2; neither leaves anything
  /// to go on with, and a made-up digest would be worse than a stop.
  private func digest(
    byteCount: Int = Int(TG_SHA256_BYTES), _ compute: (UnsafeMutablePointer<UInt8>?) -> Int32
  ) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      let result = compute(buffer.baseAddress)
      precondition(result == TG_CRYPTO_OK, "libcrypto cannot compute SHA-2")
      count = byteCount
    }
  }
}
