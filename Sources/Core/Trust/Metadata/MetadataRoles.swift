import Provenance

/// The four top-level roles. All of them may be shown to hold names of the same kind elsewhere, but none may be delegated.
package enum TopRole: String, Sendable, CaseIterable {
  case root, timestamp, snapshot, targets

  /// Bytes of such a file.
  var maximumBytes: Int {
    switch self {
    case .root: 512_000
    case .timestamp: 16_384
    case .snapshot: 2_000_000
    case .targets: 5_000_000
    }
  }

  var name: ExactText { ExactText(rawValue) }
}

/// The hash functions that metadata may name.
package protocol MetadataDigests: MessageDigests {
  /// SHA-512 (FIPS 180-4): 64 bytes.
  func sha512(_ message: [UInt8]) -> [UInt8]
}

/// What a file says of one below it.
package struct FileDescription: Sendable, Equatable {
  private static let hashesMaximum = 8

  /// nil: not stated.
  package let length: Int?
  /// Hexadecimal digits by algorithm; empty: not stated. All of them must be right.
  let hashes: [ExactText: String]

  /// - Parameter isRequired: both must be stated.
  init(_ object: JSONObject, isRequired: Bool) throws(ShapeFault) {
    length =
      isRequired
      ? Int(try object.integer("length", in: 0...Int64(Int32.max)))
      : try object.optionalInteger("length", in: 0...Int64(Int32.max)).map { Int($0) }
    guard let stated = isRequired ? try object.object("hashes") : try object.optionalObject("hashes") else {
      hashes = [:]
      return
    }
    guard (1...Self.hashesMaximum).contains(stated.members.count) else {
      throw ShapeFault("'hashes' has \(stated.members.count) members; expected 1...\(Self.hashesMaximum)")
    }
    var found: [ExactText: String] = [:]
    for member in stated.members {
      guard case .string(let digits) = member.value, Hexadecimal.bytes(of: digits.string) != nil else {
        throw ShapeFault("'hashes' holds something that is no hexadecimal digest")
      }
      found[member.name] = digits.string.lowercased()
    }
    hashes = found
  }

  /// The SHA-256 that was signed, in hexadecimal digits; nil when another hash function was.
  package var sha256: String? { hashes["sha256"] }

  /// The hash by which a repository names the file.
  var nameHash: String? { hashes["sha256"] ?? hashes["sha512"] }

  /// - Parameter name: of the file, for the fault.
  package func check(_ bytes: [UInt8], _ name: String, _ digests: any MetadataDigests) throws(MetadataFault) {
    if let length, bytes.count != length {
      throw .content("\(name): \(bytes.count) bytes; expected \(length)")
    }
    for (algorithm, digits) in hashes {
      let digest: [UInt8]
      switch algorithm {
      case "sha256": digest = digests.sha256(bytes)
      case "sha512": digest = digests.sha512(bytes)
      default: throw .content("\(name): signed with the hash function '\(algorithm)', which nothing here can compute")
      }
      guard Hexadecimal.text(of: digest) == digits else {
        throw .content("\(name): its \(algorithm) is not the one that was signed")
      }
    }
  }
}

/// `root.json`: who signs what.
struct RootRole: Sendable {
  let file: SignedMetadata
  let usesConsistentSnapshots: Bool
  let roles: [TopRole: RoleKeys]

  init(reading bytes: [UInt8]) throws(MetadataFault) {
    file = try SignedMetadata(reading: bytes, type: "root", maximumBytes: TopRole.root.maximumBytes)
    do throws(ShapeFault) {
      usesConsistentSnapshots =
        file.signed["consistent_snapshot"] == nil ? true : try file.signed.boolean("consistent_snapshot")
      let keys = try KeyList(try file.signed.object("keys"))
      let roles = try file.signed.object("roles")
      var found: [TopRole: RoleKeys] = [:]
      for role in TopRole.allCases { found[role] = try RoleKeys(try roles.object(role.name), from: keys) }
      self.roles = found
    } catch { throw .malformed("root: \(error)") }
  }

  func keys(of role: TopRole) throws(MetadataFault) -> RoleKeys {
    guard let keys = roles[role] else { throw .malformed("root: names nobody for \(role.rawValue)") }
    return keys
  }
}

/// The `meta` of timestamp and snapshot.
struct MetaEntry: Sendable {
  let version: Int64
  let description: FileDescription

  init(_ object: JSONObject) throws(ShapeFault) {
    version = try object.integer("version", in: 1...Int64.max)
    description = try FileDescription(object, isRequired: false)
  }

