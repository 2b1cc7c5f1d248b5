import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport
import Testing

@testable import Trust

/// What a device keeps of a site's repository, and what it answers from it.
@Suite struct TrustStoreTests {
  private typealias Repository = TestRepository

  private func keys(_ repository: TrustedRepository?, _ role: KeyRole = .command) -> [PublicKey]? {
    guard case .keys(let keys) = repository?.siteKeys(for: role, SiteRepository.now) else { return nil }
    return keys.keys.map(\.key)
  }

  @Test(arguments: SiteRepository.Door.allCases)
  func aRootAloneListsNobodyAndMetadataBringsTheList(door: SiteRepository.Door) throws {
    let repository = try SiteRepository()
    let root = try #require(repository.metadata.files["1.root.json"])
    let device = try TrustingDevice(root: nil)
    defer { device.scratch.remove() }
    #expect(try device.store.load() == nil)
    #expect(device.refusal(of: repository, by: door)?.contains("the site root") == true)
    let installed = try device.store.install(root: root, isReplacing: false)
    #expect(installed.isNew)
    #expect(installed.repository.fingerprint == Hexadecimal.text(of: Repository.digests.sha256(root)))
    guard case .none(let reason) = installed.repository.siteKeys(for: .receipt, SiteRepository.now) else {
      Issue.record("somebody is believed")
      return
    }
    #expect(reason.contains("thermograph trust import"))
    let taken = try device.take(repository, by: door)
    #expect(keys(taken) == [repository.commander.publicKey])
    #expect(keys(taken, .configuration) == nil, "the list has none")
    // From the disk again, and nothing is written twice.
    #expect(keys(try device.store.load()) == [repository.commander.publicKey])
    let before = device.kept
    try device.take(repository, by: door)
    #expect(device.kept == before)
  }

  @Test(arguments: SiteRepository.Door.allCases)
  func aRootIsRotatedOverSeveralVersionsAtOnce(door: SiteRepository.Door) throws {
    var repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    try device.take(repository, by: door)
    let installed = try #require(try device.store.load()).installedFingerprint
    for _ in 2...4 {
      let old = try #require(repository.metadata.signers["root"])
      repository.metadata.signers["root"] = [try Repository.key()]
      repository.metadata.signers["timestamp"] = [try Repository.key()]
      repository.metadata.raise("root")
      let name = "\(repository.metadata.versions["root"] ?? 0).root.json"
      repository.metadata.files[name] = try Repository.signed(
        repository.metadata.rootMembers(), by: old + (repository.metadata.signers["root"] ?? []))
    }
    repository.metadata.raise("timestamp")
    repository.metadata.files["timestamp.json"] = try Repository.signed(
      repository.metadata.timestampMembers(), by: repository.metadata.signers["timestamp"] ?? [])
    let taken = try device.take(repository, by: door)
    #expect(taken.metadata.rootVersion == 4)
    #expect(taken.installedFingerprint == installed && taken.fingerprint != installed)
    // Enrolling again with the first root changes nothing.
    let first = try #require(repository.metadata.files["1.root.json"])
    #expect(try !device.store.install(root: first, isReplacing: false).isNew)
  }

