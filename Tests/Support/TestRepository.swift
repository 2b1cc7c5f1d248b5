import Cryptography
import Provenance
import Storage
import Trust

/// A small repository in memory whose every member a test may change, also into what no honest tool would write.
package struct TestRepository {
  package typealias Members = [(String, JSONValue)]

  /// By role; several sign together.
  package var signers: [String: [SigningKey]] = [:]
  package var thresholds: [String: Int64] = ["root": 1, "timestamp": 1, "snapshot": 1, "targets": 1]
  package var versions: [String: Int64] = ["root": 1, "timestamp": 1, "snapshot": 1, "targets": 1]
  package var expires = "2030-01-01T00:00:00Z"
  package var targets: Members = []
  package var delegations: JSONValue?
  /// Of the `meta` of the snapshot, beside targets.json.
  package var delegatedVersions: [(String, Int64)] = []
  package var files: [String: [UInt8]] = [:]

  package static let digests = OpenSSLDigests()

  package init() throws {
    for role in ["root", "timestamp", "snapshot", "targets"] { signers[role] = [try Self.key()] }
    try publish()
  }

  package static func key() throws -> SigningKey { try SigningKey(pem: try SigningKey.make(), digests: digests) }

  package static func object(_ members: Members) -> JSONValue {
    .object(JSONObject(members.map { .init(ExactText($0.0), $0.1) }))
  }

  /// A key as metadata describes it.
  package static func description(_ key: PublicKey) -> JSONValue {
    object([
      ("keytype", .string("ed25519")), ("scheme", .string("ed25519")),
      ("keyval", object([("public", .string(Hexadecimal.text(of: key.bytes)))])),
    ])
  }

  package static func hashes(_ bytes: [UInt8]) -> JSONValue {
    object([("sha256", .string(Hexadecimal.text(of: digests.sha256(bytes))))])
  }

  package static func target(_ bytes: [UInt8]) -> JSONValue {
    object([("length", .integer(Int64(bytes.count))), ("hashes", hashes(bytes))])
  }

  /// Signs whatever `members` say.
  package static func signed(_ members: Members, by signers: [SigningKey]) throws -> [UInt8] {
    let signed = object(members)
    let canonical = try signed.canonicallyEncoded()
    let signatures = try signers.map { signer in
      object([
        ("keyid", .string(signer.keyIdentifier)), ("sig", .string(Hexadecimal.text(of: try signer.sign(canonical)))),
      ])
    }
    return object([("signed", signed), ("signatures", .array(signatures))]).encoded()
  }

  package func head(_ type: String, _ role: String? = nil) -> Members {
    [
      ("_type", .string(type)), ("spec_version", .string("1.0.31")), ("version", .integer(versions[role ?? type] ?? 1)),
      ("expires", .string(expires)),
    ]
  }

  /// Keys by their ids, and the four roles.
  package func rootMembers() -> Members {
    let keys = signers.values.joined().map { ($0.keyIdentifier, Self.description($0.publicKey)) }
    let unique = Dictionary(keys, uniquingKeysWith: { first, _ in first }).sorted { $0.key < $1.key }
    let roles = ["root", "timestamp", "snapshot", "targets"].map { role in
      (
        role,
        Self.object([
          ("keyids", .array((signers[role] ?? []).map { .string($0.keyIdentifier) })),
          ("threshold", .integer(thresholds[role] ?? 1)),
        ])
      )
    }
    return head("root") + [
      ("consistent_snapshot", .boolean(true)), ("keys", Self.object(unique.map { ($0.key, $0.value) })),
      ("roles", Self.object(roles)),
    ]
  }

  package func snapshotMembers() -> Members {
    let meta = [("targets", versions["targets"] ?? 1)] + delegatedVersions
    return head("snapshot") + [
      ("meta", Self.object(meta.map { ("\($0.0).json", Self.object([("version", .integer($0.1))])) }))
    ]
  }

  package func targetsMembers() -> Members {
    var members = head("targets") + [("targets", Self.object(targets))]
    if let delegations { members.append(("delegations", delegations)) }
    return members
  }

  package func timestampMembers() -> Members {
    head("timestamp") + [
      (
        "meta",
        Self.object([("snapshot.json", Self.object([("version", .integer(versions["snapshot"] ?? 1))]))])
      )
    ]
  }

  /// Writes the four files of the present versions.
  package mutating func publish() throws {
    files["\(versions["root"] ?? 1).root.json"] = try Self.signed(rootMembers(), by: signers["root"] ?? [])
    files["\(versions["targets"] ?? 1).targets.json"] = try Self.signed(targetsMembers(), by: signers["targets"] ?? [])
    files["\(versions["snapshot"] ?? 1).snapshot.json"] = try Self.signed(
      snapshotMembers(), by: signers["snapshot"] ?? [])
    files["timestamp.json"] = try Self.signed(timestampMembers(), by: signers["timestamp"] ?? [])
  }

  package mutating func raise(_ roles: String...) {
    for role in roles { versions[role, default: 0] += 1 }
  }
}
