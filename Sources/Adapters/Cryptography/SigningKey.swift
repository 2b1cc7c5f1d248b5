import COpenSSL
import Provenance
import Trust

/// A private key in memory. It is wiped when nobody holds it any more.
///
/// `@unchecked`: the key is never changed, and libcrypto lets many threads sign with one.
package final class SigningKey: SignatureSigner, @unchecked Sendable {
  /// A PEM text of such a key is never longer.
  package static let maximumBytes = 4 * 1024

  package let publicKey: PublicKey
  package let keyIdentifier: String
  private let key: OpaquePointer

  /// - Parameters:
  ///   - pem: a private key of Ed25519 or P-256, without a passphrase.
  ///   - digests: for the key's id.
  package init(pem: [UInt8], digests: some MessageDigests) throws(SigningFault) {
    let key = pem.withUnsafeBytes { tg_signing_key_read($0.bindMemory(to: CChar.self).baseAddress, $0.count) }
    guard let key else {
      throw SigningFault("no private key of Ed25519 or P-256 in PEM form without a passphrase")
    }
    var der = [UInt8](repeating: 0, count: 128)
    let count = tg_signing_key_public(key, &der, der.count)
    do {
      publicKey = try PublicKey(der: Array(der.prefix(max(0, count))))
    } catch {
      tg_signing_key_free(key)
      throw SigningFault("\(error)")
    }
    keyIdentifier = publicKey.identifier(digests)
    self.key = key
  }

  deinit {
    tg_signing_key_free(key)
  }

  package func sign(_ message: [UInt8]) throws(SigningFault) -> [UInt8] {
    var signature = [UInt8](repeating: 0, count: 128)
    let count = tg_sign(key, message, message.count, &signature, signature.count)
    guard count > 0 else { throw SigningFault("libcrypto made no signature") }
    return Array(signature.prefix(count))
  }

  /// A new Ed25519 key as PEM. Whoever writes it to a file makes the file private first, and wipes these bytes.
  package static func make() throws(SigningFault) -> [UInt8] {
    var pem = [CChar](repeating: 0, count: maximumBytes)
    defer { pem.withUnsafeMutableBytes { tg_wipe($0.baseAddress, $0.count) } }
    let count = tg_signing_key_new(&pem, pem.count)
    guard count > 0 else { throw SigningFault("libcrypto made no key") }
    return pem.prefix(count).map { UInt8(bitPattern: $0) }
  }

  /// Overwrites key bytes in a way that the compiler keeps.
  package static func wipe(_ bytes: inout [UInt8]) {
    bytes.withUnsafeMutableBytes { tg_wipe($0.baseAddress, $0.count) }
  }
}
