import Cryptography
import LocalFiles
import ReceiverArguments
import Storage
import Trust

extension ReceiveCommand {
  /// What signs receipts; nil for receipts of version 1.
  func signer() throws(SigningKeyError) -> SigningKey? {
    guard let path = signing.signingKey ?? (link.certificate == nil ? link.key : nil) else { return nil }
    return try SigningOptions.key(at: path)
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
