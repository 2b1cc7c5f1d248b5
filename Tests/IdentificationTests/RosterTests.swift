import Identification
import Testing

@Suite("Roster")
struct RosterTests {
  private static let one = "mzxw6ytboiaaaaaaaaaaaaaaaa"
  private static let two = "ghijklmnopqrstuvwxyz234564"

  private func read(_ text: String) -> (roster: Roster, faults: [RosterFault]) { RosterReader.read(Array(text.utf8)) }

  /// Fingerprints of a tag whose present or former version is `text`; the other is nobody's.
  private func fingerprints(_ text: String, isFormer: Bool = false) throws -> TagFingerprints {
    let nobody = try reference(String(repeating: "z", count: 26))
    let named = try reference(text)
    return isFormer ? TagFingerprints(current: nobody, former: named) : TagFingerprints(current: named, former: nobody)
  }

  private func reference(_ text: String) throws -> PatientReference { try #require(PatientReference(text)) }

  @Test func rowsNameTagsAndTheirBearers() throws {
    let (roster, faults) = read(
      """
      fingerprint,id,role,consent,note
      \(Self.one),ward-7-0042,patient,capture upload,"left, the ""old"" ward"
      \(Self.two),,operator,,

      """)
    #expect(faults == [])
    #expect(roster.count == 2)
    let entry = try #require(roster.entry(fingerprint: try reference(Self.one)))
    #expect(entry.reference.text == "ward-7-0042" && entry.consent == [.capture, .upload])
    #expect(entry.note == "left, the \"old\" ward")
    let second = roster.tag(try fingerprints(Self.two))
    #expect(second.reference == (try reference(Self.two)) && second.role == .operator)
    #expect(second.isEnrolled && second.consent == [] && second.version == .current)
  }

  @Test func aTagOutsideTheRosterIsAPatientUnderItsFingerprint() throws {
    let tag = Roster().tag(try fingerprints(Self.one))
    #expect(tag.reference == (try reference(Self.one)) && tag.role == .patient && !tag.isEnrolled)
    #expect(tag.version == .current)
  }

  /// Rosters of the version before name patients, operators and technicians by fingerprints that nobody can compute back.
  @Test func rowsOfTheVersionBeforeStillMatch() throws {
    let (roster, _) = read(
      """
      fingerprint,id,role,consent
      \(Self.one),ward-7-0042,patient,capture
      \(Self.two),,technician,
      """)
    let patient = roster.tag(try fingerprints(Self.one, isFormer: true))
    #expect(patient.reference.text == "ward-7-0042" && patient.isEnrolled && patient.version == nil)
    let technician = try fingerprints(Self.two, isFormer: true)
    let tag = roster.tag(technician)
    #expect(tag.role == .technician && tag.reference == technician.current && tag.former == technician.former)
    #expect(roster.isFormer(technician))
    #expect(try !roster.isFormer(fingerprints(Self.two)))
  }

  @Test func columnsComeInAnyOrderAndLineEndsVary() throws {
    let (roster, faults) = read("\u{FEFF}role,fingerprint\r\ntechnician,\(Self.one)\r\n\r\n,\(Self.two)")
    #expect(faults == [])
    #expect(roster.tag(try fingerprints(Self.one)).role == .technician)
    #expect(roster.tag(try fingerprints(Self.two)).role == .patient)
  }

  @Test func eachFaultyRowIsNamedAndTheOthersCount() throws {
    let (roster, faults) = read(
      """
      fingerprint,id,role,consent
      short,a,,
      \(Self.one),Upper,,
      \(Self.one),a,doctor,
      \(Self.one),a,,captur
      \(Self.one),a,
      \(Self.one),"a,,
      \(Self.one),"a"b,,
      \(Self.one),a"b,,
      \(Self.two),a,,research
      \(Self.two),b,,
      \(Self.one),a,,
      """)
    #expect(
      faults.map(\.description) == [
        "2:1: expected a fingerprint: 26 characters of a-z and 2-7",
        "3:28: expected an id of 1 to 36 characters of a-z, 0-9 and -",
        "4:30: expected the role patient, operator or technician",
        "5:31: expected words of capture, upload and research, separated by blanks",
        "6:1: 3 fields; expected 4, as the header has",
        "7:28: a quoted field does not end on its line",
        "8:31: expected a comma after the closing quote",
        "9:29: a quote inside an unquoted field; quote the whole field",
        "11:1: the tag is already on line 10",
        "12:28: the id is already on line 10, for another tag",
      ])
    #expect(roster.count == 1)
    #expect(roster.tag(try fingerprints(Self.two)).isEnrolled)
  }

