import ArgumentParser
import Audit
import Configuration
import Device
import Glibc
import Identification
import LocalFiles
import Provenance
import Storage

extension PatientCommand {
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists patients, sessions and pictures that are kept.",
      discussion: """
        Exit status 0: all of it can be read; 1: some of it cannot, which is named on standard error.

          thermograph patient list
          thermograph patient list --json | jq -r 'select(.sessions >= 3) | .patient_ref'
        """)

    @OptionGroup var options: OutboxOptions

    func run() async throws {
      let (patients, problems) = try await options.withBaselines { try await $0.patients() }
      for problem in problems { printToStandardError(problem) }
      for patient in patients {
        if options.json { try printJSON(Line(patient)) } else { print(Line(patient).text) }
      }
      if !options.json { printToStandardError("\(patients.count) patients") }
      if !problems.isEmpty { throw ExitCode.failure }
    }

    private struct Line: Encodable {
      let patient: String
      let mergedInto: String?
      let sessions: Int
      let pictures: [String: Int]

      init(_ summary: BaselineStore.Summary) {
        (patient, mergedInto, sessions) = (summary.patient, summary.mergedInto, summary.sessions)
        pictures = summary.pictures
      }

      var text: String {
        if let mergedInto { return "\(patient)  merged into \(mergedInto)" }
        let views = pictures.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        return "\(patient)  \(sessions) sessions\(views.isEmpty ? "" : "  (\(views))")"
      }

      private enum CodingKeys: String, CodingKey {
        case patient = "patient_ref"
        case mergedInto = "merged_into"
        case sessions, pictures
      }
    }
  }

  struct Forget: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Erases what is kept of patients; their comparison begins anew.",
      discussion: """
        Records and images that wait in the outbox, or that were delivered, are not touched. Exit status 0: nothing is kept of \
        them any more; 1: nothing was kept of one of them, or it could not be erased.

          thermograph patient forget ward-7-0042
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "References, as `patient list` shows them.")
    var references: [String]

    func validate() throws {
      for reference in references where PatientReference(reference) == nil {
        throw ValidationError("'\(reference)': expected 1 to 36 of a-z, 0-9 and -")
      }
    }

    func run() async throws {
      var isMissing = false
      let settings = try options.settings()
      for reference in references {
        leaveNote(.technician(.forgetPatient, user: getuid(), detail: reference), settings)
        let found = try await options.withBaselines { try await $0.forget(reference) }
        if !found { isMissing = true }
        if options.json {
          try printJSON(["patient_ref": reference, "state": found ? "erased" : "unknown"])
        } else {
          print(found ? "\(reference): erased" : "\(reference): nothing was kept")
        }
      }
      if isMissing { throw ExitCode.failure }
    }
  }

  struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Writes what is kept of patients to a file for another device of the site.",
      discussion: """
        Sealed by the site's key: only devices that have the same site key, and so the same references, can take it. \
        Nothing is removed here. Exit status 0: the file is written, and everybody who was asked for is in it; 1: it is not \
        written, or without somebody of whom nothing is kept or can be read: standard error says who or which.

          thermograph patient export /media/stick/patients.tgbl
          thermograph patient export /media/stick/one.tgbl --patient ward-7-0042
          thermograph patient export one --patient ward-7-0042 --pieces
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "The file; it is replaced. Links are refused.")
    var file: String

    @Flag(name: .long, help: "Writes FILE.001, FILE.002, ...: each for a command 'patient-restore' from afar.")
    var pieces = false

    @Option(name: .long, help: "Only this patient; may be repeated.")
    var patient: [String] = []

    func run() async throws {
      let exported = try await options.withBaselines { try await $0.exported(patient.isEmpty ? nil : patient) }
      for problem in exported.problems { printToStandardError(problem) }
      let transfer = exported.transfer
      guard !transfer.patients.isEmpty else { throw CommandFailure("nothing is kept that could be exported") }
      let siteKey = try options.siteKey()
      let (folder, name) = Folder.split(file)
      var bytes = 0
      let files = try pieces ? transfer.pieces() : [transfer]
      for (index, part) in files.enumerated() {
        let sealed = try part.sealed(siteKey: siteKey, OpenSSLDigests())
        let number = String(repeating: "0", count: max(0, 3 - "\(index + 1)".count)) + "\(index + 1)"
        try OpenFolder(withoutLinks: folder).replace(pieces ? "\(name).\(number)" : name, with: sealed, mode: 0o600)
        bytes += sealed.count
      }
      if options.json {
        try printJSON(["patients": transfer.patients.count, "bytes": bytes, "files": files.count])
      } else {
        printToStandardError("\(file): \(transfer.patients.count) patients\(pieces ? " in \(files.count) pieces" : "")")
      }
      let missing = patient.filter { name in !transfer.patients.contains { $0.patient == name } }
      for name in missing { printToStandardError("\(name): nothing is kept of this patient, and nothing was exported") }
      if !missing.isEmpty || !exported.problems.isEmpty { throw ExitCode.failure }
    }
  }

  struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "import",
      abstract: "Takes over what another device of the site exported.",
      discussion: """
        What is kept here stays; what is new in the file is added. A second import changes nothing. Exit status 0: all of it is \
        here; 1: some patients could not be taken over, which are named on standard error; the others are here.

          thermograph patient import /media/stick/patients.tgbl
        """)

    @OptionGroup var options: OutboxOptions

    @Argument(help: "The file. Links are refused.")
    var file: String

    func run() async throws {
      let bytes = try BoundedFile.read(withoutLinks: file, maximumBytes: BaselineTransfer.maximumBytes)
      let transfer = try BaselineTransfer(file: bytes, path: file, siteKey: options.siteKey(), OpenSSLDigests())
      leaveNote(.imported(.baselines, items: transfer.patients.count), try options.settings())
      let restored = try await options.withBaselines { try await $0.restore(transfer) }
      for problem in restored.problems { printToStandardError(problem) }
      if options.json {
        try printJSON([
          "patients": transfer.patients.count, "changed": restored.changed, "failed": restored.problems.count,
        ])
      } else {
        printToStandardError(
          "\(file): \(transfer.patients.count) patients; for \(restored.changed) of them something was new")
      }
      if !restored.problems.isEmpty { throw ExitCode.failure }
    }
  }
}

extension OutboxOptions {
  fileprivate func siteKey() throws -> [UInt8] {
    let secrets = SecretFiles(credentialsDirectory: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) })
    return try secrets.bytes(of: settings().patients.siteKeyFile)
  }
}
