import Audit
import Configuration
import ConfigurationFiles
import Enrolment
import LinuxIO
import LocalFiles
import Provenance
import Storage
import Trust

/// The life of a device's identity: key and request, the certificate that comes back, and the end.
package struct Enroller {
  /// Where the three files of TLS lie.
  package struct Files: Sendable, Equatable {
    package var key: String
    package var certificate: String
    package var authority: String
    /// Lines for `[broker]` that the configuration lacks.
    package var missingSettings: [String] = []
  }

  private let folder: ConfigurationFolder
  private let settings: Settings

  /// - Throws: `EnrolmentError` when the configuration does not say who this device is, or its key is a credential.
  package init(_ folder: ConfigurationFolder) throws {
    self.folder = folder
    let reading = folder.read()
    settings = reading.settings
    guard !settings.device.id.isEmpty, !settings.device.site.isEmpty else {
      throw EnrolmentError("\(folder.mainFile): device.id and device.site must be set first; see thermograph check")
    }
  }

  package var device: String { settings.device.id }

  /// What the configuration names, or where enrolment puts it.
  package func files() throws(EnrolmentError) -> Files {
    let broker = settings.broker
    let configuration = Folder.holding(folder.mainFile)
    var files = Files(
      key: settings.paths.stateDirectory + "/" + StateFiles.keys + "/device.key",
      certificate: configuration + "/device.pem",
      authority: configuration + "/ca.pem")
    switch broker.keyFile {
    case .file(let path): files.key = path
    case .credential(let name):
      throw EnrolmentError(
        "broker.key_file is credential:\(name), which only systemd can open; name a file to enrol with")
    case nil: files.missingSettings.append("key_file = \"\(files.key)\"")
    }
    if let path = broker.certificateFile {
      files.certificate = path
    } else {
      files.missingSettings.append("certificate_file = \"\(files.certificate)\"")
    }
    if let path = broker.caFile {
      files.authority = path
    } else {
      files.missingSettings.append("ca_file = \"\(files.authority)\"")
    }
    return files
  }

  /// What a request brought about.
  package struct Request: Sendable {
    /// The device's key is new.
    package var isNew: Bool
    /// The id of the audit key.
    package var auditKey: String
    /// For a person.
    package var notes: [String]
  }

  /// Makes the device's key and its audit key unless they are there, and writes the request with the audit key's public half.
  package func request(into stick: String, time: any TimeSource) throws -> Request {
    let files = try files()
    // Before a key is made for nothing.
    let folder = try EnrolmentFolder(path: stick)
    var isNew = true
    do {
      try DeviceKey.create(at: files.key)
    } catch let error as FileError where error.isThereAlready {
      // The same key, again: a lost stick costs nothing, and a renewal keeps the key.
      isNew = false
    }
    let audit = try AuditKey(AuditFiles(stateDirectory: settings.paths.stateDirectory), makesOne: true)
    let identifier = audit.signer.keyIdentifier
    let log = AuditNotes(settings, time: time)
    let notes = [
      audit.isNew ? log.leave(.keys(.auditKeyMade(identifier))) : nil,
      log.leave(.enrolment(.requestWritten, key: identifier)),
    ].compactMap { $0 }
    let request = try DeviceKey.request(keyAt: files.key, commonName: settings.device.id)
    try folder.write(
      request: request, auditKey: Array(audit.signer.publicKey.pem.utf8), device: settings.device.id,
      site: settings.device.site)
    return Request(isNew: isNew, auditKey: identifier, notes: notes)
  }

  /// Examines what came back, and installs it when it fits.
  ///
  /// - Parameters:
  ///   - foreignIssuer: an authority that is not on the stick signed it (AWS IoT does): no chain is asked for.
  ///   - replacesSiteRoot: the site root on the stick takes the place of another one that is installed.
  /// - Returns: the certificate, and notes for a person.
  package func install(
    from stick: String, foreignIssuer: Bool, replacesSiteRoot: Bool = false, time: SystemClock
  ) throws -> (certificate: DeviceCertificate, notes: [String]) {
    let files = try files()
    let folder = try EnrolmentFolder(path: stick)
    let pem = try folder.certificate()
    let authority = try folder.authority()
    try Self.check(pem, "\(stick)/\(EnrolmentFolder.certificateName)")
    if let authority { try Self.check(authority, "\(stick)/\(EnrolmentFolder.authorityName)") }
    let installed = try Self.readIfThere(files.authority)
    var notes: [String] = []
    let issuer = try folder.issuer()
    if let issuer { try Self.check(issuer, "\(stick)/\(EnrolmentFolder.issuerName)") }
    if authority == nil, let installed, let fault = CertificateText.fault(in: installed) {
      throw EnrolmentError("\(files.authority), which is installed, \(fault)")
    }
    let signer = foreignIssuer ? nil : issuer ?? authority ?? installed
    if signer == nil, !foreignIssuer {
      throw EnrolmentError(
        "\(stick): no \(EnrolmentFolder.issuerName) and no \(EnrolmentFolder.authorityName) to judge the certificate by; "
          + "with an authority of the cloud's own use --foreign-issuer")
    }
    if authority == nil, installed == nil {
      throw EnrolmentError("\(stick): no \(EnrolmentFolder.authorityName), and none is installed at \(files.authority)")
    }
    let certificate = try DeviceCertificate(pem: pem, keyPath: files.key, authority: signer)
    let now = time.now()
    if !now.synchronised { notes.append("the clock is not synchronised: the dates were not checked") }
    let faults = certificate.faults(
      device: settings.device.id, nowSeconds: now.synchronised ? now.utcNanoseconds / 1_000_000_000 : nil)
    guard faults.isEmpty else {
      throw EnrolmentError(
        "\(stick)/\(EnrolmentFolder.certificateName) is not installed: " + faults.joined(separator: "; "))
    }
    let receivers = try folder.receivers()
    let receiverKeys = try receivers.map { pem throws(EnrolmentError) in
      do throws(KeyFault) { return try PublicKey.list(pem: pem) } catch {
        throw EnrolmentError("\(stick)/\(EnrolmentFolder.receiversName) is not installed: \(error)")
      }
    }
    let log = AuditNotes(settings, time: time)
    if let note = log.leave(.enrolment(.certificateInstalled, key: nil)) { notes.append(note) }
    if let receiverKeys,
      let note = log.leave(.keys(.receivers(receiverKeys.map { $0.identifier(OpenSSLDigests()) })))
    {
      notes.append(note)
    }
    // Before anything else is installed: what one root or another says is told, and a wrong one stops all.
    if let root = try folder.siteRoot(maximumBytes: TrustStore.rootBytesMaximum) {
      let metadata = try folder.hasMetadata() ? stick : nil
      let (told, versions) = try SiteRootInstaller(settings, time: time)
        .install(root, metadata, isReplacing: replacesSiteRoot)
      notes += told
      if let note = log.leave(.keys(.trust(root: TrustRoot.site.rawValue, versions: versions))) { notes.append(note) }
    }
    // Readable by the service whatever the mask of the shell that this runs in.
    if let authority, authority != installed {
      try BoundedFile.replace(files.authority, with: authority, isModeExact: true)
    }
    if let receivers, let receiverKeys { notes += try install(receivers, receiverKeys) }
    try BoundedFile.replace(files.certificate, with: pem, isModeExact: true)
    if !files.missingSettings.isEmpty {
      notes.append("add to [broker]: " + files.missingSettings.joined(separator: ", "))
    }
    return (certificate, notes)
  }

  /// - Returns: notes for a person, who compares the keys' digests with what the receiver printed.
  private func install(_ pem: [UInt8], _ keys: [PublicKey]) throws(FileError) -> [String] {
    let path = settings.receipts.keysFile ?? Folder.holding(folder.mainFile) + "/receivers.pem"
    try BoundedFile.replace(path, with: pem, isModeExact: true)
    var notes = keys.map { "\(path): a receiver's key, SHA-256 \($0.identifier(OpenSSLDigests()))" }
    if settings.receipts.keysFile == nil { notes.append("add to [delivery]: receiver_keys_file = \"\(path)\"") }
    return notes
  }

  /// Nothing is installed that could not be read.
  private static func check(_ pem: [UInt8], _ place: String) throws(EnrolmentError) {
    if let fault = CertificateText.fault(in: pem) { throw EnrolmentError("\(place) is not installed: \(fault)") }
  }

  private static func readIfThere(_ path: String) throws(FileError) -> [UInt8]? {
    try BoundedFile.readIfThere(path, maximumBytes: DeviceKey.maximumBytes * 4)
  }

  // MARK: - The end

  /// The files of a decommissioning, keys first: with them goes the meaning of everything sealed.
  package func filesToErase() throws -> [String] {
    let files = try files()
    var paths: [String] = []
    for secret in secrets {
      if case .file(let path) = secret { paths.append(path) }
    }
    paths.append(files.key)
    if let roster = settings.patients.rosterFile { paths.append(roster) }
    paths += try StateFiles.all(in: settings.paths.stateDirectory)
    paths.append(files.certificate)
    var seen: Set<String> = []
    return paths.filter { seen.insert($0).inserted }
  }

  /// Every secret that the configuration names.
  private var secrets: [SecretReference] {
    [
      settings.outbox.keyFile, settings.outbox.olderKeyFile, settings.patients.siteKeyFile, settings.broker.keyFile,
      settings.broker.passwordFile,
    ].compactMap { $0 }
  }

  /// Credentials that this program cannot reach.
  package var credentialsToErase: [String] {
    secrets.compactMap { if case .credential(let name) = $0 { name } else { nil } }
  }

  /// Erases everything by which the device could be recognised or a patient's data read. The service must not run.
  ///
  /// - Returns: what was erased, one path each.
  package func decommission() throws -> [String] {
    let client = ControlClient(path: settings.paths.runtimeDirectory + "/" + ControlService.socketName)
    do {
      try client.ask(ControlRequest(.status).encoded(), silenceMilliseconds: 5000) { _ in false }
      throw EnrolmentError("the service is running; stop it first: systemctl disable --now thermograph")
    } catch ControlClientError.notRunning {
      // As it must be.
    }
    var erased: [String] = []
    for path in try filesToErase() where try BoundedFile.erase(path) { erased.append(path) }
    return erased
  }
}
