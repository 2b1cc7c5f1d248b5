import Audit
import Provenance
import Trust

/// Reads what comes on `dn/receipt`, and says whose word counts.
package struct ReceiptReader: Sendable {
  /// Whose signatures count.
  package struct Rules: Sendable, Equatable {
    /// The receivers' keys, any one of which is enough; several while one key replaces another. nil: none is known.
    package var keys: TrustedKeys?
    /// A receipt without signature frees nothing.
    package var requiresSignature: Bool

    package init(keys: TrustedKeys?, requiresSignature: Bool) {
      self.keys = keys
      self.requiresSignature = requiresSignature
    }

    /// As devices did before receivers had keys: everybody with a client certificate is believed.
    package static let anybody = Rules(keys: nil, requiresSignature: false)
  }

  package var rules: Rules
  private let site: String
  private let device: String
  private let outboxID: RandomIdentifier?
  private let verifier: any SignatureVerifier

  /// - Parameter outboxID: nil where no outbox is at hand and only the answer to a probe is waited for.
  package init(
    _ rules: Rules, topics: TopicSchema, outboxID: RandomIdentifier?, verifier: any SignatureVerifier
  ) {
    self.rules = rules
    site = topics.site.text
    device = topics.device.text
    self.outboxID = outboxID
    self.verifier = verifier
  }

  /// - Throws: why it is not believed.
  package func read(_ message: [UInt8]) throws(ReceiptError) -> Receipt {
    let receipt: Receipt
    if Self.isEnvelope(message) {
      receipt = try open(message)
    } else {
      guard !rules.requiresSignature else { throw .unsigned }
      var unsigned = try Receipt(decoding: message)
      // Who signed nothing has cosigned nothing.
      unsigned.cosignature = nil
      receipt = unsigned
    }
    if let addressee = receipt.addressee {
      guard addressee.site == site, addressee.device == device else {
        throw .misdirected("another device")
      }
      guard addressee.outboxID == nil || outboxID == nil || addressee.outboxID == outboxID else {
        throw .misdirected("another outbox of this device")
      }
    }
    return receipt
  }

  private func open(_ message: [UInt8]) throws(ReceiptError) -> Receipt {
    guard let keys = rules.keys else { throw .noKeys }
    let statement: TrustedKeys.Statement
    do throws(EnvelopeFault) {
      statement = try keys.open(
        try Envelope(reading: message, within: Receipt.limits), type: Receipt.payloadType, verifier: verifier)
    } catch { throw .untrusted("\(error)") }
    return try Receipt(decoding: statement.payload, schema: Receipt.signedSchema)
  }

  /// Whether the message claims to be signed. Only which of two readers takes it depends on that.
  private static func isEnvelope(_ message: [UInt8]) -> Bool {
    let limits = JSONLimits(bytes: Receipt.limits.envelopeBytes, depth: 8, values: 16_384, decimals: .kept)
    do throws(JSONFault) {
      guard case .object(let object) = try JSONValue(reading: message, within: limits) else { return false }
      return object["payloadType"] != nil
    } catch { return false }
  }
}

extension ReceiptReader {
  /// The head that a signed receipt cosigns, whomever it is for; nil: none.
  package static func cosignature(
    of message: [UInt8], _ rules: Rules, verifier: some SignatureVerifier
  ) throws -> AuditHead? {
    guard let keys = rules.keys else { throw ReceiptError.noKeys }
    let statement = try keys.open(
      try Envelope(reading: message, within: Receipt.limits), type: Receipt.payloadType, verifier: verifier)
    return try Receipt(decoding: statement.payload, schema: Receipt.signedSchema).cosignature
  }
}

extension Receipt {
  /// What a signed receipt says, for who has believed it before.
  package init(unverified envelope: [UInt8]) throws {
    try self.init(
      decoding: try Envelope(reading: envelope, within: Receipt.limits).unverifiedPayload,
      schema: Receipt.signedSchema)
  }
}
