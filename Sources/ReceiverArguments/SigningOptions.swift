import ArgumentParser
import Cryptography
import LocalFiles
import Storage

/// What signs receipts.
package struct SigningOptions: ParsableArguments {
  @Option(
    name: .long,
    help: "PEM file of the private key that signs receipts; see thermograph receive --make-key. Receivers share one.")
  package var signingKey: String?

  package init() {}

  /// The key in the file at `path`.
  package static func key(at path: String) throws(SigningKeyError) -> SigningKey {
    do {
      var pem = try BoundedFile.read(path, maximumBytes: SigningKey.maximumBytes)
      defer { SigningKey.wipe(&pem) }
      return try SigningKey(pem: pem, digests: OpenSSLDigests())
    } catch {
      throw SigningKeyError(description: "\(path): \(error)")
    }
  }
}

/// Why there is no key to sign with; one line for a person.
package struct SigningKeyError: Error, CustomStringConvertible {
  package let description: String
}
