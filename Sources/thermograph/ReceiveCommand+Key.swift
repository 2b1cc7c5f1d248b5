import Cryptography
import LocalFiles
import Storage
import Trust

/// Why there is no key to sign with; one line for a person.
struct ReceiverKeyError: Error, CustomStringConvertible {
  let description: String
}

extension ReceiveCommand {
  /// What signs receipts; nil for receipts of version 1.
  func signer() throws(ReceiverKeyError) -> SigningKey? {
    guard let path = signingKey ?? (certificate == nil ? key : nil) else { return nil }
    do {
      var pem = try BoundedFile.read(path, maximumBytes: SigningKey.maximumBytes)
      defer { SigningKey.wipe(&pem) }
      return try SigningKey(pem: pem, digests: OpenSSLDigests())
    } catch {
      throw ReceiverKeyError(description: "\(path): \(error)")
    }
  }

  /// Makes a key that signs receipts; a file that is there is never replaced.
  static func makeKey(at path: String) throws {
    var pem = try SigningKey.make()
    defer { SigningKey.wipe(&pem) }
    let key = try SigningKey(pem: pem, digests: OpenSSLDigests())
    try BoundedFile.createPrivate(path, with: pem)
    print(key.publicKey.pem, terminator: "")
    printToStandardError("\(path): a new key; its public key, for the devices, is on standard output")
    printToStandardError("SHA-256 of the public key: \(key.keyIdentifier)")
  }
}