  @Test func withoutAUsableHeaderNothingCounts() {
    for (text, fault) in [
      ("", "1:1: no header; expected fingerprint,id,role,consent,note"),
      ("id,role\na,patient", "1:1: no column fingerprint; expected some of fingerprint,id,role,consent,note"),
      ("fingerprint,name", "1:13: unknown column \"name\"; expected some of fingerprint,id,role,consent,note"),
      ("id,fingerprint,id", "1:16: the column id is there twice"),
    ] {
      let (roster, faults) = read(text)
      #expect(faults.map(\.description) == [fault])
      #expect(roster.count == 0)
    }
  }

  @Test func everythingIsBounded() {
    #expect(RosterReader.read([UInt8](repeating: 0x0A, count: RosterReader.largestByteCount + 1)).faults.count == 1)
    #expect(read("fingerprint\n" + String(repeating: "x\n", count: 9000)).faults.count == 100)
    #expect(
      read("fingerprint,note\n\(Self.one),\(String(repeating: "n", count: 513))").faults.map(\.description)
        == ["2:28: a field of 513 bytes; expected at most 512"])
    #expect(RosterReader.read(Array("fingerprint,note\n\(Self.one),".utf8) + [0xFF, 0xFE]).faults.count == 1)
  }

  @Test func faultsQuoteNothingOfARow() {
    let (_, faults) = read("fingerprint,id,role,consent,note\nMrs Smith,Mrs Smith,Mrs Smith,Mrs Smith,Mrs Smith")
    #expect(faults.count == 1)
    #expect(!"\(faults)".contains("Smith"))
  }

  /// As spreadsheets write it where the comma is the decimal sign.
  @Test(arguments: [";", "\t"]) func otherSeparatorsAreReadAsWell(separator: String) throws {
    let (roster, faults) = read(
      "\u{FEFF}" + ["fingerprint", "id", "note"].joined(separator: separator) + "\r\n"
        + [Self.one, "ward-7", "\"a\(separator)b, c\""].joined(separator: separator) + "\r\n"
        + ["short", "x", ""].joined(separator: separator) + "\n")
    #expect(roster.entry(fingerprint: try reference(Self.one))?.note == "a\(separator)b, c")
    #expect(faults.map(\.line) == [3])
    let (_, unquoted) = read("fingerprint\(separator)note\n\(Self.one)\(separator)\"a\"b\n")
    #expect(unquoted.first?.what.contains(separator == ";" ? "a semicolon" : "a tab") == true)
    #expect(RosterReader.read([0xFF, 0xFE, 0x66, 0]).faults.first?.what.contains("UTF-16") == true)
  }

  /// What was taken before somebody was put on the list is the same person's.
  @Test func whoIsEnrolledLaterDoesNotBecomeTwo() throws {
    let (roster, _) = read("fingerprint,id\n\(Self.one),ward-7\n")
    let tag = roster.tag(try fingerprints(Self.one))
    let before = try reference(Self.one)
    #expect(tag.reference.text == "ward-7" && tag.former == before)
    #expect(tag.isBearer(of: before), "a session that was open goes on")
    #expect(roster.tag(reference: try reference("ward-7")).former == before)
    // A list without ids names nobody anew.
    let (unnamed, _) = read("fingerprint\n\(Self.one)\n")
    #expect(unnamed.tag(try fingerprints(Self.one)).former == nil)
  }

  @Test func aListThatIsWrittenReadsTheSame() throws {
    let text =
      "fingerprint,id,role,consent,note\n\(Self.one),ward-7,patient,capture upload,\"a, \"\"b\"\"\"\n\(Self.two),,operator,,\n"
    let (rows, faults) = RosterReader.rows(Array(text.utf8))
    #expect(faults == [] && rows.map(\.line) == [2, 3])
    #expect(RosterReader.text(rows) == text)
  }
}
