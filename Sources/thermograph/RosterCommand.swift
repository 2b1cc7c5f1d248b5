import ArgumentParser
import Audit
import Configuration
import ConfigurationFiles
import Device
import Glibc
import Identification
import LinuxIO
import LocalFiles
import Provenance

struct RosterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "roster",
    abstract: "Keeps the clinic's list of tags: who may be captured, and under which id.",
    discussion: """
      The list names tags by their fingerprint, never by their number. A running service takes a change up with \
      'thermograph reload'.

        thermograph roster add --id ward-7-0042 --consent capture --consent upload
        thermograph roster check
        thermograph roster list
        thermograph roster import clinic.csv
        thermograph roster upgrade
      """,
    subcommands: [Add.self, Check.self, Import.self, List.self, Upgrade.self])

  /// What every one of them needs.
  struct Options: ParsableArguments {
    @Option(name: .long, help: "The main configuration file; it names the roster, the site key and the reader.")
    var config = ConfigurationFolder.installedMainFile

    @Flag(name: .long, help: "Print one JSON object on each line of standard output.")
    var json = false

    var credentials: String? { getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) } }

    func settings() throws -> Settings {
      let reading = ConfigurationFolder(mainFile: config, credentialsDirectory: credentials).read()
      guard reading.isUsable else {
        for fault in reading.faults { printToStandardError("\(fault)") }
        throw CheckCommand.notUsable
      }
      return reading.settings
    }
  }

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Puts one tag on the list: the one that is held to the reader.",
      discussion: """
        The service must not hold the reader meanwhile (systemctl stop thermograph); with --fingerprint, as 'tag read' \
        prints it, no reader is needed. Exit status 0: the tag is on the list.

          thermograph roster add --id ward-7-0042 --consent capture --consent upload
          thermograph roster add --id nurse-2 --role operator
          thermograph roster add --fingerprint mzxw6ytboiaaaaaaaaaaaaaaaa --id ward-7-0043 --consent capture
        """)

    @OptionGroup var options: Options

    @Option(
      name: .long, parsing: .unconditional,
      help: "The id for records: 1 to 36 of a-z, 0-9 and -; without it the fingerprint.")
    var id: String?

    @Option(name: .long, help: "patient, operator or technician.")
    var role = TagRole.patient

    @Option(name: .long, help: "What the patient agreed to: capture, upload or research; may be repeated.")
    var consent: [Roster.Consent] = []

    @Option(name: .long, parsing: .unconditional, help: "Free text for the clinic; it goes nowhere.")
    var note = ""

    @Option(name: .long, parsing: .unconditional, help: "The tag's fingerprint, instead of a tag at the reader.")
    var fingerprint: String?

    @Option(name: .long, parsing: .unconditional, help: "How long to wait for a tag, 1 to 600 seconds.")
    var seconds = 60

    func validate() throws {
      if let id, PatientReference(id) == nil {
        throw ValidationError("--id '\(id)': expected 1 to 36 of a-z, 0-9 and -; a name is never one")
      }
      if let fingerprint, PatientReference(fingerprint) == nil || fingerprint.utf8.count != 26 {
        throw ValidationError("--fingerprint '\(fingerprint)': expected 26 of a-z and 2-7, as 'tag read' prints it")
      }
      guard note.utf8.count <= 200, note.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
        throw ValidationError("--note: expected one line of at most 200 bytes")
      }
      guard (1...600).contains(seconds) else { throw ValidationError("--seconds \(seconds): expected 1 to 600") }
    }

    func run() async throws {
      let settings = try options.settings()
      let roster = try RosterFile(settings)
      let named: PatientReference
      if let given = fingerprint.flatMap({ PatientReference($0) }) {
        named = given
      } else {
        named = try await presented(settings)
      }
      let entry = Roster.Entry(
        reference: id.flatMap { PatientReference($0) } ?? named, role: role, consent: Set(consent), note: note)
      leaveNote(.roster(.add, rows: 1, sha256: nil), settings)
      let change = try roster.add([RosterReader.Row(line: 1, fingerprint: named, entry: entry)])
      if options.json {
        try printJSON(
          RowLine(RosterReader.Row(line: 1, fingerprint: named, entry: entry), added: !change.added.isEmpty))
      } else {
        print(
          "\(entry.reference): \(change.added.isEmpty ? "was on the list already" : "put on the list") in \(roster.path)"
        )
      }
    }

    /// The fingerprint of the next tag at the reader.
    private func presented(_ settings: Settings) async throws -> PatientReference {
      let naming = try TagNaming(settings, secrets: SecretFiles(credentialsDirectory: options.credentials))
      printToStandardError("hold the tag to the reader (\(settings.reader.device)), for at most \(seconds) s")
      var found: PatientReference?
      try await PresentedTags(settings, seconds: seconds).forEach { tag in
        found = naming.fingerprint(of: tag)
        return false
      }
      guard let found else { throw CommandFailure("no tag came within \(seconds) s") }
      return found
    }
  }

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Names every faulty row of the list by its line.",
      discussion: """
        Of the configured list, or of a file that is to be imported. Quotes nothing of a row. Exit status 0: every row \
        counts; 1: some do not.

          thermograph roster check
          thermograph roster check clinic.csv
        """)

    @OptionGroup var options: Options

    @Argument(help: "A file to look at instead of the configured list.")
    var file: String?

    func run() throws {
      let roster = try file.map { RosterFile(path: $0) } ?? RosterFile(options.settings())
      let (rows, faults) = try roster.read()
      for fault in faults {
        if options.json { try printJSON(FaultLine(fault)) } else { printToStandardError("\(roster.path):\(fault)") }
      }
      if !options.json { print("\(roster.path): \(rows.count) tags, \(faults.count) faults") }
      if !faults.isEmpty { throw ExitCode.failure }
    }

    private struct FaultLine: Encodable {
      let line: Int
      let column: Int
      let what: String

      init(_ fault: RosterFault) { (line, column, what) = (fault.line, fault.column, fault.what) }
    }
  }

  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "import",
      abstract: "Puts the rows of a spreadsheet's file on the list, all or none.",
      discussion: """
        CSV with a header, in UTF-8; commas, semicolons or tabs between the fields, with or without a byte order mark. A \
        faulty row is named by its line, and then nothing is put in; so it is when a tag or an id is on the list for \
        somebody else. Exit status 0: every row is on the list.

          thermograph roster import clinic.csv
        """)

    @OptionGroup var options: Options

    @Argument(help: "The file.")
    var file: String

    func run() throws {
      let settings = try options.settings()
      let roster = try RosterFile(settings)
      let (rows, faults) = try RosterFile(path: file).read()
      for fault in faults { printToStandardError("\(file):\(fault)") }
      guard faults.isEmpty else {
        throw CommandFailure("\(file): nothing is put on the list; put the rows right that are named")
      }
      leaveNote(.roster(.fileImport, rows: rows.count, sha256: nil), settings)
      let change = try roster.add(rows)
      if options.json {
        for row in change.added { try printJSON(RowLine(row, added: true)) }
      } else {
        print("\(roster.path): \(change.added.count) put in, \(change.unchanged) were there already")
      }
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists ids, roles and consents, without the notes.",
      discussion: """
        With --json one object a line. Faulty rows are named on standard error.

          thermograph roster list
          thermograph roster list --json | jq -r 'select(.role == "operator") | .id'
        """)

    @OptionGroup var options: Options

    func run() throws {
      let roster = try RosterFile(options.settings())
      let (rows, faults) = try roster.read()
      for fault in faults { printToStandardError("\(roster.path):\(fault)") }
      for row in rows {
        let line = RowLine(row)
        if options.json {
          try printJSON(line)
        } else {
          print("\(line.fingerprint)  \(line.id)  \(line.role)  \(line.consent.joined(separator: " "))")
        }
      }
      if !faults.isEmpty { throw ExitCode.failure }
    }
  }

  private struct RowLine: Encodable {
    let fingerprint: String
    let id: String
    let role: String
    let consent: [String]
    var added: Bool?

    init(_ row: RosterReader.Row, added: Bool? = nil) {
      fingerprint = row.fingerprint.text
      (id, role) = (row.entry.reference.text, row.entry.role.rawValue)
      consent = Roster.Consent.allCases.filter(row.entry.consent.contains).map(\.rawValue)
      self.added = added
    }
  }
}

extension TagRole: ExpressibleByArgument {}

extension Roster.Consent: ExpressibleByArgument {}
