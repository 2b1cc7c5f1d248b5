import Provenance

/// A key by which somebody's signatures are checked.
package struct PublicKey: Sendable, Hashable {
  package enum Kind: String, Sendable, Hashable {
    /// RFC 8032, pure Ed25519.
    case ed25519
    /// ECDSA on P-256 with SHA-256 (FIPS 186-4); signatures in DER.
    case ecdsaP256 = "ecdsa-p256"
  }

  package let kind: Kind
  /// Ed25519: the point's 32 bytes. P-256: 0x04, X and Y, 65 bytes. One key has one form, so equal keys are equal bytes.
  package let bytes: [UInt8]

  /// - Throws: `.form` for other lengths; `.weakPoint` for points of Ed25519 under which strangers can sign.
  package init(_ kind: Kind, bytes: [UInt8]) throws(KeyFault) {
    switch kind {
    case .ed25519:
      guard bytes.count == 32 else { throw .form("\(bytes.count) bytes; expected the 32 of an Ed25519 key") }
      if let weakness = EdwardsPoint.weakness(of: bytes) { throw .weakPoint(weakness) }
    case .ecdsaP256:
      guard bytes.count == 65, bytes[0] == 4 else {
        throw .form("not an uncompressed point of P-256: 0x04 and 64 bytes")
      }
    }
    self.kind = kind
    self.bytes = bytes
  }

  // MARK: SubjectPublicKeyInfo

  /// Everything before the point in the DER of RFC 8410 and RFC 5480. The structure has no optional part, so it is a fixed
  /// prefix and needs no reader of ASN.1.
  private static let prefixes: [(kind: Kind, bytes: [UInt8])] = [
    (.ed25519, [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]),
    (
      .ecdsaP256,
      [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
        0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
      ]
    ),
  ]

  /// SubjectPublicKeyInfo in DER.
  package var der: [UInt8] {
    (Self.prefixes.first { $0.kind == kind }?.bytes ?? []) + bytes
  }

  /// - Throws: `.form` for any other kind of key, also for compressed points.
  package init(der: [UInt8]) throws(KeyFault) {
    guard let prefix = Self.prefixes.first(where: { der.starts(with: $0.bytes) }) else {
      throw .form("neither an Ed25519 key nor an uncompressed P-256 key")
    }
    try self.init(prefix.kind, bytes: Array(der.dropFirst(prefix.bytes.count)))
  }

  private static let pemStart = "-----BEGIN PUBLIC KEY-----"
  private static let pemEnd = "-----END PUBLIC KEY-----"

  /// As `openssl pkey -pubout` writes it.
  package var pem: String {
    var lines = [Self.pemStart]
    var rest = Base64Text.text(of: der)[...]
    while !rest.isEmpty {
      lines.append(String(rest.prefix(64)))
      rest = rest.dropFirst(64)
    }
    return (lines + [Self.pemEnd, ""]).joined(separator: "\n")
  }

  /// One key in PEM (RFC 7468). Text before and behind it is not taken.
  package init(pem: String) throws(KeyFault) {
    guard pem.utf8.count <= 1024 else { throw .form("\(pem.utf8.count) bytes; expected one public key in PEM") }
    let lines = pem.split(whereSeparator: \.isNewline).map { $0.trimming { $0 == " " || $0 == "\t" } }
    guard let first = lines.first, let last = lines.last, lines.count >= 3, first.elementsEqual(Self.pemStart),
      last.elementsEqual(Self.pemEnd)
    else { throw .form("not one public key in PEM (BEGIN PUBLIC KEY ... END PUBLIC KEY)") }
    guard let der = Base64Text.bytes(of: ExactText(lines[1..<(lines.count - 1)].joined())) else {
      throw .form("the PEM text is not base64")
    }
    try self.init(der: der)
  }

  /// The key's id in this house: the SHA-256 of its DER in hexadecimal digits. A signature's id is a hint only.
  package func identifier(_ digests: some MessageDigests) -> String {
    Hexadecimal.text(of: digests.sha256(der))
  }
}

/// Why a key is not taken.
package enum KeyFault: Error, Sendable, Equatable, CustomStringConvertible {
  case form(String)
  case weakPoint(String)

  package var description: String {
    switch self {
    case .form(let what): "the key is \(what)"
    case .weakPoint(let what): "the key is \(what): strangers could sign for it"
    }
  }
}

extension Substring {
  fileprivate func trimming(_ isTrimmed: (Character) -> Bool) -> Substring {
    var rest = self.drop(while: isTrimmed)
    while let last = rest.last, isTrimmed(last) { rest.removeLast() }
    return rest
  }
}
