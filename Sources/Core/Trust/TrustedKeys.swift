import Provenance

/// Whose word counts, and how many of them must agree.
package struct TrustedKeys: Sendable, Equatable {
  /// Keys that are taken; each signature may have to be tried with each.
  package static let maximum = 16

  /// Distinct keys, each with its id.
  package let keys: [(key: PublicKey, identifier: ExactText)]
  package let threshold: Int

  /// - Parameters:
  ///   - keys: a key that stands there twice counts once, whatever it is called.
  ///   - threshold: 1 or more, and not more than there are distinct keys.
  package init(_ keys: [PublicKey], threshold: Int = 1, digests: some MessageDigests) throws(KeyFault) {
    var distinct: [PublicKey] = []
    for key in keys where !distinct.contains(key) { distinct.append(key) }
    guard distinct.count <= Self.maximum else {
      throw .form("one of \(distinct.count); expected at most \(Self.maximum)")
    }
    guard threshold >= 1, threshold <= distinct.count else {
      throw .form("one of \(distinct.count), and \(threshold) must sign: expected 1...\(distinct.count)")
    }
    self.keys = distinct.map { ($0, ExactText($0.identifier(digests))) }
    self.threshold = threshold
  }

  package static func == (left: Self, right: Self) -> Bool {
    left.threshold == right.threshold && left.keys.map(\.key) == right.keys.map(\.key)
  }

  /// A payload whose signatures were right. Nobody else can make one.
  package struct Statement: Sendable, Equatable {
    package let payload: [UInt8]
    /// The keys that signed, in the order of the list.
    package let signers: [PublicKey]
  }

  /// Hands out the payload when enough distinct keys have signed it as a statement of this type.
  package func open(
    _ envelope: Envelope, type: ExactText, verifier: some SignatureVerifier
  ) throws(EnvelopeFault) -> Statement {
    guard envelope.payloadType == type else {
      throw .payloadType(found: envelope.payloadType.string, expected: type.string)
    }
    let message = Envelope.preAuthenticationEncoding(envelope.payload, type: type)
    var signed: Set<PublicKey> = []
    for signature in envelope.signatures {
      // The id is a hint: one that we know spares attempts, any other decides nothing.
      let hinted = keys.filter { $0.identifier == signature.keyIdentifier }
      for (key, _) in hinted.isEmpty ? keys : hinted where !signed.contains(key) {
        if verifier.isValid(signature.bytes, of: message, by: key) {
          signed.insert(key)
          break
        }
      }
    }
    guard signed.count >= threshold else { throw .signatures(valid: signed.count, threshold: threshold) }
    return Statement(payload: envelope.payload, signers: keys.map(\.key).filter(signed.contains))
  }
}
