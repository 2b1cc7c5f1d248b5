import LocalFiles
import Trust

/// What a device trusts of one repository, on the disk: `trust/{vendor,site}/trusted.json` below the state directory, one
/// file that is replaced as a whole, so that a power cut leaves the old state or the new one.
package struct TrustStore: Sendable {
  /// The vendor's first root as the package brings it, owned by root. Without it there are no updates of the vendor.
  package static let packagedVendorRoot = "/usr/share/thermograph/trust/vendor-root.json"
  /// A set that is larger is not kept.
  static let keptBytesMaximum = 4 * 1024 * 1024
  /// A root file that a person installs.
  package static let rootBytesMaximum = 512_000
  private static let fileName = "trusted.json"
  private static let lockName = "lock"
  private static let lockWaitMilliseconds = 5000

  package let root: TrustRoot
  private let stateDirectory: String
  private let folder: String
  private let packagedRoot: String?
  let verifier: any SignatureVerifier
  let digests = OpenSSLDigests()

  /// - Parameter packagedRoot: a root file with which to begin when none was installed, and which is taken up later when the
  ///   roots between have signed it; nil: there is none.
  package init(
    _ root: TrustRoot, stateDirectory: String, packagedRoot: String? = nil, verifier: any SignatureVerifier
  ) {
    self.root = root
    self.stateDirectory = stateDirectory
    folder = Self.folder(of: root, stateDirectory)
    self.packagedRoot = packagedRoot
    self.verifier = verifier
  }

  private static func folder(of root: TrustRoot, _ stateDirectory: String) -> String {
    "\(stateDirectory)/\(StateFiles.trust)/\(root.rawValue)"
  }

  private var path: String { "\(folder)/\(Self.fileName)" }

  // MARK: - Reading

  /// Changes whenever what is kept does; nil: nothing is.
  package func stamp() throws(MetadataFault) -> FileStatus? { try Self.stamp(of: path) }

  private static func stamp(of path: String) throws(MetadataFault) -> FileStatus? {
    try onDisk { () throws(FileError) in try BoundedFile.status(path, followingLink: false) }
  }

  /// Whether keys that files name no longer count, because a site root is installed. One that cannot be looked at counts as
  /// installed: its list may not be passed over.
  package static func isSiteRootInstalled(stateDirectory: String) -> Bool {
    do throws(MetadataFault) {
      return try stamp(of: "\(folder(of: .site, stateDirectory))/\(fileName)") != nil
    } catch {
      return true
    }
  }

  /// What is trusted now, verified again from the disk; nil: no root of this kind is installed.
  package func load() throws(MetadataFault) -> TrustedRepository? { try loadBeside().repository }

  /// The same, and why a newer root of the package is not taken up; nil: there is none, or it is.
  package func loadBeside() throws(MetadataFault) -> (repository: TrustedRepository?, packageFault: String?) {
    if let kept = try loadKept() { return packagedRoot.map { following(kept, packaged: $0) } ?? (kept, nil) }
    guard let packagedRoot, let bytes = try read(packagedRoot, maximumBytes: Self.rootBytesMaximum) else {
      return (nil, nil)
    }
    return (try TrustedRepository(root, rootFile: bytes, verifier: verifier, digests: digests), nil)
  }

  private func loadKept() throws(MetadataFault) -> TrustedRepository? {
    if let bytes = try read(path, maximumBytes: Self.keptBytesMaximum) {
      do throws(MetadataFault) {
        let kept = try MetadataBundle(reading: bytes, maximumBytes: Self.keptBytesMaximum)
        guard kept.root == root else { throw .content("it is of the \(kept.root.rawValue) root") }
        return try TrustedRepository(kept: kept, verifier: verifier, digests: digests)
      } catch {
        throw .content(
          "\(path): what was trusted cannot be verified again: \(error); install the root anew: thermograph enroll --install DIR --replace-site-root"
        )
      }
    }
    return nil
  }

  func read(_ path: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    try Self.onDisk { () throws(FileError) in try BoundedFile.readIfThere(path, maximumBytes: maximumBytes) }
  }

  private static func onDisk<Result>(_ body: () throws(FileError) -> Result) throws(MetadataFault) -> Result {
    do throws(FileError) { return try body() } catch { throw .unavailable("\(error)") }
  }

  // MARK: - Writing

  /// Takes everything newer of `source`, all of it or nothing.
  ///
  /// - Returns: what is trusted now, on the disk, and whether that is other than before.
  @discardableResult
  package func update(
    from source: some MetadataSource, clock: ExpiryClock
  ) throws(MetadataFault) -> (repository: TrustedRepository, isNew: Bool) {
    let lock = try lock()
    defer { lock.release() }
    guard let present = try load() else {
      throw .missing("the \(root.rawValue) root (thermograph enroll --install takes site-root.json)")
    }
    let next = try present.updated(from: source, clock: clock)
    // What the package's root changed is written down too: a later package may bring less.
    guard try next.kept != loadKept()?.kept else { return (next, false) }
    try keep(next)
    return (next, true)
  }

  /// Installs a root that a person vouches for. The one that is there already is left as it is.
  ///
  /// - Parameter isReplacing: puts it in the place of another one, and forgets what that one had signed.
  /// - Returns: what is trusted now, and whether the root is new.
  package func install(
    root bytes: [UInt8], isReplacing: Bool
  ) throws(MetadataFault) -> (repository: TrustedRepository, isNew: Bool) {
    let lock = try lock()
    defer { lock.release() }
    let wanted = try TrustedRepository(root, rootFile: bytes, verifier: verifier, digests: digests)
    if !isReplacing, let present = try load() {
      if [present.fingerprint, present.installedFingerprint].contains(wanted.fingerprint) { return (present, false) }
      throw .content(
        "another \(root.rawValue) root is installed, SHA-256 \(present.installedFingerprint); a root is changed by its own "
          + "signature (thermograph trust import), or by a person who says --replace-site-root; nothing was changed")
    }
    try keep(wanted)
    return (wanted, true)
  }

  private func lock() throws(MetadataFault) -> FileLock {
    try Self.onDisk { () throws(FileError) in
      try OwnerRights.asOwner(of: stateDirectory) { () throws(FileError) in
        try Folder.makeAll(folder, mode: 0o755)
        return try FileLock("\(folder)/\(Self.lockName)", waitMilliseconds: Self.lockWaitMilliseconds)
      }
    }
  }

  private func keep(_ repository: TrustedRepository) throws(MetadataFault) {
    let bytes = repository.kept.encoded()
    guard bytes.count <= Self.keptBytesMaximum else {
      throw .content("the set has \(bytes.count) bytes; expected at most \(Self.keptBytesMaximum)")
    }
    try Self.onDisk { () throws(FileError) in
      try OwnerRights.asOwner(of: stateDirectory) { () throws(FileError) in
        try BoundedFile.replace(path, with: bytes, isModeExact: true)
      }
    }
  }
}