  static func table(_ file: SignedMetadata) throws(MetadataFault) -> [ExactText: MetaEntry] {
    do throws(ShapeFault) {
      var entries: [ExactText: MetaEntry] = [:]
      for member in try file.signed.object("meta").members {
        guard case .object(let object) = member.value else { throw ShapeFault("'meta' holds \(member.value.kind)") }
        entries[member.name] = try MetaEntry(object)
      }
      return entries
    } catch { throw .malformed("\(file.type): \(error)") }
  }
}

/// `timestamp.json`: the newest snapshot.
struct TimestampRole: Sendable {
  let file: SignedMetadata
  let snapshot: MetaEntry

  init(reading bytes: [UInt8]) throws(MetadataFault) {
    file = try SignedMetadata(reading: bytes, type: "timestamp", maximumBytes: TopRole.timestamp.maximumBytes)
    guard let snapshot = try MetaEntry.table(file)["snapshot.json"] else {
      throw .malformed("timestamp: names no snapshot.json")
    }
    self.snapshot = snapshot
  }
}

/// `snapshot.json`: the versions of all targets files.
struct SnapshotRole: Sendable {
  let file: SignedMetadata
  let meta: [ExactText: MetaEntry]

  init(reading bytes: [UInt8]) throws(MetadataFault) {
    file = try SignedMetadata(reading: bytes, type: "snapshot", maximumBytes: TopRole.snapshot.maximumBytes)
    meta = try MetaEntry.table(file)
  }
}

/// `targets.json` and what it delegates to.
struct TargetsRole: Sendable {
  private static let delegationsMaximum = 1024

  let file: SignedMetadata
  let targets: [ExactText: FileDescription]
  /// In the order of trust.
  let delegations: [Delegation]

  init(reading bytes: [UInt8]) throws(MetadataFault) {
    file = try SignedMetadata(reading: bytes, type: "targets", maximumBytes: TopRole.targets.maximumBytes)
    do throws(ShapeFault) {
      var targets: [ExactText: FileDescription] = [:]
      for member in try file.signed.object("targets").members {
        guard case .object(let object) = member.value else { throw ShapeFault("'targets' holds \(member.value.kind)") }
        targets[member.name] = try FileDescription(object, isRequired: true)
      }
      self.targets = targets
      guard let delegations = try file.signed.optionalObject("delegations") else {
        self.delegations = []
        return
      }
      let keys = try KeyList(try delegations.object("keys"))
      var found: [Delegation] = []
      var names: Set<ExactText> = []
      for role in try delegations.objects("roles", maximum: Self.delegationsMaximum) {
        let delegation = try Delegation(role, keys)
        guard names.insert(delegation.name).inserted else {
          throw ShapeFault("the role '\(delegation.name)' is delegated to twice")
        }
        found.append(delegation)
      }
      self.delegations = found
    } catch { throw .malformed("targets: \(error)") }
  }
}

/// The word that somebody else signs for some paths.
struct Delegation: Sendable {
  private static let patternsMaximum = 1024

  enum Paths: Sendable {
    case patterns([PathPattern])
    /// Beginnings of the hexadecimal SHA-256 of a path.
    case hashPrefixes([String])
  }

  let name: ExactText
  let keys: RoleKeys
  let isTerminating: Bool
  let paths: Paths

  init(_ role: JSONObject, _ keys: KeyList) throws(ShapeFault) {
    name = try role.text("name")
    guard !name.utf8.isEmpty, TopRole(rawValue: name.string) == nil else {
      throw ShapeFault("'\(name)' cannot be delegated to")
    }
    self.keys = try RoleKeys(role, from: keys)
    isTerminating = try role.boolean("terminating")
    switch (role["paths"], role["path_hash_prefixes"]) {
    case (.some, nil):
      paths = .patterns(try role.texts("paths", maximum: Self.patternsMaximum).map { PathPattern($0) })
    case (nil, .some):
      paths = .hashPrefixes(try role.texts("path_hash_prefixes", maximum: 65_536).map { $0.string })
    default: throw ShapeFault("'\(name)' must have either 'paths' or 'path_hash_prefixes'")
    }
  }

  func covers(_ path: ExactText, _ digests: any MessageDigests) -> Bool {
    switch paths {
    case .patterns(let patterns): return patterns.contains { $0.matches(path) }
    case .hashPrefixes(let prefixes):
      let digest = Hexadecimal.text(of: digests.sha256(Array(path.utf8)))
      return prefixes.contains { digest.hasPrefix($0) }
    }
  }
}
