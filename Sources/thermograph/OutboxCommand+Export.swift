import ArgumentParser
import Audit
import Configuration
import Cryptography
import Device
import Forwarding
import Glibc
import LinuxIO
import LocalFiles
import Provenance
import Storage

extension OutboxCommand {
  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Writes records and images to a folder or stick, sealed for a recipient.",
      discussion: """
        For the clinic that has no line: one folder for each capture, named by its id, with record.json and the images; other \
        messages, corrections among them, under messages/, a file device-... that says whose they are, and the audit log under audit/. Nothing leaves the outbox before a receipt is imported. Links in the folder are refused.

        Every file is a CMS message that only the holder of the recipient's key can open:

          thermograph outbox export /media/stick --recipient clinic.pem
          openssl cms -decrypt -inform DER -in record.json.cms -recip clinic.pem -inkey clinic.key -out record.json

        With --clear instead, patients' data lie on the stick for everybody who finds it: keep it as you keep their files.
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "An existing folder.")
    var folder: String

    @Option(name: .long, help: "Seal every file for the key of this certificate (PEM).")
    var recipient: String?

    @Flag(name: .long, help: "Write patients' data in the clear: whoever has the stick can read them.")
    var clear = false

    @Flag(name: .long, help: "Also what was delivered and is kept for the retention time.")
    var delivered = false

    func validate() throws {
      guard (recipient != nil) != clear else {
        throw ValidationError(
          clear
            ? "say either --recipient or --clear"
            : "say for whom to seal: --recipient CERTIFICATE.pem; or --clear, to write patients' data in the clear")
      }
    }

    func run() throws {
      // Before anything is read: a folder that is a link, or not there.
      let target = try OpenFolder(withoutLinks: folder)
      let seal = try recipientSeal()
      let (outbox, settings) = try options.openWithSettings()
      leaveNote(.technician(.export, user: getuid(), detail: seal == nil ? "in the clear" : "sealed"), settings)
      let suffix = seal == nil ? "" : RecipientSeal.suffix
      let origin = try ExportOrigin(
        site: settings.device.site, device: settings.device.id, outboxID: outbox.outboxID
      ).encoded()
      try target.replace(
        ExportOrigin.fileName(outbox.outboxID) + suffix, with: try seal?.seal(origin) ?? origin, mode: 0o600)
      var written = 0
      var damaged = 0
      var exported: [Int64] = []
      try outbox.forEach { stored in
        guard delivered || stored.state != .delivered else { return }
        let payload: [UInt8]
        do throws(OutboxError) {
          payload = try outbox.payload(of: stored)
        } catch {
          guard case .sealing = error else { throw error }
          printToStandardError("\(error)")
          damaged += 1
          return
        }
        let item = stored.item
        let name =
          item.captureID == nil
          ? ExportOrigin.messageName(item, in: outbox.outboxID) : item.name ?? OutboxItem.recordName
        guard OpenFolder.isName(name) else {
          printToStandardError("message \(item.id): its name is no name of a file; see thermograph outbox verify")
          damaged += 1
          return
        }
        let place = try target.makeFolder(item.captureID.map { "\($0)" } ?? ExportOrigin.messagesName, mode: 0o700)
        try place.replace(name + suffix, with: try seal?.seal(payload) ?? payload, mode: 0o600)
        written += 1
        // Only now is it on the stick's disk. From here on a receipt for it counts.
        exported.append(item.id)
        if exported.count == 256 {
          try outbox.noteExported(exported)
          exported = []
        }
      }
      try outbox.noteExported(exported)
      try writeAudit(settings, target, seal, suffix)
      if options.json {
        try printJSON(["written": written, "damaged": damaged])
      } else {
        printToStandardError("\(written) messages written to \(folder), \(damaged) damaged")
      }
      if damaged > 0 { throw ExitCode.failure }
    }

    /// The audit log goes along, so that who has no line can judge it too.
    private func writeAudit(
      _ settings: Settings, _ target: borrowing OpenFolder, _ seal: RecipientSeal?, _ suffix: String
    ) throws {
      let files = AuditFiles(stateDirectory: settings.paths.stateDirectory)
      guard try BoundedFile.exists(files.originPath) else { return }
      let key = try AuditKey(files, makesOne: false)
      let log = try AuditLog(reading: files.directory, keys: key.sealing)
      let place = try target.makeFolder("audit", mode: 0o700)
      for (name, bytes) in try log.exported(signedBy: key.signer, at: try SystemClock().now()) {
        try place.replace(name + suffix, with: try seal?.seal(bytes) ?? bytes, mode: 0o600)
      }
    }

    private func recipientSeal() throws -> RecipientSeal? {
      guard let recipient else { return nil }
      guard let seal = RecipientSeal(certificate: try BoundedFile.read(withoutLinks: recipient, maximumBytes: 1 << 20))
      else {
        throw OutboxCommandError("\(recipient): holds no certificate in PEM form; expected one of the recipient's")
      }
      return seal
    }
  }

  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Reads a receiver's receipt from a file and frees what it proves.",
      discussion: """
        A receipt names captures, files and their SHA-256. What does not agree with our copy stays, and so does what this \
        device has neither published nor exported. A signed receipt must be by a key of delivery.receiver_keys_file. Exit \
        status 0: all that it names is freed or was not waiting; 1: something is kept.

          thermograph outbox import /media/stick/receipt.json
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "The receipt's JSON file.")
    var file: String

    func run() throws {
      let (outbox, settings) = try options.openWithSettings()
      let topics = TopicSchema(
        site: try TopicIdentifier(settings.device.site), device: try TopicIdentifier(settings.device.id))
      let reader = ReceiptReader(
        try ReceiptReader.Rules(
          settings.receipts, site: RepositoryTrust(.site, settings, time: try SystemClock()).keys(for: .receipt)),
        topics: topics, outboxID: outbox.outboxID, verifier: OpenSSLVerifier())
      let bytes = try BoundedFile.read(withoutLinks: file, maximumBytes: Receipt.limits.envelopeBytes)
      let receipt = try reader.read(bytes)
      guard receipt.concerns(outbox: outbox.outboxID) else {
        throw OutboxCommandError("\(file): a receipt of no outbox; nothing is freed")
      }
      let time = try SystemClock()
      leaveNote(.imported(.receipt, items: receipt.entries.count), settings)
      if receipt.cosignature != nil {
        try AuditFiles(stateDirectory: settings.paths.stateDirectory).leave(receipt: bytes, at: time.now())
      }
      let outcome = try outbox.apply(receipt)
      let unfounded = outcome.unfounded.entries.count + outcome.unfounded.refused.count
      if options.json {
        try printJSON(
          [
            "freed": outcome.delivered.count, "mismatched": outcome.mismatched.count, "unknown": outcome.unknown,
            "unfounded": unfounded,
          ])
      } else {
        if unfounded > 0 {
          printToStandardError(
            "\(unfounded) messages of the receipt have neither been published nor exported by this device; kept")
        }
        for entry in outcome.mismatched {
          printToStandardError("\(entry.captureID) \(entry.name): the receipt's SHA-256 is not that of our copy; kept")
        }
        printToStandardError(
          "\(outcome.delivered.count) freed, \(outcome.mismatched.count) kept, \(outcome.unknown) not waiting")
      }
      if !outcome.mismatched.isEmpty || unfounded > 0 { throw ExitCode.failure }
    }
  }
}
