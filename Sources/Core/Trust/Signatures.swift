/// Checks signatures. `Cryptography` implements it over libcrypto, so that Core names no C.
package protocol SignatureVerifier: Sendable {
  /// Whether `signature` is `key`'s over exactly `message`. False also for a signature of another form and a point that
  /// is not on its curve; never throws, so that no failure can be taken for a yes.
  func isValid(_ signature: [UInt8], of message: [UInt8], by key: PublicKey) -> Bool
}

/// Signs with one private key.
package protocol SignatureSigner: Sendable {
  var publicKey: PublicKey { get }

  /// The key's id for the envelope.
  var keyIdentifier: String { get }

  func sign(_ message: [UInt8]) throws(SigningFault) -> [UInt8]
}

/// Why nothing was signed.
package struct SigningFault: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}
