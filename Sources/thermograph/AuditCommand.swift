import ArgumentParser
import Audit
import Configuration
import ConfigurationFiles
import Cryptography
import Device
import Forwarding
import Glibc
import LinuxIO
import LocalFiles
import Provenance
import Storage
import Trust

struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit",
    abstract: "Shows, judges and exports the log of what was done to this device and by it.",
    discussion: """
      The log names patients by their pseudonym only. May be used while the device runs.

        thermograph audit show --last 20
        thermograph audit verify
        thermograph audit export /media/stick/audit
        thermograph audit verify /media/stick/audit --vkey audit.pem --witness receipts/ --witness-key receiver.pem
        thermograph audit key
      """,
    subcommands: [Export.self, Key.self, Show.self, Verify.self])

  struct Options: ParsableArguments {
    @Option(name: .long, help: "The main configuration file; it says where the state directory is.")
    var config = ConfigurationFolder.installedMainFile

    var settings: Settings { ConfigurationFolder(mainFile: config).read().settings }
    var files: AuditFiles { AuditFiles(stateDirectory: settings.paths.stateDirectory) }

    /// The device's own log, to be read.
    func log() throws -> (log: AuditLog, key: AuditKey) {
      let key = try AuditKey(files, makesOne: false)
      return (try AuditLog(reading: files.directory, keys: key.sealing), key)
    }

    /// Says it in the log itself; who stands before the device is not kept from working.
    func note(_ event: AuditEvent) throws { leaveNote(event, settings) }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints the entries, oldest first: place, time, kind and what.",
      discussion: """
        Of this device's log, or of an export. With --json the entries' very texts, one a line.

          thermograph audit show
          thermograph audit show --kind command-refused --last 10
          thermograph audit show /media/stick/audit --json
        """)

    @OptionGroup var options: Options

    @Argument(help: "A folder that audit export wrote, instead of this device's log.")
    var folder: String?

    @Option(name: .long, help: "Only the last so many entries.")
    var last: Int?

    @Option(name: .long, help: "Only entries of this kind, e.g. session-end.")
    var kind: AuditKind?

    @Flag(name: .long, help: "Print each entry as one JSON object on standard output.")
    var json = false

    func validate() throws {
      if let last, !(1...1_000_000).contains(last) { throw ValidationError("--last \(last): expected 1 to 1000000") }
    }

    func run() throws {
      var kept: [[UInt8]] = []
      let take = { (text: [UInt8]) in
        if let kind {
          guard try AuditEntry(reading: text).kind == kind else { return }
        }
        guard let last else { return try write(text) }
        kept.append(text)
        if kept.count > last { kept.removeFirst() }
      }
      if let folder {
        try AuditExport(folder: folder).forEachEntry(take)
      } else {
        try options.log().log.forEachEntry(take)
      }
      for text in kept { try write(text) }
    }

    private func write(_ text: [UInt8]) throws {
      guard !json else { return print(String(decoding: text, as: UTF8.self)) }
      let entry = try AuditEntry(reading: text)
      let what = entry.what.members.map { member -> String in
        let value = String(decoding: member.value.encoded(), as: UTF8.self)
        return "\(member.name)=\(value)"
      }
      let mark = entry.time.synchronised ? " " : "?"
      print("\(entry.index)  \(entry.time.rfc3339)\(mark) \(entry.kind.rawValue)  \(what.joined(separator: " "))")
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Judges a log by itself and by what others keep of it.",
      discussion: """
        Without a folder this device's own log. An export is judged by the audit key of the enrolment (--vkey; never take it \
        from the export), by receipts that receivers signed (--witness, --witness-key), and by heads that records carry \
        (--anchors: a line each, {"size":17,"head":"...","source":"..."}). Exit status 0: sound; 1: findings, a line each; \
        2: it cannot be judged. Gateway/thermograph_gateway/audit_verifier.py judges the same files and shares no code.

          thermograph audit verify
          thermograph audit verify /media/stick/audit --vkey audit.pem --anchors anchors.jsonl
          thermograph audit verify /media/stick/audit --vkey audit.pem --witness receipts/ --witness-key receiver.pem --json
        """)

    @OptionGroup var options: Options

    @Argument(help: "A folder that audit export wrote, instead of this device's log.")
    var folder: String?

    @Option(name: .long, help: "The device's audit key in PEM, as enrolment put it beside request.csr.")
    var vkey: String?

    @Option(name: .long, help: "A folder of signed receipts (*.json).")
    var witness: String?

    @Option(name: .long, help: "The receivers' public keys in PEM.")
    var witnessKey: String?

    @Option(name: .long, help: "Heads that others kept, a line each.")
    var anchors: String?

    @Flag(name: .long, help: "Print one JSON object on standard output.")
    var json = false

    func validate() throws {
      if (witness == nil) != (witnessKey == nil) { throw ValidationError("--witness and --witness-key go together") }
      if folder != nil, vkey == nil {
        throw ValidationError("--vkey: an export is judged by the key of the enrolment; it cannot vouch for itself")
      }
    }

    private struct Report: Encodable {
      let sound: Bool
      let anchors: Int
      let findings: [String]
    }

    func run() throws {
      let findings: [String]
      var kept: [AuditAnchor] = []
      do {
        if let anchors { kept += try AuditExport.anchors(file: anchors) }
        if let witness, let witnessKey { kept += try Self.receipts(in: witness, keys: witnessKey) }
        if let folder, let vkey {
          let key = try PublicKey(pem: String(decoding: BoundedFile.read(vkey, maximumBytes: 4096), as: UTF8.self))
          findings = try AuditExport(folder: folder).findings(
            key: key, anchors: kept, verifier: OpenSSLVerifier(), digests: OpenSSLDigests())
        } else {
          let log = try options.log().log
          if let bytes = try BoundedFile.readIfThere(
            options.files.cosignedPath, maximumBytes: Receipt.limits.envelopeBytes),
            let head = try Receipt(unverified: bytes).cosignature
          {
            kept.append(AuditAnchor(head, source: "the newest cosignature", isWitnessed: true))
          }
          findings = try log.examine(against: kept).map(\.description)
        }
      } catch {
        printToStandardError("cannot judge: \(error)")
        throw ExitCode(2)
      }
      if json {
        print(try jsonText(Report(sound: findings.isEmpty, anchors: kept.count, findings: findings)))
      } else if findings.isEmpty {
        print("sound; \(kept.count) heads that others kept agree with it")
      } else {
        for finding in findings { print(finding) }
      }
      if !findings.isEmpty { throw ExitCode.failure }
    }

    private static func receipts(in folder: String, keys path: String) throws -> [AuditAnchor] {
      let rules = ReceiptReader.Rules(keys: try TrustedKeys(listIn: path), requiresSignature: true)
      return try Folder.names(in: folder, maximumNames: 100_000).sorted().filter { $0.hasSuffix(".json") }.compactMap {
        name in
        let bytes = try BoundedFile.read(folder + "/" + name, maximumBytes: Receipt.limits.envelopeBytes)
        return try ReceiptReader.cosignature(of: bytes, rules, verifier: OpenSSLVerifier())
          .map { AuditAnchor($0, source: name, isWitnessed: true) }
      }
    }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Writes the log into a folder, in the clear, for whoever is to judge it.",
      discussion: """
        origin.json, base.json, entries.jsonl and head.json, which this device signs; witness/ holds the newest receipt that \
        cosigns. The entries name patients by their pseudonym: keep the folder as you keep the records.

          thermograph audit export /media/stick/audit
        """)

    @OptionGroup var options: Options

    @Argument(help: "A folder that does not hold an export yet; it is made.")
    var folder: String

    func run() throws {
      try options.note(.technician(.auditExport, user: getuid()))
      let (log, key) = try options.log()
      try log.export(to: folder, signedBy: key.signer, at: try SystemClock().now())
      if let receipt = try BoundedFile.readIfThere(
        options.files.cosignedPath, maximumBytes: Receipt.limits.envelopeBytes)
      {
        try Folder.makeAll(folder + "/witness", mode: 0o755)
        try BoundedFile.replace(folder + "/witness/receipt.json", with: receipt)
      }
      print("\(folder): \(log.head.size - log.base.size) entries, head \(Hexadecimal.text(of: log.head.digest))")
    }
  }

  struct Key: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints the public half of the audit key, for whoever is to judge exports.",
      discussion: """
        Enrolment writes the same beside request.csr as audit.pem. Keep it apart from the device.

          thermograph audit key > audit.pem
        """)

    @OptionGroup var options: Options

    func run() throws {
      let key = try AuditKey(options.files, makesOne: false)
      print(key.signer.publicKey.pem, terminator: "")
      printToStandardError("SHA-256 of the public key: \(key.signer.keyIdentifier)")
    }
  }
}

extension AuditKind: ExpressibleByArgument {}

/// Leaves word for the audit log of what this tool is about to do. A tool beside the device goes on without it.
func leaveNote(_ event: AuditEvent, _ settings: Settings) {
  do {
    let notes = AuditNotes(settings, time: try SystemClock())
    if let problem = notes.leave(event) { printToStandardError("note: \(problem)") }
  } catch { printToStandardError("note: the audit log will not say this: \(error)") }
}
