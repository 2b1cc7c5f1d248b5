import Provenance

/// The client's work-flow of TUF 1.0 (section 5) over a store.
package struct MetadataClient<Store: MetadataStore> {
  /// New roots that are taken at a time.
  package static var rootsMaximum: Int64 { 256 }
  /// Roles that are taken of one repository.
  package static var rolesMaximum: Int { TargetSearch.rolesMaximum }

  private let store: Store
  private let digests: any MetadataDigests
  private var trusted: TrustedMetadata
  private var isRefreshed = false

  /// Begins with the root that is kept.
  ///
  /// - Parameter nowSeconds: seconds since 1970, the same for the whole update.
  package init(
    _ store: Store, nowSeconds: Int64, verifier: any SignatureVerifier, digests: any MetadataDigests
  ) throws(MetadataFault) {
    guard let root = try store.kept("root.json") else { throw .missing("root.json") }
    self.store = store
    self.digests = digests
    trusted = try TrustedMetadata(root: root, nowSeconds: nowSeconds, verifier: verifier, digests: digests)
  }

  /// Brings the four top-level roles up to date.
  package mutating func refresh() throws(MetadataFault) {
    try updateRoot()
    try updateTimestamp()
    try updateSnapshot()
    try loadTargets("targets", delegator: nil)
    isRefreshed = true
  }

  /// Takes the roots that follow, and nothing else.
  package mutating func updateRoot() throws(MetadataFault) {
    for _ in 0..<Self.rootsMaximum {
      let name = "\(trusted.rootVersion + 1).root.json"
      guard let bytes = try store.fetch(name, maximumBytes: TopRole.root.maximumBytes) else { return }
      try trusted.updateRoot(bytes)
      try store.keep(bytes, as: "root.json")
    }
  }

  private mutating func updateTimestamp() throws(MetadataFault) {
    if let kept = try store.kept("timestamp.json") {
      // One that is no longer right by the new root protects from nothing and is forgotten.
      do throws(MetadataFault) { _ = try trusted.updateTimestamp(kept) } catch { try forgive(error) }
    }
    guard let bytes = try store.fetch("timestamp.json", maximumBytes: TopRole.timestamp.maximumBytes) else {
      throw .missing("timestamp.json")
    }
    if try trusted.updateTimestamp(bytes) { try store.keep(bytes, as: "timestamp.json") }
  }

  private mutating func updateSnapshot() throws(MetadataFault) {
    if let kept = try store.kept("snapshot.json") {
      do throws(MetadataFault) {
        return try trusted.updateSnapshot(kept, wasTrusted: true)
      } catch { try forgive(error) }
    }
    guard let entry = trusted.timestamp?.snapshot else { throw .missing("timestamp.json") }
    let bytes = try fetch("snapshot", version: entry.version, entry.description, .snapshot)
    try trusted.updateSnapshot(bytes, wasTrusted: false)
    try store.keep(bytes, as: "snapshot.json")
  }

  /// What is kept may be out of date or of an earlier root; what comes is judged for itself. An error of the disk stays.
  private func forgive(_ fault: MetadataFault) throws(MetadataFault) {
    if case .unavailable = fault { throw fault }
  }

  private mutating func loadTargets(_ role: ExactText, delegator: ExactText?) throws(MetadataFault) {
    guard trusted.targets[role] == nil else { return try trusted.confirmTargets(role, delegator: delegator) }
    let name = RoleName.encoded(role) + ".json"
    if let kept = try store.kept(name) {
      do throws(MetadataFault) {
        return try trusted.updateTargets(kept, role: role, delegator: delegator)
      } catch { try forgive(error) }
    }
    let entry = try trusted.entry(of: role)
    let bytes = try fetch(RoleName.encoded(role), version: entry.version, entry.description, .targets)
    try trusted.updateTargets(bytes, role: role, delegator: delegator)
    try store.keep(bytes, as: name)
  }

  private func fetch(
    _ role: String, version: Int64, _ description: FileDescription, _ kind: TopRole
  ) throws(MetadataFault) -> [UInt8] {
    let name = trusted.root.usesConsistentSnapshots ? "\(version).\(role).json" : "\(role).json"
    let maximum = min(description.length ?? kind.maximumBytes, kind.maximumBytes)
    guard let bytes = try store.fetch(name, maximumBytes: maximum) else { throw .missing(name) }
    return bytes
  }

  /// Takes every role that is delegated to and that the snapshot names, so that nothing has to be fetched later.
  package mutating func loadDelegations() throws(MetadataFault) {
    if !isRefreshed { try refresh() }
    var waiting: [ExactText] = ["targets"]
    var visited: Set<ExactText> = ["targets"]
    while let role = waiting.popLast() {
      for delegation in trusted.targets[role]?.delegations ?? [] {
        guard try trusted.snapshotNames(delegation.name) else { continue }
        try loadTargets(delegation.name, delegator: role)
        guard visited.insert(delegation.name).inserted else { continue }
        guard visited.count <= Self.rolesMaximum else {
          throw .malformed("targets: more than \(Self.rolesMaximum) roles are delegated to")
        }
        waiting.append(delegation.name)
      }
    }
  }

  /// What is trusted so far.
  package var metadata: TrustedMetadata { trusted }

  /// Looks a target up in the roles that may speak of it, in the order of trust; nil when none names it.
  package mutating func target(_ path: ExactText) throws(MetadataFault) -> FileDescription? {
    if !isRefreshed { try refresh() }
    return try TargetSearch.find(path, digests) {
      (role: ExactText, delegator: ExactText?) throws(MetadataFault) -> TargetsRole? in
      try loadTargets(role, delegator: delegator)
      guard let targets = trusted.targets[role] else { throw .missing(role.string) }
      return targets
    }
  }

  /// Under which name the repository keeps a target: with its hash in front where snapshots are consistent.
  package func fileName(of path: ExactText, _ description: FileDescription) -> String {
    trusted.fileName(of: path, description)
  }
}

/// Names of roles in names of files.
package enum RoleName {
  /// Percent-encoded but for letters, digits, `_`, `.`, `-` and `~` (RFC 3986 section 2.3), so that no role's file lies
  /// outside of its folder.
  package static func encoded(_ role: ExactText) -> String {
    var text = ""
    for byte in role.utf8 {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"),
        UInt8(ascii: "~"):
        text.unicodeScalars.append(Unicode.Scalar(byte))
      default: text += "%" + Hexadecimal.text(of: [byte]).uppercased()
      }
    }
    return text
  }
}
