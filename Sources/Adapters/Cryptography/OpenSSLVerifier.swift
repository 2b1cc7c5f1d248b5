import COpenSSL
import Trust

/// Ed25519 and ECDSA P-256 by libcrypto.
package struct OpenSSLVerifier: SignatureVerifier {
  package init() {}

  package func isValid(_ signature: [UInt8], of message: [UInt8], by key: PublicKey) -> Bool {
    let der = key.der
    return tg_signature_verify(der, der.count, message, message.count, signature, signature.count) == TG_CRYPTO_OK
  }
}
