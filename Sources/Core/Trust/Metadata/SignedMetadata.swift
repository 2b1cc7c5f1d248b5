import Provenance

/// One metadata file of TUF 1.0: what is signed, and the signatures over its canonical form.
struct SignedMetadata: Sendable {
  /// Members of metadata lie at most this deep.
  private static let depthMaximum = 16
  /// Each value takes some 60 bytes of memory.
  private static let valuesMaximum = 200_000
  private static let signaturesMaximum = 64

  let type: ExactText
  let version: Int64
  /// Seconds since 1970.
  let expiresSeconds: Int64
  let signed: JSONObject
  private let canonical: [UInt8]
  private let signatures: [(keyID: ExactText, bytes: [UInt8])]

  /// - Parameter type: what `_type` must be.
  init(reading bytes: [UInt8], type expected: ExactText, maximumBytes: Int) throws(MetadataFault) {
    let limits = JSONLimits(bytes: maximumBytes, depth: Self.depthMaximum, values: Self.valuesMaximum)
    let tree: JSONValue
    do throws(JSONFault) { tree = try JSONValue(reading: bytes, within: limits) } catch {
      throw .malformed("\(expected): \(error)")
    }
    do throws(ShapeFault) {
      guard case .object(let object) = tree else { throw ShapeFault("\(tree.kind); expected an object") }
      signed = try object.object("signed")
      type = try signed.text("_type")
      guard type == expected else { throw ShapeFault("'_type' is '\(type)'; expected '\(expected)'") }
      guard try signed.text("spec_version").string.split(separator: ".").first == "1" else {
        throw ShapeFault("'spec_version' is not 1")
      }
      // One less than there can be: the next version is always a number too.
      version = try signed.integer("version", in: 1...(Int64.max - 1))
      let expires = try signed.text("expires")
      guard let seconds = UTCTime.seconds(of: expires) else {
        throw ShapeFault("'expires' is '\(expires)'; expected YYYY-MM-DDTHH:MM:SSZ")
      }
      expiresSeconds = seconds
      canonical = try JSONValue.object(signed).canonicallyEncoded()
      signatures = try Self.signatures(object)
    } catch { throw .malformed("\(expected): \(error)") }
  }

  private static func signatures(_ object: JSONObject) throws(ShapeFault) -> [(keyID: ExactText, bytes: [UInt8])] {
    var signatures: [(keyID: ExactText, bytes: [UInt8])] = []
    var seen: Set<ExactText> = []
    for signature in try object.objects("signatures", maximum: signaturesMaximum) {
      let keyID = try signature.text("keyid")
      guard seen.insert(keyID).inserted else { throw ShapeFault("two signatures of the key '\(keyID)'") }
      // An empty one holds a place for somebody who has not signed yet.
      guard let bytes = Hexadecimal.bytes(of: try signature.text("sig").string), bytes.count <= 1024 else {
        throw ShapeFault("'sig' is no hexadecimal signature")
      }
      signatures.append((keyID, bytes))
    }
    return signatures
  }

  /// - Parameter role: its name, for the fault.
  func verify(_ role: String, by signers: RoleKeys, _ verifier: any SignatureVerifier) throws(MetadataFault) {
    var valid: Set<PublicKey> = []
    for (keyID, bytes) in signatures {
      guard let key = signers.keys[keyID], !valid.contains(key) else { continue }
      if verifier.isValid(bytes, of: canonical, by: key) { valid.insert(key) }
    }
    guard valid.count >= signers.threshold else {
      throw .signatures(role: role, valid: valid.count, threshold: signers.threshold)
    }
  }

  func isExpired(atSeconds now: Int64) -> Bool { now >= expiresSeconds }
}

/// Who signs a role, and how many of them.
struct RoleKeys: Sendable, Equatable {
  private static let keysMaximum = 64

  /// By their ids, which are mere names. Keys of kinds that nothing here can check are left out, so they never count.
  let keys: [ExactText: PublicKey]
  let threshold: Int

  init(_ role: JSONObject, from keys: KeyList) throws(ShapeFault) {
    // More than there are keys is a role that nobody can sign for; its delegator may still be right.
    threshold = Int(try role.integer("threshold", in: 1...1000))
    var found: [ExactText: PublicKey] = [:]
    var seen: Set<ExactText> = []
    for identifier in try role.texts("keyids", maximum: Self.keysMaximum) {
      guard seen.insert(identifier).inserted else { throw ShapeFault("the key '\(identifier)' twice in a role") }
      if let key = keys.keys[identifier] { found[identifier] = key }
    }
    self.keys = found
  }
}

/// The `keys` of root and of delegations.
struct KeyList: Sendable, Equatable {
  private static let keysMaximum = 256

  let keys: [ExactText: PublicKey]

  init(_ object: JSONObject) throws(ShapeFault) {
    guard object.members.count <= Self.keysMaximum else { throw ShapeFault("more than \(Self.keysMaximum) keys") }
    var keys: [ExactText: PublicKey] = [:]
    for member in object.members {
      guard case .object(let description) = member.value else { throw ShapeFault("a key is \(member.value.kind)") }
      if let key = try Self.key(description) { keys[member.name] = key }
    }
    self.keys = keys
  }

  /// nil for a kind that nothing here can check, and for a key that must not count.
  private static func key(_ description: JSONObject) throws(ShapeFault) -> PublicKey? {
    let type = try description.text("keytype")
    let scheme = try description.text("scheme")
    let value = try description.object("keyval").text("public").string
    do throws(KeyFault) {
      switch (type, scheme) {
      case ("ed25519", "ed25519"):
        guard let bytes = Hexadecimal.bytes(of: value) else { return nil }
        return try PublicKey(.ed25519, bytes: bytes)
      case ("ecdsa", "ecdsa-sha2-nistp256"), ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"):
        let key = try PublicKey(pem: value)
        return key.kind == .ecdsaP256 ? key : nil
      default: return nil
      }
    } catch { return nil }
  }
}
