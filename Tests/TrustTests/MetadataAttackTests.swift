import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport
import Testing

@testable import Trust

/// What somebody sends who wants to be believed, by both doors: nothing of it is taken, each is refused by its name, and what
/// the device had trusted stays, byte for byte.
@Suite struct MetadataAttackTests {
  private typealias Repository = TestRepository

  /// One attack: how the good repository of version 2 is spoilt, and a part of what the refusal says.
  struct Attack: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let expected: String
    let clock: ExpiryClock
    let spoil: @Sendable (inout SiteRepository) throws -> Void

    init(
      _ name: String, _ expected: String, clock: ExpiryClock = SiteRepository.now,
      _ spoil: @escaping @Sendable (inout SiteRepository) throws -> Void
    ) {
      testDescription = name
      self.expected = expected
      self.clock = clock
      self.spoil = spoil
    }
  }

  @Test(arguments: Self.attacks)
  func nothingIsTaken(_ attack: Attack) throws {
    for door in SiteRepository.Door.allCases {
      var repository = try SiteRepository()
      try repository.raise()
      let device = try TrustingDevice(root: repository.metadata.files["1.root.json"])
      defer { device.scratch.remove() }
      try device.take(repository, by: door)
      let before = try #require(device.kept)
      let commander = repository.commander.publicKey
      try attack.spoil(&repository)
      let refusal = device.refusal(of: repository, by: door, clock: attack.clock)
      #expect(refusal?.contains(attack.expected) == true, "\(door): \(refusal ?? "taken")")
      #expect(device.kept == before, "\(door)")
      guard case .keys(let keys) = try #require(try device.store.load()).siteKeys(for: .command, SiteRepository.now)
      else {
        Issue.record("\(door): the old list is gone")
        continue
      }
      #expect(keys.keys.map(\.key) == [commander])
    }
  }

  private static func replaced(_ repository: inout SiteRepository, _ old: String, _ new: String) throws {
    let text = String(decoding: repository.metadata.files["timestamp.json"] ?? [], as: UTF8.self)
    try #require(text.contains(old))
    repository.metadata.files["timestamp.json"] = Array(text.replacing(old, with: new).utf8)
  }

  /// Another root of version 2, signed by these keys.
  private static func nextRoot(
    _ repository: inout SiteRepository, by signers: [SigningKey]? = nil, _ change: (inout TestRepository) -> Void
  ) throws {
    let old = repository.metadata.signers["root"] ?? []
    change(&repository.metadata)
    repository.metadata.raise("root")
    repository.metadata.files["\(repository.metadata.versions["root"] ?? 2).root.json"] = try Repository.signed(
      repository.metadata.rootMembers(), by: signers ?? old)
  }

  private static let late = ExpiryClock(seconds: 1_900_000_000, isProven: true)

  static let attacks: [Attack] = goingBack + wrongSigners + wrongText + wrongContent

  private static let goingBack: [Attack] = [
    Attack("rollback of the timestamp", "timestamp: an earlier version") { repository in
      repository.metadata.versions["timestamp"] = 1
      try repository.metadata.publish()
    },
    Attack("rollback of the snapshot", "snapshot: an earlier version") { repository in
      repository.metadata.versions["snapshot"] = 1
      repository.metadata.raise("timestamp")
      try repository.metadata.publish()
    },
    Attack("rollback of the targets", "targets.json: an earlier version") { repository in
      repository.metadata.versions["targets"] = 1
      repository.metadata.raise("snapshot", "timestamp")
      try repository.metadata.publish()
    },
    Attack("a root of the same version", "root: version 1; expected 2") { repository in
      repository.metadata.files["2.root.json"] = repository.metadata.files["1.root.json"]
    },
    Attack("freeze: everything has expired", "has expired", clock: late) { _ in },
    Attack("freeze: an expired timestamp", "timestamp: has expired") { repository in
      try repository.raise()
      let good = repository.metadata.files
      repository.metadata.expires = "2026-12-31T00:00:00Z"
      try repository.metadata.publish()
      let expired = repository.metadata.files["timestamp.json"]
      repository.metadata.files = good
      repository.metadata.files["timestamp.json"] = expired
    },
    Attack("an expired root at the end of the chain", "root: has expired") { repository in
      try Self.nextRoot(&repository) { $0.expires = "2026-12-31T00:00:00Z" }
    },
    Attack("mix and match: the snapshot of another time", "snapshot: version 2; expected 3") { repository in
      let old = repository.metadata.files["2.snapshot.json"]
      try repository.raise()
      repository.metadata.files["3.snapshot.json"] = old
    },
    Attack("mix and match: the targets of another time", "targets: version 2; expected 3") { repository in
      let old = repository.metadata.files["2.targets.json"]
      try repository.raise()
      repository.metadata.files["3.targets.json"] = old
    },
    Attack(
      "a clock put back: an old set again", "timestamp: an earlier version", clock: .init(seconds: 0, isProven: false)
    ) {
      repository in
      for role in ["timestamp", "snapshot", "targets"] { repository.metadata.versions[role] = 1 }
      try repository.metadata.publish()
    },
  ]

  private static let wrongSigners: [Attack] = [
    Attack("another site's repository", "right signatures of 0 keys") { repository in
      var other = try SiteRepository()
      try other.raise()
      repository = other
      repository.metadata.files["1.root.json"] = nil
    },
    Attack("a root signed by the new keys alone", "root: right signatures of 0 keys") { repository in
      let stranger = try Repository.key()
      try Self.nextRoot(&repository, by: [stranger]) { $0.signers["root"] = [stranger] }
    },
    Attack("a root signed by the old keys alone", "root: right signatures of 0 keys") { repository in
      let stranger = try Repository.key()
      let old = repository.metadata.signers["root"] ?? []
      try Self.nextRoot(&repository, by: old) { $0.signers["root"] = [stranger] }
    },
    Attack("a key that was rotated away", "right signatures of 0 keys") { repository in
      let old = repository.metadata.signers["timestamp"] ?? []
      let new = try Repository.key()
      try Self.nextRoot(&repository) { $0.signers["timestamp"] = [new] }
      repository.metadata.signers["timestamp"] = old
      repository.metadata.raise("timestamp")
      repository.metadata.files["timestamp.json"] = try Repository.signed(
        repository.metadata.timestampMembers(), by: old)
    },
    Attack("one key counted twice", "timestamp: right signatures of 1 keys of that role; expected at least 2") {
      repository in
      let key = try #require(repository.metadata.signers["timestamp"]?.first)
      try Self.nextRoot(&repository) { $0.thresholds["timestamp"] = 2 }
      try Self.underTwoNames(&repository, key, ["twin", key.keyIdentifier])
    },
    Attack("one key under two names that look the same", "right signatures of 1 keys of that role; expected at least 2")
    {
      repository in
      let key = try #require(repository.metadata.signers["timestamp"]?.first)
      try Self.nextRoot(&repository) { $0.thresholds["timestamp"] = 2 }
      try Self.underTwoNames(&repository, key, ["\u{E9}", "e\u{301}"])
    },
    Attack("a threshold of 0", "'threshold' is 0") { repository in
      try Self.nextRoot(&repository) { $0.thresholds["targets"] = 0 }
    },
    Attack("a key of small order", "timestamp: right signatures of 0 keys") { repository in
      try Self.weakTimestamp(&repository, "ed25519", "ed25519", "01" + String(repeating: "00", count: 31))
    },
    Attack("an unknown algorithm", "timestamp: right signatures of 0 keys") { repository in
      try Self.weakTimestamp(&repository, "ed25519", "none", String(repeating: "ab", count: 32))
    },
  ]

  private static func underTwoNames(
    _ repository: inout SiteRepository, _ key: SigningKey, _ names: [String]
  ) throws {
    var members = repository.metadata.rootMembers()
    for index in members.indices where members[index].0 == "keys" {
      guard case .object(let keys) = members[index].1 else { continue }
      let known = Set(keys.members.map(\.name))
      members[index].1 = .object(
        JSONObject(
          keys.members
            + names.filter { !known.contains(ExactText($0)) }
            .map { .init(ExactText($0), Repository.description(key.publicKey)) }))
    }
    for index in members.indices where members[index].0 == "roles" {
      guard case .object(let roles) = members[index].1 else { continue }
      members[index].1 = .object(
        JSONObject(
          roles.members.map { role in
            role.name != "timestamp"
              ? role
              : .init(
                role.name,
                Repository.object([("keyids", .array(names.map { .string($0) })), ("threshold", .integer(2))]))
          }))
    }
    repository.metadata.files["2.root.json"] = try Repository.signed(
      members, by: repository.metadata.signers["root"] ?? [])
    repository.metadata.raise("timestamp")
    let timestamp = repository.metadata.timestampMembers()
    let signature = Hexadecimal.text(of: try key.sign(try Repository.object(timestamp).canonicallyEncoded()))
    repository.metadata.files["timestamp.json"] = Repository.object([
      ("signed", Repository.object(timestamp)),
      (
        "signatures",
        .array(names.map { Repository.object([("keyid", .string($0)), ("sig", .string(signature))]) })
      ),
    ]).encoded()
  }

  /// A root of good signers that gives the timestamp to a weak key, under which any signature would be right.
  private static func weakTimestamp(
    _ repository: inout SiteRepository, _ type: String, _ scheme: String, _ value: String
  ) throws {
    repository.metadata.raise("root", "timestamp")
    let key = Repository.object([
      ("keytype", .string(type)), ("scheme", .string(scheme)),
      ("keyval", Repository.object([("public", .string(value))])),
    ])
    var members = repository.metadata.rootMembers()
    for index in members.indices {
      guard case .object(let object) = members[index].1 else { continue }
      if members[index].0 == "keys" { members[index].1 = .object(JSONObject(object.members + [.init("weak", key)])) }
      if members[index].0 == "roles" {
        members[index].1 = .object(
          JSONObject(
            object.members.map { role in
              role.name != "timestamp"
                ? role
                : .init(
                  role.name, Repository.object([("keyids", .array([.string("weak")])), ("threshold", .integer(1))]))
            }))
      }
    }
    repository.metadata.files["2.root.json"] = try Repository.signed(
      members, by: repository.metadata.signers["root"] ?? [])
    // R = the neutral element, S = 0: right for every message where small orders are taken.
    let signature = "01" + String(repeating: "00", count: 63)
    repository.metadata.files["timestamp.json"] = Repository.object([
      ("signed", Repository.object(repository.metadata.timestampMembers())),
      ("signatures", .array([Repository.object([("keyid", .string("weak")), ("sig", .string(signature))])])),
    ]).encoded()
  }

  private static let wrongText: [Attack] = [
    Attack("1e2 as a version", "timestamp: byte") {
      try Self.replaced(&$0, "\"version\":2,\"expires\"", "\"version\":3e0,\"expires\"")
    },
    Attack("the version 2^63", "timestamp: byte") {
      try Self.replaced(&$0, "\"version\":2,\"expires\"", "\"version\":9223372036854775808,\"expires\"")
    },
    Attack("the version 2^63-1", "timestamp: 'version' is 9223372036854775807") {
      try Self.replaced(&$0, "\"version\":2,\"expires\"", "\"version\":9223372036854775807,\"expires\"")
    },
    Attack("a member twice", "timestamp: byte") {
      try Self.replaced(&$0, "\"version\":2,\"expires\"", "\"version\":3,\"version\":3,\"expires\"")
    },
    Attack("two payloads", "timestamp: byte") {
      try Self.replaced(&$0, "{\"signed\":", "{\"signed\":{},\"signed\":")
    },
    Attack("another kind of file", "'_type' is 'snapshot'") { repository in
      repository.metadata.files["timestamp.json"] = repository.metadata.files["2.snapshot.json"]
    },
    Attack("another version of the specification", "'spec_version' is not 1") {
      try Self.replaced(&$0, "1.0.31", "2.0.31")
    },
    Attack("10^5 signatures", "expected at most") { repository in
      let signatures = JSONValue.array(
        (0..<100_000).map { Repository.object([("keyid", .string("k\($0)")), ("sig", .string("00"))]) })
      repository.metadata.raise("timestamp")
      repository.metadata.files["timestamp.json"] = Repository.object([
        ("signed", Repository.object(repository.metadata.timestampMembers())), ("signatures", signatures),
      ]).encoded()
    },
    Attack("65 signatures", "'signatures' has 65 elements") { repository in
      let signatures = JSONValue.array(
        (0..<65).map { Repository.object([("keyid", .string("k\($0)")), ("sig", .string("00"))]) })
      repository.metadata.raise("timestamp")
      repository.metadata.files["timestamp.json"] = Repository.object([
        ("signed", Repository.object(repository.metadata.timestampMembers())), ("signatures", signatures),
      ]).encoded()
    },
    Attack("endless data", "timestamp.json") { repository in
      repository.metadata.files["timestamp.json"]? += [UInt8](repeating: 0x20, count: 20_000)
    },
    Attack("a set without its timestamp", "timestamp.json: not there") { $0.metadata.files["timestamp.json"] = nil },
  ]

  private static let wrongContent: [Attack] = [
    Attack("the hash is right and the length wrong", "online-keys.json") { repository in
      let bytes = try #require(repository.targetFiles.values.first) + [0x0A]
      repository.metadata.targets = [
        (
          "online-keys.json",
          Repository.object([("length", .integer(Int64(bytes.count - 1))), ("hashes", Repository.hashes(bytes))])
        )
      ]
      repository.targetFiles = [SiteRepository.fileName(bytes): bytes]
      try repository.raise()
    },
    Attack("another list under the signed name", "its sha256 is not the one that was signed") { repository in
      let name = try #require(repository.targetFiles.keys.first)
      var bytes = try #require(repository.targetFiles[name])
      try repository.listBytes(bytes + [0x0A])
      bytes.append(0x20)
      repository.targetFiles = [SiteRepository.fileName(bytes.dropLast() + [0x0A]): bytes]
      try repository.raise()
    },
    Attack("a list that is not there", "online-keys.json in targets/: not there") { repository in
      try repository.listBytes(try #require(repository.targetFiles.values.first) + [0x0A])
      repository.targetFiles = [:]
      try repository.raise()
    },
    Attack("a list of another schema", "expected thermograph.online-keys.v1") { repository in
      try repository.listBytes(Array("{\"schema\":\"thermograph.online-keys.v2\",\"keys\":[]}".utf8))
      try repository.raise()
    },
    Attack("a list with a key of small order", "small order") { repository in
      let der: [UInt8] =
        [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00, 0x01]
        + [UInt8](repeating: 0, count: 31)
      let pem = "-----BEGIN PUBLIC KEY-----\n\(Data(der).base64EncodedString())\n-----END PUBLIC KEY-----\n"
      try repository.listBytes(
        Repository.object([
          ("schema", .string(OnlineKeys.schema)),
          ("keys", .array([Repository.object([("role", .string("command")), ("key", .string(pem))])])),
        ]).encoded())
      try repository.raise()
    },
    Attack("an endless list", "expected at most 32768") { repository in
      let bytes = [UInt8](repeating: 0x20, count: 40_000)
      repository.metadata.targets = [("online-keys.json", Repository.target(bytes))]
      repository.targetFiles = [SiteRepository.fileName(bytes): Array("{}".utf8)]
      try repository.raise()
    },
  ]
}
