import LocalFiles
import Trust

/// The vendor's roots as the package brings them: `vendor-root.json`, and beside it the ones before it as `N.root.json`, so
/// that a device that has trusted an earlier one for years can follow from root to root.
struct PackagedRoots: MetadataSource {
  private let folder: String
  private let newest: [UInt8]
  private let version: Int64

  /// - Parameters:
  ///   - path: of the newest, which has these bytes.
  ///   - version: its version.
  init(_ path: String, newest: [UInt8], version: Int64) {
    folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    self.newest = newest
    self.version = version
  }

  func fetch(_ name: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    if name == "\(version).root.json" { return newest }
    do throws(FileError) { return try BoundedFile.readIfThere("\(folder)/\(name)", maximumBytes: maximumBytes) } catch {
      throw .unavailable("\(error)")
    }
  }
}

extension TrustStore {
  /// What is kept, with a newer root of the package above it where each one was signed by the one before.
  ///
  /// - Returns: what is trusted, and why the package's root is not taken up; nil: it is, or it is no newer one.
  func following(
    _ kept: TrustedRepository, packaged path: String
  ) -> (repository: TrustedRepository, fault: String?) {
    func fault(_ reason: String) -> (repository: TrustedRepository, fault: String?) {
      (kept, "\(path): \(reason); root \(kept.metadata.rootVersion), which is trusted, stays")
    }
    do throws(MetadataFault) {
      guard let bytes = try read(path, maximumBytes: Self.rootBytesMaximum) else { return (kept, nil) }
      let packaged = try TrustedRepository(root, rootFile: bytes, verifier: verifier, digests: digests)
      let (version, present) = (packaged.metadata.rootVersion, kept.metadata.rootVersion)
      guard version > present else {
        return version < present || packaged.fingerprint == kept.fingerprint
          ? (kept, nil) : fault("is another root than the trusted one of the same version")
      }
      let next = try kept.rootUpdated(from: PackagedRoots(path, newest: bytes, version: version))
      guard next.metadata.rootVersion == version else {
        return fault("\(next.metadata.rootVersion + 1).root.json, which leads to it, is not beside it")
      }
      return (next, nil)
    } catch { return fault("is not taken up: \(error)") }
  }
}
