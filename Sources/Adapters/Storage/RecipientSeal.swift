import COpenSSL

/// Seals files for one recipient, who alone can open them: for a stick that travels. The form is a CMS message
/// (RFC 5652 and 5083), so that any OpenSSL opens it:
///
/// ```
/// openssl cms -decrypt -inform DER -in record.json.cms -recip clinic.pem -inkey clinic.key -out record.json
/// ```
package final class RecipientSeal {
  /// What a sealed file's name ends with.
  package static let suffix = ".cms"

  private let recipient: OpaquePointer

  /// - Parameter pem: the recipient's certificate, which holds the public key; the first one counts. nil when there is
  ///   no certificate in it.
  package init?(certificate pem: [UInt8]) {
    guard let recipient = tg_recipient_new(pem, pem.count) else { return nil }
    self.recipient = recipient
  }

  deinit {
    tg_recipient_free(recipient)
  }

  /// - Throws: `.library` when the certificate's key is of a kind that cannot receive, or memory ran out.
  package func seal(_ plain: [UInt8]) throws(SealingError) -> [UInt8] {
    var sealed: UnsafeMutablePointer<UInt8>?
    var count = 0
    guard tg_recipient_seal(recipient, plain, plain.count, &sealed, &count) == TG_CRYPTO_OK, let sealed else {
      throw SealingError.library
    }
    defer { tg_recipient_release(sealed) }
    return Array(UnsafeBufferPointer(start: sealed, count: count))
  }
}
