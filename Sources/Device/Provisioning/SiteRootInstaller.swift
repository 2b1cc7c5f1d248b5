import Configuration
import Cryptography
import Provenance
import Storage
import Trust

/// Puts a site's root and its metadata onto a device, and says what a person must compare.
package struct SiteRootInstaller {
  private let store: TrustStore
  private let trust: RepositoryTrust
  private let settings: Settings
  private let clock: ExpiryClock

  package init(_ settings: Settings, time: any TimeSource) {
    self.settings = settings
    store = TrustStore(.site, stateDirectory: settings.paths.stateDirectory, verifier: OpenSSLVerifier())
    trust = RepositoryTrust(.site, settings, time: time)
    clock = trust.clockNow
  }

  /// - Parameters:
  ///   - root: `site-root.json`.
  ///   - metadata: a folder with `metadata/` and `targets/`; nil: they come later.
  /// - Returns: notes for a person, and the root's fingerprint with the versions that are trusted.
  package func install(
    _ root: [UInt8], _ metadata: String?, isReplacing: Bool
  ) throws(MetadataFault) -> (notes: [String], versions: String) {
    let (repository, isNew) = try store.install(root: root, isReplacing: isReplacing)
    var notes = [
      "site root: \(isNew ? "installed" : "in place already"), SHA-256 \(repository.installedFingerprint); compare it with "
        + "what the ceremony wrote down"
    ]
    var versions = "root \(repository.installedFingerprint)"
    if let metadata {
      let taken = try store.update(from: try RepositoryFolder(metadata), clock: clock).repository
      notes.append("site metadata: \(taken.versionsText)")
      versions += ", \(taken.versionsText)"
    }
    if case .none(let reason) = try store.load()?.siteKeys(for: .receipt, clock) ?? .noRoot {
      notes.append("until the site's list is here no receipt and no command is believed: \(reason)")
    }
    notes += SiteRootNotice.passedOver(settings)
    return (notes, versions)
  }
}

/// What a person should know of keys that the configuration names and that no longer count.
package enum SiteRootNotice {
  /// `passedOver`, where a site root is installed.
  package static func ofDevice(_ settings: Settings) -> [String] {
    let store = TrustStore(.site, stateDirectory: settings.paths.stateDirectory, verifier: OpenSSLVerifier())
    do throws(MetadataFault) { return try store.stamp() == nil ? [] : passedOver(settings) } catch {
      return ["the site root cannot be looked at: \(error)"]
    }
  }

  /// One sentence for each.
  package static func passedOver(_ settings: Settings) -> [String] {
    [
      ("remote.command_keys_file", settings.remote.commandKeysFile),
      ("remote.configuration_keys_file", settings.remote.configurationKeysFile),
      ("delivery.receiver_keys_file", settings.receipts.keysFile),
    ].compactMap { key, path in
      path.map { "\(key) \($0): no longer believed; a site root is installed, and its list is the only one" }
    }
  }
}
