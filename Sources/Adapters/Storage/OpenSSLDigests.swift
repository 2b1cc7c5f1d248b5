import COpenSSL
import Provenance
import Trust

/// SHA-256, SHA-512, HMAC-SHA-256 and scrypt by libcrypto.
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

  package func scrypt(_ secret: [UInt8], salt: [UInt8], cost: Int, byteCount: Int) -> [UInt8] {
    precondition(cost.nonzeroBitCount == 1 && (2...65_536).contains(cost), "N is a power of two, 2...65,536")
    precondition((1...64).contains(byteCount))
    // glibc keeps a large block for the next of its size; there is none for minutes.
    defer { HeapMemory.giveBackUnused() }
    return [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      let result = tg_scrypt(
        secret, secret.count, salt, salt.count, Int32(cost.trailingZeroBitCount), buffer.baseAddress, byteCount)
      precondition(result == TG_CRYPTO_OK, "libcrypto cannot compute scrypt")
      count = byteCount
    }
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
