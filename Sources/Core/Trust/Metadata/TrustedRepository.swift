import Provenance

/// What a device trusts of one repository: a value, verified down from a root that a person installed. `updated` makes the
/// next one, or says why not and leaves this one as it is.
package struct TrustedRepository: Sendable {
  package let metadata: TrustedMetadata
  /// SHA-256 of the root that is trusted now, in hexadecimal digits, as `sha256sum` prints it.
  package let fingerprint: String
  /// To be kept, byte for byte.
  package let kept: MetadataBundle
  private let keyList: Result<OnlineKeys, Reason>
  private let verifier: any SignatureVerifier
  private let digests: any MetadataDigests

  /// Why there is no key list, for a person.
  private struct Reason: Error { let text: String }

  package var root: TrustRoot { kept.root }
  /// Of the root that a person installed.
  package var installedFingerprint: String { kept.installedRoot ?? fingerprint }

  // MARK: - Beginning

  /// Begins with a root and nothing below it.
  package init(
    _ root: TrustRoot, rootFile bytes: [UInt8], verifier: any SignatureVerifier, digests: any MetadataDigests
  ) throws(MetadataFault) {
    let fingerprint = Hexadecimal.text(of: digests.sha256(bytes))
    try self.init(
      kept: MetadataBundle(root: root, metadata: ["root.json": bytes], installedRoot: fingerprint),
      verifier: verifier, digests: digests)
  }

  /// Verifies again what was kept. Whether it has expired since then is asked later, with a clock.
  package init(
    kept: MetadataBundle, verifier: any SignatureVerifier, digests: any MetadataDigests
  ) throws(MetadataFault) {
    guard let root = kept.metadata["root.json"] else { throw .missing("root.json") }
    if kept.metadata["timestamp.json"] == nil {
      metadata = try TrustedMetadata(root: root, nowSeconds: .min, verifier: verifier, digests: digests)
    } else {
      var client = try MetadataClient(
        MetadataOverlay(kept, source: kept), nowSeconds: .min, verifier: verifier, digests: digests)
      try client.loadDelegations()
      metadata = client.metadata
    }
    self.kept = kept
    self.verifier = verifier
    self.digests = digests
    fingerprint = Hexadecimal.text(of: digests.sha256(root))
    keyList = try Self.keyList(kept, metadata, digests)
  }

  private static func keyList(
    _ kept: MetadataBundle, _ metadata: TrustedMetadata, _ digests: any MetadataDigests
  ) throws(MetadataFault) -> Result<OnlineKeys, Reason> {
    guard kept.root == .site else { return .failure(Reason(text: "the vendor lists no keys of a site")) }
    guard metadata.snapshot != nil else {
      return .failure(Reason(text: "the site root is installed and its metadata is not; thermograph trust import"))
    }
    // Nobody to whom the site has delegated something else may list its keys.
    guard let description = metadata.ownDescription(of: OnlineKeys.name) else {
      return .failure(Reason(text: "the site has signed no \(OnlineKeys.name)"))
    }
    guard let bytes = kept.targets[OnlineKeys.name] else { throw .missing(OnlineKeys.name.string) }
    try description.check(bytes, OnlineKeys.name.string, digests)
    do throws(ShapeFault) { return .success(try OnlineKeys(reading: bytes, digests: digests)) } catch {
      throw .malformed("\(OnlineKeys.name): \(error)")
    }
  }

  // MARK: - The next one

  /// What is trusted after everything newer of `source` was taken. All of it or nothing: a medium that is pulled out, or one
  /// wrong file, leaves what was trusted.
  package func updated(
    from source: some MetadataSource, clock: ExpiryClock
  ) throws(MetadataFault) -> TrustedRepository {
    let overlay = MetadataOverlay(kept, source: source)
    var client = try MetadataClient(overlay, nowSeconds: clock.seconds, verifier: verifier, digests: digests)
    try client.loadDelegations()
    // Only what is trusted now is kept: a role that is no longer delegated to goes.
    var next = overlay.bundle
    let roles = Set(client.metadata.roles.map { ExactText(RoleName.encoded(ExactText($0.role)) + ".json") })
    next.metadata = next.metadata.filter { roles.contains($0.key) }
    next.targets = [:]
    if kept.root == .site, let description = client.metadata.ownDescription(of: OnlineKeys.name) {
      next.targets[OnlineKeys.name] = try keyFile(description, client, source)
    }
    return try TrustedRepository(kept: next, verifier: verifier, digests: digests)
  }

  /// What is trusted after the roots that follow in `source` were taken, and nothing else of it. What lies below the root
  /// stays as far as the new root believes its signers; else newer metadata is needed.
  package func rootUpdated(from source: some MetadataSource) throws(MetadataFault) -> TrustedRepository {
    let overlay = MetadataOverlay(kept, source: source)
    var client = try MetadataClient(overlay, nowSeconds: .min, verifier: verifier, digests: digests)
    try client.updateRoot()
    guard overlay.bundle != kept else { return self }
    do throws(MetadataFault) {
      return try TrustedRepository(kept: overlay.bundle, verifier: verifier, digests: digests)
    } catch {
      var bare = overlay.bundle
      bare.metadata = bare.metadata.filter { $0.key == "root.json" }
      bare.targets = [:]
      return try TrustedRepository(kept: bare, verifier: verifier, digests: digests)
    }
  }

  /// The signed list of keys: what is kept while it is still the right one.
  private func keyFile<Store>(
    _ description: FileDescription, _ client: MetadataClient<Store>, _ source: some MetadataSource
  ) throws(MetadataFault) -> [UInt8] {
    let name = OnlineKeys.name
    if let bytes = kept.targets[name], description.length == bytes.count,
      description.sha256 == Hexadecimal.text(of: digests.sha256(bytes))
    {
      return bytes
    }
    guard let length = description.length, length <= OnlineKeys.maximumBytes else {
      throw .content("\(name): \(description.length ?? 0) bytes; expected at most \(OnlineKeys.maximumBytes)")
    }
    guard let bytes = try target(name, description, client.metadata, maximumBytes: length, from: source) else {
      throw .missing("\(name) in targets/")
    }
    return bytes
  }

  private func target(
    _ name: ExactText, _ description: FileDescription, _ metadata: TrustedMetadata, maximumBytes: Int,
    from source: some MetadataSource
  ) throws(MetadataFault) -> [UInt8]? {
    let file = metadata.fileName(of: name, description)
    guard let bytes = try source.fetchTarget(file, maximumBytes: maximumBytes) else { return nil }
    try description.check(bytes, name.string, digests)
    return bytes
  }

  // MARK: - What may be asked

  /// E.g. `root 2, timestamp 14, snapshot 9, targets 7`.
  package var versionsText: String { metadata.roles.map { "\($0.role) \($0.version)" }.joined(separator: ", ") }

  package func freshness(_ clock: ExpiryClock) -> Freshness {
    if let role = metadata.expiredRole(atSeconds: clock.seconds) { return .expired(role: role) }
    return clock.isProven ? .proven : .unproven
  }

  /// Whose signatures count for `role` on a device of this site.
  package func siteKeys(for role: KeyRole, _ clock: ExpiryClock) -> SiteKeys {
    switch keyList {
    case .failure(let reason): return .none(reason.text)
    case .success(let list):
      if case .expired(let expired) = freshness(clock), !role.outlivesExpiry {
        return .none("the site's \(expired) metadata has expired; take newer by thermograph trust import or dn/trust")
      }
      guard let keys = list.keys(for: role) else { return .none("the site's list has no \(role.rawValue) key") }
      return .keys(keys)
    }
  }

  /// Length and hash of a target, for whoever takes it in parts; nil when the repository does not name it.
  ///
  /// - Throws: also for a name that could lead out of a folder, whoever signed it.
  package func description(of name: ExactText) throws(MetadataFault) -> FileDescription? {
    guard Self.isPlain(name) else {
      throw .malformed(
        "'\(name.string.prefix(80))' cannot name a target; expected levels of A-Z, a-z, 0-9, '.', '_' and '-'")
    }
    return try metadata.description(of: name)
  }

  private static func isPlain(_ name: ExactText) -> Bool {
    let levels = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return name.utf8.count <= 200 && levels.count <= 4
      && levels.allSatisfy { level in
        !level.isEmpty && level.first != UInt8(ascii: ".")
          && level.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
              UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
              true
            default: false
            }
          }
      }
  }

  /// The bytes of a target, verified.
  ///
  /// - Parameter maximumBytes: a longer one is refused before it is fetched.
  /// - Returns: nil when the repository does not name it, or the source does not have it.
  package func target(
    _ name: ExactText, maximumBytes: Int, from source: some MetadataSource
  ) throws(MetadataFault) -> [UInt8]? {
    guard let description = try description(of: name), let length = description.length else { return nil }
    guard length <= maximumBytes else {
      throw .content("\(name): \(length) bytes; expected at most \(maximumBytes)")
    }
    return try target(name, description, metadata, maximumBytes: length, from: source)
  }
}

/// What is kept, with what is taken on top of it, in memory until all of it is verified.
private final class MetadataOverlay<Source: MetadataSource>: MetadataStore {
  private(set) var bundle: MetadataBundle
  private let source: Source

  init(_ kept: MetadataBundle, source: Source) {
    bundle = kept
    self.source = source
  }

  func fetch(_ name: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    try source.fetch(name, maximumBytes: maximumBytes)
  }

  func kept(_ name: String) -> [UInt8]? { bundle.metadata[ExactText(name)] }
  func keep(_ bytes: [UInt8], as name: String) { bundle.metadata[ExactText(name)] = bytes }
}
