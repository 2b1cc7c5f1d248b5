import Audit
import Configuration
import Cryptography
import LocalFiles
import Provenance
import Storage
import Trust

/// The key by which a device signs the heads of its audit log: Ed25519, made on the device, mode 0600.
package struct AuditKey: Sendable {
  package let signer: SigningKey
  /// Seals the log.
  package let sealing: KeyRing
  /// It was made just now.
  package let isNew: Bool

  /// Reads the key.
  ///
  /// - Parameter makesOne: makes it where there is none, and no log that needs the one that is missing.
  package init(_ files: AuditFiles, makesOne: Bool) throws {
    let path = files.keyPath
    var isNew = false
    if makesOne, try !BoundedFile.exists(path) {
      guard try !BoundedFile.exists(files.originPath) else {
        throw FileError(
          path: path,
          reason:
            "is missing, and the audit log was made by it; put it back, or move \(files.directory) away and keep it")
      }
      try OwnerRights.asOwner(of: files.stateDirectory) { () throws(FileError) in
        try Folder.makeAll(Folder.holding(path), mode: 0o700)
      }
      var pem = try SigningKey.make()
      defer { SigningKey.wipe(&pem) }
      do throws(FileError) {
        try BoundedFile.createPrivate(path, with: pem)
        isNew = true
      } catch {
        // Somebody else made it at the same moment.
        guard error.isThereAlready else { throw error }
      }
    }
    self.isNew = isNew
    guard try (BoundedFile.status(path)?.permissions ?? 0) & 0o077 == 0 else {
      throw FileError(path: path, reason: "others can read it; expected mode 0600: chmod 600 \(path)")
    }
    var pem = try BoundedFile.read(path, maximumBytes: SigningKey.maximumBytes)
    defer { SigningKey.wipe(&pem) }
    do throws(SigningFault) { signer = try SigningKey(pem: pem, digests: OpenSSLDigests()) } catch {
      throw FileError(path: path, reason: "\(error)")
    }
    guard signer.publicKey.kind == .ed25519,
      let sealing = AuditFiles.sealingKey(auditKey: pem, digests: OpenSSLDigests())
    else { throw FileError(path: path, reason: "is no key of Ed25519") }
    self.sealing = KeyRing(current: sealing)
  }
}

/// What tools leave for the audit log.
package struct AuditNotes: Sendable {
  private let files: AuditFiles
  private let time: any TimeSource

  package init(_ settings: Settings, time: any TimeSource) {
    files = AuditFiles(stateDirectory: settings.paths.stateDirectory)
    self.time = time
  }

  /// Leaves word of what is about to be done. Who stands before the device goes on without it, and is told.
  ///
  /// - Returns: for a person, why the audit log will not have it; nil: it will.
  package func leave(_ event: AuditEvent) -> String? {
    do {
      try files.leave(event, at: time.now())
      return nil
    } catch { return "the audit log will not say this: \(error)" }
  }
}
