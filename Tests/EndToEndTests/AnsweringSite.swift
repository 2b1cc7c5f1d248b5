import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport
import Testing
import Trust

/// A site whose clinic answers: its keys for results and receipts, installed on a device of `workspace`.
struct AnsweringSite {
  /// PEM of a private key.
  let results: [UInt8]
  /// Files of mode 0600.
  let resultKey: String
  let receiptKey: String
  /// What names both.
  let onlineKeys: String
  /// The public half of the key for receipts.
  let receiptPublicKey: String

  /// A site whose list names one key for results and one for receipts, as a technician brings it on a stick.
  init(_ workspace: Workspace) throws {
    results = try SigningKey.make()
    let receipts: [UInt8] = try SigningKey.make()
    (resultKey, receiptKey) = (workspace.folder + "/results.pem", workspace.folder + "/receipts.pem")
    for (path, pem) in [(resultKey, results), (receiptKey, receipts)] {
      try Data(pem).write(to: URL(filePath: path))
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }
    receiptPublicKey = try SigningKey(pem: receipts, digests: OpenSSLDigests()).publicKey.pem
    var repository = try TestRepository()
    repository.expires = "2099-01-01T00:00:00Z"
    var entries: [JSONValue] = []
    for (role, pem) in [("result", results), ("receipt", receipts)] {
      let key: String = try SigningKey(pem: pem, digests: OpenSSLDigests()).publicKey.pem
      entries.append(TestRepository.object([("role", .string(ExactText(role))), ("key", .string(ExactText(key)))]))
    }
    let list: [UInt8] = TestRepository.object([
      ("schema", .string(OnlineKeys.schema)), ("keys", .array(entries)),
    ]).encoded()
    repository.targets = [("online-keys.json", TestRepository.target(list))]
    try repository.publish()
    let name = Hexadecimal.text(of: OpenSSLDigests().sha256(list)) + ".online-keys.json"
    let stick = workspace.folder + "/site"
    onlineKeys = "\(stick)/targets/\(name)"
    for (part, files) in [("metadata", repository.files), ("targets", [name: list])] {
      try FileManager.default.createDirectory(atPath: "\(stick)/\(part)", withIntermediateDirectories: true)
      for (name, bytes) in files { try Data(bytes).write(to: URL(filePath: "\(stick)/\(part)/\(name)")) }
    }
    let store = TrustStore(.site, stateDirectory: workspace.folder + "/state", verifier: OpenSSLVerifier())
    _ = try store.install(root: try #require(repository.files["1.root.json"]), isReplacing: false)
    let now = ExpiryClock(seconds: Int64(Date().timeIntervalSince1970), isProven: true)
    _ = try store.update(from: try RepositoryFolder(stick), clock: now)
  }
}
