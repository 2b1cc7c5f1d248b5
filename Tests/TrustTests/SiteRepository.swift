import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport

@testable import Trust

/// A site's repository in memory that lists keys, the two ways by which it reaches a device, and what the device keeps.
struct SiteRepository {
  /// The two doors of a device.
  enum Door: String, CaseIterable { case stick, message }

  var metadata: TestRepository
  /// By the names under which the repository keeps them.
  var targetFiles: [String: [UInt8]] = [:]
  let commander: SigningKey

  /// 2027-01-15.
  static let now = ExpiryClock(seconds: MemoryStore.nowSeconds, isProven: true)

  init() throws {
    metadata = try TestRepository()
    commander = try TestRepository.key()
    try list([("command", commander.publicKey), ("receipt", commander.publicKey)])
  }

  /// Signs a list of keys; the versions stay as they are.
  mutating func list(_ keys: [(String, PublicKey)]) throws {
    try listBytes(
      TestRepository.object([
        ("schema", .string(OnlineKeys.schema)),
        (
          "keys",
          .array(keys.map { TestRepository.object([("role", .string($0.0)), ("key", .string($0.1.pem))]) })
        ),
      ]).encoded())
  }

  mutating func listBytes(_ bytes: [UInt8]) throws {
    metadata.targets = [("online-keys.json", TestRepository.target(bytes))]
    targetFiles = [Self.fileName(bytes): bytes]
    try metadata.publish()
  }

  static func fileName(_ bytes: [UInt8], _ name: String = "online-keys.json") -> String {
    "\(Hexadecimal.text(of: TestRepository.digests.sha256(bytes))).\(name)"
  }

  /// The next version of everything below the root.
  mutating func raise() throws {
    metadata.raise("targets", "snapshot", "timestamp")
    try metadata.publish()
  }

  var bundle: MetadataBundle {
    MetadataBundle(
      root: .site, metadata: Dictionary(uniqueKeysWithValues: metadata.files.map { (ExactText($0.key), $0.value) }),
      targets: Dictionary(uniqueKeysWithValues: targetFiles.map { (ExactText($0.key), $0.value) }))
  }

  /// As a folder of a stick.
  func write(to folder: String) throws {
    for (part, files) in [("metadata", metadata.files), ("targets", targetFiles)] {
      for (name, bytes) in files {
        let url = URL(filePath: "\(folder)/\(part)/\(name)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
      }
      try FileManager.default.createDirectory(atPath: "\(folder)/\(part)", withIntermediateDirectories: true)
    }
  }
}

/// A device that has installed the root of a site.
struct TrustingDevice {
  let scratch: ScratchFolder
  let store: TrustStore

  init(root: [UInt8]?) throws {
    scratch = try ScratchFolder()
    store = TrustStore(.site, stateDirectory: scratch.path + "/state", verifier: OpenSSLVerifier())
    if let root { _ = try store.install(root: root, isReplacing: false) }
  }

  /// Everything that is kept, byte for byte.
  var kept: [UInt8]? {
    FileManager.default.contents(atPath: scratch.path + "/state/trust/site/trusted.json").map { [UInt8]($0) }
  }

  /// Lets a repository in by one of the doors.
  @discardableResult
  func take(
    _ repository: SiteRepository, by door: SiteRepository.Door, clock: ExpiryClock = SiteRepository.now
  ) throws -> TrustedRepository {
    switch door {
    case .stick:
      let stick = scratch.path + "/stick-" + UUID().uuidString
      try repository.write(to: stick)
      return try store.update(from: try RepositoryFolder(stick), clock: clock).repository
    case .message:
      let bundle = try MetadataBundle(reading: repository.bundle.encoded())
      return try store.update(from: bundle, clock: clock).repository
    }
  }

  /// Why a repository is not taken; nil when it is.
  func refusal(
    of repository: SiteRepository, by door: SiteRepository.Door, clock: ExpiryClock = SiteRepository.now
  ) -> String? {
    do {
      try take(repository, by: door, clock: clock)
      return nil
    } catch { return "\(error)" }
  }
}
