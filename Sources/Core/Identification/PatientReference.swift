import Provenance

/// A patient's pseudonym: the same tag gives the same reference at one site, and nothing leads back to the tag
/// without the site's key. This, never the UID, is what records carry.
package struct PatientReference: Sendable, Hashable, CustomStringConvertible {
  /// 26 characters of `a-z2-7` for a computed one; `[a-z0-9-]{1,36}` for one that the roster gives.
  package let text: String

  package var description: String { text }

  /// How a reference is made from a tag. A version is never changed: another rule is another version.
  package enum Version: Int, Sendable, Hashable, Codable, CaseIterable {
    /// The first 16 bytes of HMAC-SHA-256(site key, UID). Whoever holds the key tries all 40-bit UIDs in minutes.
    case hmac = 1
    /// 16 bytes of scrypt(UID, salt; N = 8192, r = 8, p = 1), the salt HMAC-SHA-256(site key, `saltLabel`): 8 MiB and some
    /// tens of milliseconds a try.
    case scrypt = 2

    package static let current = Version.scrypt
    static let saltLabel = "thermograph patient reference 2"
    static let scryptCost = 8192
  }

  /// The reference of a tag: base32 (RFC 4648 section 6, written in lower case and without padding) of 16 bytes that
  /// `version` makes of the site's key and the UID.
  ///
  /// The UID enters as its bytes in printed order, so 5 for EM4100. A site key of at least 16 bytes is the caller's duty.
  /// Version 2 takes some 30 ms on a PC: not for an event loop.
  package init(
    tag: TagUID, siteKey: [UInt8], version: Version = .current, digests: some MessageDigests
  ) {
    let bytes =
      switch version {
      case .hmac: Array(digests.hmacSHA256(key: siteKey, message: tag.bytes).prefix(16))
      case .scrypt:
        digests.scrypt(
          tag.bytes, salt: digests.hmacSHA256(key: siteKey, message: Array(Version.saltLabel.utf8)),
          cost: Version.scryptCost, byteCount: 16)
      }
    text = Base32.text(of: bytes)
  }

  /// An id given by a roster, or nil unless it matches `[a-z0-9-]{1,36}`.
  package init?(_ identifier: String) {
    let characters = identifier.utf8
    guard (1...36).contains(characters.count), characters.allSatisfy(Self.isAllowed) else { return nil }
    text = identifier
  }

  private static func isAllowed(_ character: UInt8) -> Bool {
    switch character {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
    default: false
    }
  }
}

/// Base32 of RFC 4648 section 6, lower case, without padding.
enum Base32 {
  static func text(of bytes: some Sequence<UInt8>) -> String {
    let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)
    var text: [UInt8] = []
    var pending: UInt16 = 0
    var pendingBitCount = 0
    for byte in bytes {
      pending = pending << 8 | UInt16(byte)
      pendingBitCount += 8
      while pendingBitCount >= 5 {
        pendingBitCount -= 5
        text.append(alphabet[Int(pending >> UInt16(pendingBitCount)) & 31])
      }
      pending &= (1 << UInt16(pendingBitCount)) - 1
    }
    if pendingBitCount > 0 { text.append(alphabet[Int(pending << UInt16(5 - pendingBitCount)) & 31]) }
    return String(decoding: text, as: UTF8.self)
  }
}
