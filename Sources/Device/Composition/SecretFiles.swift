import Configuration
import Forwarding
import Storage

/// Where secrets lie: files of the configuration, and the credentials that systemd passes.
package struct SecretFiles: Sendable {
  private let credentialsDirectory: String?
  private let digests = OpenSSLDigests()

  /// - Parameter credentialsDirectory: systemd's `$CREDENTIALS_DIRECTORY`.
  package init(credentialsDirectory: String?) {
    self.credentialsDirectory = credentialsDirectory
  }

  func path(of secret: SecretReference) throws -> String {
    guard let path = secret.path(credentialsDirectory: credentialsDirectory) else {
      throw DeviceStartError(
        "\(secret.configurationText): systemd passed no credentials; add LoadCredential= to the unit or name a file")
    }
    return path
  }

  package func bytes(of secret: SecretReference) throws -> [UInt8] {
    try KeyFile.loadBytes(path: path(of: secret), requirePrivate: secret.isFile)
  }

  func sealingKey(_ secret: SecretReference) throws -> SealingKey {
    try KeyFile.load(path: path(of: secret), digests: digests, requirePrivate: secret.isFile)
  }
}

extension OutboxConfiguration {
  /// The outbox as the device and every tool beside it open it.
  package init(_ settings: Settings, secrets: SecretFiles) throws {
    let older = try settings.outbox.olderKeyFile.map { [try secrets.sealingKey($0)] } ?? []
    self.init(
      path: settings.paths.stateDirectory + "/" + StateFiles.outbox,
      keys: KeyRing(current: try secrets.sealingKey(settings.outbox.keyFile), older: older),
      retentionSeconds: settings.outbox.retentionDays * 86_400, quota: settings.outbox.quota)
    // The table of alerts says whether and how urgently.
    alertsWhenFilling = false
  }
}

/// Where the comparison over time keeps what it compares with, and how.
package struct BaselineConfiguration {
  package var directory: String
  package var keys: KeyRing
  package var patientsMaximum: Int

  /// nil where the comparison is switched off.
  package init?(_ settings: Settings, secrets: SecretFiles) throws {
    guard settings.change.isEnabled else { return nil }
    try self.init(anyway: settings, secrets: secrets)
  }

  /// For tools: what was kept is there whether or not more is kept.
  package init(anyway settings: Settings, secrets: SecretFiles) throws {
    directory = settings.paths.stateDirectory + "/" + StateFiles.baselines
    // Sealed as what waits in the outbox is, by the same key.
    keys = try OutboxConfiguration(settings, secrets: secrets).keys
    patientsMaximum = settings.change.patientsMaximum
  }
}

extension BaselineStore {
  package init(_ configuration: BaselineConfiguration) throws(BaselineError) {
    try self.init(
      directory: configuration.directory, keys: configuration.keys, maximumPatients: configuration.patientsMaximum)
  }
}
