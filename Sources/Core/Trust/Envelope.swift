/// A DSSE envelope (github.com/secure-systems-lab/dsse, version 1): a payload of a named type and signatures over both.
/// What is signed are bytes, so nothing has to be brought into one form first.
///
/// An envelope says nothing: only `TrustedKeys.open` hands out the payload of one whose signatures were checked.
package struct Envelope: Sendable, Equatable {
  package struct Signature: Sendable, Equatable {
    /// Whose it claims to be; a hint that nobody signed.
    package let keyIdentifier: ExactText?
    package let bytes: [UInt8]

    package init(keyIdentifier: ExactText?, bytes: [UInt8]) {
      self.keyIdentifier = keyIdentifier
      self.bytes = bytes
    }
  }

  /// What an envelope may hold.
  package struct Limits: Sendable, Equatable {
    package var envelopeBytes: Int
    package var payloadBytes: Int
    package var signatures: Int

    package init(envelopeBytes: Int, payloadBytes: Int, signatures: Int = 8) {
      self.envelopeBytes = envelopeBytes
      self.payloadBytes = payloadBytes
      self.signatures = signatures
    }

    /// Commands, configurations and results.
    package static let statement = Limits(envelopeBytes: 16 * 1024, payloadBytes: 12 * 1024)
  }

  package let payloadType: ExactText
  package let signatures: [Signature]
  let payload: [UInt8]
  /// What is signed, for who has believed it before: a copy in one's own keeping. Nothing proves it here.
  package var unverifiedPayload: [UInt8] { payload }

  /// Signs `payload` with each of `signers`.
  package init(_ payload: [UInt8], type: ExactText, signedBy signers: [any SignatureSigner]) throws(SigningFault) {
    let message = Self.preAuthenticationEncoding(payload, type: type)
    var signatures: [Signature] = []
    for signer in signers {
      signatures.append(
        Signature(keyIdentifier: ExactText(signer.keyIdentifier), bytes: try signer.sign(message)))
    }
    self.payload = payload
    payloadType = type
    self.signatures = signatures
  }

  /// Reads an envelope without believing it. Members that are unknown here are passed over, as DSSE asks.
  package init(reading bytes: [UInt8], within limits: Limits) throws(EnvelopeFault) {
    let tree: JSONValue
    do throws(JSONFault) {
      tree = try JSONValue(reading: bytes, within: JSONLimits(bytes: limits.envelopeBytes, depth: 8, values: 1024))
    } catch { throw .malformed("\(error)") }
    guard case .object(let object) = tree else { throw .malformed("\(tree.kind); expected an object") }
    do throws(ShapeFault) {
      payloadType = try object.text("payloadType")
      payload = try Self.base64(object, "payload", maximum: limits.payloadBytes)
      signatures = try Self.signatures(object, maximum: limits.signatures)
    } catch { throw .malformed("\(error)") }
  }

  private static func signatures(_ object: JSONObject, maximum: Int) throws(ShapeFault) -> [Signature] {
    var signatures: [Signature] = []
    for object in try object.objects("signatures", maximum: maximum) {
      let identifier = try object.optionalText("keyid")
      signatures.append(
        Signature(
          keyIdentifier: identifier == "" ? nil : identifier, bytes: try base64(object, "sig", maximum: 512)))
    }
    return signatures
  }

  private static func base64(_ object: JSONObject, _ name: ExactText, maximum: Int) throws(ShapeFault) -> [UInt8] {
    guard let bytes = Base64Text.bytes(of: try object.text(name)) else { throw ShapeFault("'\(name)' is not base64") }
    guard bytes.count <= maximum else {
      throw ShapeFault("'\(name)' has \(bytes.count) bytes; expected at most \(maximum)")
    }
    return bytes
  }

  /// The JSON text.
  package func encoded() -> [UInt8] {
    let signatures = signatures.map { signature in
      var members: [JSONObject.Member] = []
      if let identifier = signature.keyIdentifier { members.append(.init("keyid", .string(identifier))) }
      members.append(.init("sig", .string(Base64Text.text(of: signature.bytes))))
      return JSONValue.object(JSONObject(members))
    }
    return JSONValue.object([
      "payloadType": .string(payloadType), "payload": .string(Base64Text.text(of: payload)),
      "signatures": .array(signatures),
    ]).encoded()
  }

  /// What is signed: `"DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload`, lengths in bytes as decimal digits.
  package static func preAuthenticationEncoding(_ payload: [UInt8], type: ExactText) -> [UInt8] {
    Array("DSSEv1 \(type.utf8.count) ".utf8) + type.utf8 + Array(" \(payload.count) ".utf8) + payload
  }
}

/// Why an envelope is not believed.
package enum EnvelopeFault: Error, Sendable, Equatable, CustomStringConvertible {
  case malformed(String)
  /// Another kind of statement: a result is no command, whoever signed it.
  case payloadType(found: String, expected: String)
  /// Fewer known keys than the threshold have signed.
  case signatures(valid: Int, threshold: Int)

  package var description: String {
    switch self {
    case .malformed(let what): "envelope: \(what)"
    case .payloadType(let found, let expected): "envelope: holds '\(found)'; expected '\(expected)'"
    case .signatures(0, 1): "envelope: no signature of a known key is right"
    case .signatures(let valid, let threshold):
      "envelope: right signatures of \(valid) known keys; expected at least \(threshold)"
    }
  }
}
