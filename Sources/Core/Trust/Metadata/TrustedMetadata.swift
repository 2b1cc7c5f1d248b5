import Provenance

/// The metadata of one repository that is trusted so far: a value that takes files in the order of the specification
/// (TUF 1.0, section 5.3) and says why one is not taken. It reads no disk, no network and no clock.
///
///     root -> root + 1 -> ... -> timestamp -> snapshot -> targets -> delegated targets
package struct TrustedMetadata: Sendable {
  private let nowSeconds: Int64
  private let verifier: any SignatureVerifier
  private let digests: any MetadataDigests
  private(set) var root: RootRole
  private(set) var timestamp: TimestampRole?
  private(set) var snapshot: SnapshotRole?
  /// By role. Who had delegated to it is not remembered: each delegator's keys are asked anew.
  private(set) var targets: [ExactText: TargetsRole] = [:]

  /// - Parameters:
  ///   - root: the root that is trusted from the start. It must be signed by itself; it may have expired.
  ///   - nowSeconds: seconds since 1970, the same for all that follows.
  package init(
    root bytes: [UInt8], nowSeconds: Int64, verifier: any SignatureVerifier, digests: any MetadataDigests
  ) throws(MetadataFault) {
    self.nowSeconds = nowSeconds
    self.verifier = verifier
    self.digests = digests
    root = try RootRole(reading: bytes)
    try root.file.verify("root", by: try root.keys(of: .root), verifier)
  }

  package var rootVersion: Int64 { root.file.version }

  /// Takes the next root: signed by the old one's keys and by its own. One on the way may have expired.
  package mutating func updateRoot(_ bytes: [UInt8]) throws(MetadataFault) {
    guard timestamp == nil else { throw .order("root: no new one once the timestamp is there") }
    let next = try RootRole(reading: bytes)
    try next.file.verify("root", by: try root.keys(of: .root), verifier)
    let expected = root.file.version.addingReportingOverflow(1)
    guard !expected.overflow, next.file.version == expected.partialValue else {
      throw .version(role: "root", found: next.file.version, expected: expected.partialValue)
    }
    try next.file.verify("root", by: try next.keys(of: .root), verifier)
    root = next
  }

  /// Takes a timestamp. An expired one is kept, so that no earlier one is taken after it, and refused all the same.
  ///
  /// - Returns: false when this version is trusted already; it then stays as it is.
  package mutating func updateTimestamp(_ bytes: [UInt8]) throws(MetadataFault) -> Bool {
    guard snapshot == nil else { throw .order("timestamp: no new one once the snapshot is there") }
    guard !root.file.isExpired(atSeconds: nowSeconds) else { throw .expired(role: "root") }
    let next = try TimestampRole(reading: bytes)
    try next.file.verify("timestamp", by: try root.keys(of: .timestamp), verifier)
    if let timestamp {
      guard next.file.version >= timestamp.file.version else { throw .rollback("timestamp") }
      guard next.file.version > timestamp.file.version else { return false }
      guard next.snapshot.version >= timestamp.snapshot.version else { throw .rollback("snapshot") }
    }
    timestamp = next
    _ = try finalTimestamp()
    return true
  }

  private func finalTimestamp() throws(MetadataFault) -> TimestampRole {
    guard let timestamp else { throw .order("snapshot: not before the timestamp") }
    guard !timestamp.file.isExpired(atSeconds: nowSeconds) else { throw .expired(role: "timestamp") }
    return timestamp
  }

  /// Takes a snapshot. One that is not the timestamp's, or has expired, is kept for comparison and refused all the same.
  ///
  /// - Parameter wasTrusted: it was verified before and kept: its hash need not be the present timestamp's.
  package mutating func updateSnapshot(_ bytes: [UInt8], wasTrusted: Bool) throws(MetadataFault) {
    guard targets.isEmpty else { throw .order("snapshot: no new one once targets are there") }
    let timestamp = try finalTimestamp()
    if !wasTrusted { try timestamp.snapshot.description.check(bytes, "snapshot", digests) }
    let next = try SnapshotRole(reading: bytes)
    try next.file.verify("snapshot", by: try root.keys(of: .snapshot), verifier)
    if let snapshot {
      for (name, entry) in snapshot.meta {
        guard let after = next.meta[name] else { throw .rollback("\(name) (it is no longer named)") }
        guard after.version >= entry.version else { throw .rollback("\(name)") }
      }
    }
    snapshot = next
    _ = try finalSnapshot()
  }

  private func finalSnapshot() throws(MetadataFault) -> SnapshotRole {
    guard let snapshot else { throw .order("targets: not before the snapshot") }
    guard !snapshot.file.isExpired(atSeconds: nowSeconds) else { throw .expired(role: "snapshot") }
    let expected = try finalTimestamp().snapshot.version
    guard snapshot.file.version == expected else {
      throw .version(role: "snapshot", found: snapshot.file.version, expected: expected)
    }
    return snapshot
  }

  /// Takes a targets file for `role` on the word of `delegator`.
  ///
  /// - Parameter delegator: nil for the root's own targets role.
  package mutating func updateTargets(
    _ bytes: [UInt8], role: ExactText, delegator: ExactText?
  ) throws(MetadataFault) {
    let entry = try entry(of: role)
    try entry.description.check(bytes, role.string, digests)
    let next = try TargetsRole(reading: bytes)
    try next.file.verify(role.string, by: try keys(of: role, delegator: delegator), verifier)
    guard next.file.version == entry.version else {
      throw .version(role: role.string, found: next.file.version, expected: entry.version)
    }
    guard !next.file.isExpired(atSeconds: nowSeconds) else { throw .expired(role: role.string) }
    targets[role] = next
  }

  /// Holds a targets file that is here already against another delegator's keys.
  package func confirmTargets(_ role: ExactText, delegator: ExactText?) throws(MetadataFault) {
    guard let known = targets[role] else { throw .missing(role.string) }
    try known.file.verify(role.string, by: try keys(of: role, delegator: delegator), verifier)
  }

  /// What the snapshot says of a role's file.
  func entry(of role: ExactText) throws(MetadataFault) -> MetaEntry {
    guard let entry = try finalSnapshot().meta[ExactText(role.string + ".json")] else {
      throw .missing("\(role): the snapshot does not name it")
    }
    return entry
  }

  /// Whether the snapshot speaks of a role's file.
  func snapshotNames(_ role: ExactText) throws(MetadataFault) -> Bool {
    try finalSnapshot().meta[ExactText(role.string + ".json")] != nil
  }

  private func keys(of role: ExactText, delegator: ExactText?) throws(MetadataFault) -> RoleKeys {
    guard let delegator else { return try root.keys(of: .targets) }
    guard let keys = targets[delegator]?.delegations.first(where: { $0.name == role })?.keys else {
      throw .order("\(role): not before \(delegator), or not delegated by it")
    }
    return keys
  }
}

