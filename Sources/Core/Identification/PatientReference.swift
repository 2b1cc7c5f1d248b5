import Provenance

/// A patient's pseudonym: the same tag gives the same reference at one site, and nothing leads back to the tag
/// without the site's key. This, never the UID, is what records carry.
package struct PatientReference: Sendable, Hashable, CustomStringConvertible {
  /// 26 characters of `a-z2-7` for a computed one; `[a-z0-9-]{1,36}` for one that the roster gives.
  package let text: String

  package var description: String { text }

  /// The reference of a tag: base32 (RFC 4648 section 6, written in lower case and without padding) of the first
  /// 16 bytes of HMAC-SHA-256(site key, UID).
  ///
  /// The UID enters as its bytes in printed order, so 5 for EM4100. A site key of at least 16 bytes is the caller's
  /// duty: 40-bit UIDs can be tried one by one by whoever has the key.
  package init(tag: TagUID, siteKey: [UInt8], digests: some MessageDigests) {
    text = Base32.text(of: digests.hmacSHA256(key: siteKey, message: tag.bytes).prefix(16))
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