  @Test func anotherRootIsAPersonsDecision() throws {
    let repository = try SiteRepository()
    let other = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    try device.take(repository, by: .stick)
    let before = device.kept
    let root = try #require(other.metadata.files["1.root.json"])
    do {
      _ = try device.store.install(root: root, isReplacing: false)
      Issue.record("the root was replaced")
    } catch { #expect("\(error)".contains("another site root is installed"), "\(error)") }
    #expect(device.kept == before)
    #expect(try device.store.install(root: root, isReplacing: true).isNew)
    #expect(keys(try device.store.load()) == nil, "nothing of the old site counts")
    #expect(keys(try device.take(other, by: .stick)) == [other.commander.publicKey])
    #expect(device.refusal(of: repository, by: .message) != nil)
  }

  @Test func whatIsKeptIsVerifiedAgain() throws {
    let repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    try device.take(repository, by: .stick)
    let good = try #require(device.kept)
    let path = device.scratch.path + "/state/trust/site/trusted.json"
    var random = SeededGenerator(seed: 0x6B65_7074)
    for _ in 0..<200 {
      var bytes = good
      bytes.mutate(using: &random)
      try Data(bytes).write(to: URL(filePath: path))
      do {
        let loaded = try #require(try device.store.load())
        #expect(keys(loaded) == [repository.commander.publicKey])
      } catch {
        #expect("\(error)".contains(path), "\(error)")
      }
    }
  }

  // MARK: - Clocks

  /// The table of clocks for metadata: the list ends on 2030-01-01.
  @Test(arguments: [
    (1_800_000_000, true, Freshness.proven, true), (1_800_000_000, false, .unproven, true),
    (1_893_456_000, true, .expired(role: "root"), false), (1_893_456_000, false, .expired(role: "root"), false),
    (0, false, .unproven, true),
  ])
  func clocks(seconds: Int64, isProven: Bool, freshness: Freshness, commands: Bool) throws {
    let repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    let taken = try device.take(repository, by: .stick)
    let clock = ExpiryClock(seconds: seconds, isProven: isProven)
    #expect(taken.freshness(clock) == freshness)
    guard case .keys = taken.siteKeys(for: .receipt, clock) else {
      Issue.record("a receipt is good for ever")
      return
    }
    if case .keys = taken.siteKeys(for: .command, clock) { #expect(commands) } else { #expect(!commands) }
  }

  @Test func aYearWithoutALineEndsWithOneStick() throws {
    var repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    try device.take(repository, by: .message)
    let later = ExpiryClock(seconds: 1_893_456_000 + 86_400, isProven: true)
    #expect(device.refusal(of: repository, by: .stick, clock: later) == "root: has expired")
    repository.metadata.expires = "2032-01-01T00:00:00Z"
    repository.metadata.raise("root")
    try repository.raise()
    let taken = try device.take(repository, by: .stick, clock: later)
    #expect(taken.freshness(later) == .proven)
  }

  // MARK: - Targets

  @Test func onlyTheSiteItselfListsItsKeys() throws {
    var repository = try SiteRepository()
    let key = try Repository.key()
    let list = repository.metadata.targets
    repository.metadata.targets = []
    repository.metadata.delegations = Repository.object([
      ("keys", Repository.object([(key.keyIdentifier, Repository.description(key.publicKey))])),
      (
        "roles",
        .array([
          Repository.object([
            ("name", .string("all")), ("keyids", .array([.string(key.keyIdentifier)])), ("threshold", .integer(1)),
            ("paths", .array([.string("*")])), ("terminating", .boolean(false)),
          ])
        ])
      ),
    ])
    repository.metadata.delegatedVersions = [("all", 1)]
    try repository.metadata.publish()
    var members = repository.metadata.head("targets", "all")
    members.append(("targets", Repository.object(list)))
    repository.metadata.files["1.all.json"] = try Repository.signed(members, by: [key])
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    let taken = try device.take(repository, by: .stick)
    #expect(try taken.description(of: "online-keys.json") != nil, "the delegate speaks of it")
    guard case .none(let reason) = taken.siteKeys(for: .command, SiteRepository.now) else {
      Issue.record("a delegate listed the site's keys")
      return
    }
    #expect(reason == "the site has signed no online-keys.json")
  }

  @Test(arguments: [
    "../x", "/etc/passwd", "a/../../x", "a//b", "a/./b", "%2e%2e/x", "a\\b", "a\u{0}b", "", ".hidden", "a/b/c/d/e",
    "e\u{301}",
  ])
  func namesThatLeadOutAreRefused(name: String) throws {
    var repository = try SiteRepository()
    repository.metadata.targets.append((name, Repository.target([1])))
    try repository.metadata.publish()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    let trusted = try #require(try device.store.load())
    #expect(throws: MetadataFault.self) {
      try trusted.target(ExactText(name), maximumBytes: 10, from: repository.bundle)
    }
    let stick = device.scratch.path + "/stick"
    try FileManager.default.createDirectory(atPath: stick + "/metadata", withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: stick + "/targets", withIntermediateDirectories: true)
    let folder = try RepositoryFolder(stick)
    if name.contains("/") || name.isEmpty {
      let result = Result { try folder.fetchTarget(name, maximumBytes: 10) }
      if case .success(let bytes?) = result { Issue.record("\(bytes.count) bytes of \(name)") }
    }
  }

  // MARK: - Sticks

  private func stick(_ repository: SiteRepository, _ device: TrustingDevice) throws -> String {
    let path = device.scratch.path + "/stick"
    try repository.write(to: path)
    return path
  }

  @Test(arguments: ["metadata/timestamp.json", "metadata/1.snapshot.json", "targets/online-keys.json", "metadata"])
  func aLinkOrAPipeOnTheStickIsRefused(name: String) throws {
    let repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    let before = device.kept
    let path = try stick(repository, device)
    let file = name.hasPrefix("targets") ? "targets/\(try #require(repository.targetFiles.keys.first))" : name
    // A link to the right content is refused all the same.
    try FileManager.default.moveItem(atPath: "\(path)/\(file)", toPath: path + "/elsewhere")
    try FileManager.default.createSymbolicLink(atPath: "\(path)/\(file)", withDestinationPath: path + "/elsewhere")
    func refusal() -> String? {
      do {
        try device.store.update(from: try RepositoryFolder(path), clock: SiteRepository.now)
        return nil
      } catch { return "\(error)" }
    }
    let linked = try #require(refusal())
    #expect(linked.contains("link") || linked.contains("no folder 'metadata'"), "\(linked)")
    try FileManager.default.removeItem(atPath: "\(path)/\(file)")
    if file != "metadata" {
      #expect(mkfifo("\(path)/\(file)", 0o644) == 0)
      let piped = try #require(refusal())
      #expect(piped.contains("is not a regular file"), "\(piped)")
    }
    #expect(device.kept == before)
  }

  /// A source that is gone after so many files.
  private final class PulledOut: MetadataSource {
    let bundle: MetadataBundle
    var left: Int

    init(_ bundle: MetadataBundle, after files: Int) {
      self.bundle = bundle
      left = files
    }

    private func count() throws(MetadataFault) {
      guard left > 0 else { throw .unavailable("the stick is gone") }
      left -= 1
    }

    func fetch(_ name: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
      try count()
      return try bundle.fetch(name, maximumBytes: maximumBytes)
    }

    func fetchTarget(_ path: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
      try count()
      return try bundle.fetchTarget(path, maximumBytes: maximumBytes)
    }
  }

  @Test func aStickThatIsPulledOutLeavesWhatWasTrusted() throws {
    var repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    try device.take(repository, by: .stick)
    let before = device.kept
    try repository.list([("receipt", repository.commander.publicKey)])
    try repository.raise()
    var files = 0
    while true {
      do {
        try device.store.update(from: PulledOut(repository.bundle, after: files), clock: SiteRepository.now)
        break
      } catch {
        #expect("\(error)" == "the stick is gone")
        #expect(device.kept == before)
      }
      files += 1
    }
    #expect(files == 5, "2.root, timestamp, snapshot, targets and the list")
    let loaded = try device.store.load()
    #expect(keys(loaded) == nil && keys(loaded, .receipt) != nil)
  }

  /// Somebody rewrites the timestamp while it is read: it is the old one, the new one or refused, and nothing in between.
  @Test func aFileThatChangesWhileItIsReadIsNeverMixed() async throws {
    var repository = try SiteRepository()
    let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
    defer { device.scratch.remove() }
    let path = try stick(repository, device)
    let good = try #require(repository.metadata.files["timestamp.json"])
    repository.metadata.raise("timestamp")
    try repository.metadata.publish()
    let next = try #require(repository.metadata.files["timestamp.json"])
    let writer = Task.detached {
      let handle = try FileHandle(forWritingTo: URL(filePath: path + "/metadata/timestamp.json"))
      while !Task.isCancelled {
        for bytes in [next, good] {
          try handle.seek(toOffset: 0)
          for half in [bytes.prefix(bytes.count / 2), bytes.suffix(from: bytes.count / 2)] {
            try handle.write(contentsOf: Data(half))
          }
        }
      }
    }
    for _ in 0..<200 {
      do {
        let taken = try device.store.update(from: try RepositoryFolder(path), clock: SiteRepository.now).repository
        #expect([1, 2].contains(taken.metadata.roles.first { $0.role == "timestamp" }?.version))
      } catch {
        // Torn, or the earlier one again: refused.
      }
    }
    writer.cancel()
    try await writer.value
    let kept = try device.store.load()
    #expect(kept != nil)
  }

  @Test func aMessageOfAnotherKindIsNoRepository() throws {
    let device = try SiteRepository()
    let signer = device.commander
    let result = try Envelope(Array("{}".utf8), type: "application/vnd.thermograph.result.v1+json", signedBy: [signer])
    var endless = device.bundle.encoded()
    endless += [UInt8](repeating: 0x20, count: MetadataBundle.messageBytesMaximum)
    let twice = String(decoding: device.bundle.encoded(), as: UTF8.self)
      .replacing("\"metadata\":", with: "\"metadata\":{},\"metadata\":")
    for (bytes, expected) in [
      (result.encoded(), "'schema' is missing"), (endless, "expected at most 65536"),
      (Array(twice.utf8), "trust: byte"),
      (Array("{\"schema\":\"thermograph.trust.v2\"}".utf8), "expected thermograph.trust.v1"),
      (Array("[]".utf8), "expected an object"),
    ] {
      do {
        _ = try MetadataBundle(reading: bytes)
        Issue.record("\(expected): it was taken")
      } catch { #expect("\(error)".contains(expected), "\(error)") }
    }
  }
}