// MARK: - What is asked of trusted metadata

extension TrustedMetadata {
  /// What the metadata says of a target; nil when no role that is here and may speak of it names it.
  package func description(of path: ExactText) throws(MetadataFault) -> FileDescription? {
    try TargetSearch.find(path, digests) {
      (role: ExactText, delegator: ExactText?) throws(MetadataFault) -> TargetsRole? in
      guard targets[role] != nil else { return nil }
      try confirmTargets(role, delegator: delegator)
      return targets[role]
    }
  }

  /// What the roles name that are loaded; whether each may speak of it is asked when it is looked up.
  package var targetNames: Set<ExactText> { targets.values.reduce(into: []) { $0.formUnion($1.targets.keys) } }

  /// What the top-level targets role says of a target, whatever it has delegated to others.
  package func ownDescription(of path: ExactText) -> FileDescription? { targets["targets"]?.targets[path] }

  /// Under which name the repository keeps a target: with its hash in front where snapshots are consistent.
  package func fileName(of path: ExactText, _ description: FileDescription) -> String {
    guard root.usesConsistentSnapshots, let hash = description.nameHash else { return path.string }
    let slash = path.string.lastIndex(of: "/").map { path.string.index(after: $0) } ?? path.string.startIndex
    return path.string[..<slash] + "\(hash)." + path.string[slash...]
  }

  /// The first role, from the top, that has expired; nil when none has.
  package func expiredRole(atSeconds now: Int64) -> String? {
    if root.file.isExpired(atSeconds: now) { return "root" }
    if timestamp?.file.isExpired(atSeconds: now) == true { return "timestamp" }
    if snapshot?.file.isExpired(atSeconds: now) == true { return "snapshot" }
    return targets.filter { $0.value.file.isExpired(atSeconds: now) }.keys.min()?.string
  }

  /// Version and end (seconds since 1970) of each role that is here, by role.
  package var roles: [(role: String, version: Int64, expiresSeconds: Int64)] {
    var roles = [("root", root.file)]
    if let timestamp { roles.append(("timestamp", timestamp.file)) }
    if let snapshot { roles.append(("snapshot", snapshot.file)) }
    roles += targets.sorted { $0.key < $1.key }.map { ($0.key.string, $0.value.file) }
    return roles.map { ($0.0, $0.1.version, $0.1.expiresSeconds) }
  }
}
