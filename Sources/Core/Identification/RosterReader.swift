/// Reads the roster's CSV: RFC 4180 with a header, without line breaks inside quotes, UTF-8. Semicolons or tabs may stand
/// in the place of the commas.
///
///     fingerprint,id,role,consent,note
///     mzxw6ytboiaaaaaaaaaaaaaaaa,ward-7-0042,patient,capture upload,"left the ward, comes again"
///
/// | column | |
/// |---|---|
/// | `fingerprint` | required; 26 characters of a-z2-7, as `thermograph tag read` prints it |
/// | `id` | `[a-z0-9-]{1,36}`; empty: the fingerprint itself |
/// | `role` | `patient` (when empty), `operator` or `technician` |
/// | `consent` | words of `capture`, `upload`, `research`, separated by blanks |
/// | `note` | free text |
///
/// Columns come in any order and only `fingerprint` must be there. A faulty row is left out and named; the others count.
package struct RosterReader {
  package static let largestByteCount = 1 << 20
  package static let largestRowCount = 10_000
  private static let largestFieldByteCount = 512
  private static let faultLimit = 100

  private enum Column: String, CaseIterable {
    case fingerprint, id, role, consent, note
  }

  /// A row that counts.
  package struct Row: Sendable, Equatable {
    /// From 1.
    package var line: Int
    package var fingerprint: PatientReference
    package var entry: Roster.Entry

    package init(line: Int, fingerprint: PatientReference, entry: Roster.Entry) {
      self.line = line
      self.fingerprint = fingerprint
      self.entry = entry
    }
  }

  private var roster = Roster()
  private var rows: [Row] = []
  /// A comma; a semicolon or a tab where the header has them, as spreadsheets of many countries write it.
  private var separator = UInt8(ascii: ",")
  private var faults: [RosterFault] = []
  private var columns: [Column] = []
  private var linesByIdentifier: [String: Int] = [:]
  private var linesByFingerprint: [String: Int] = [:]

  /// The roster in `bytes`, and what is wrong with it. At most 100 faults are listed.
  package static func read(_ bytes: [UInt8]) -> (roster: Roster, faults: [RosterFault]) {
    var reader = RosterReader()
    reader.readAll(bytes)
    return (reader.roster, reader.faults)
  }

  /// The rows of the roster in `bytes`, in their order, and what is wrong with the others.
  package static func rows(_ bytes: [UInt8]) -> (rows: [Row], faults: [RosterFault]) {
    var reader = RosterReader()
    reader.readAll(bytes)
    return (reader.rows, reader.faults)
  }

  /// `rows` as a roster's file, header included.
  package static func text(_ rows: [Row]) -> String {
    rows.reduce(columnNames + "\n") { text, row in
      let id = row.entry.reference == row.fingerprint ? "" : row.entry.reference.text
      let consent = Roster.Consent.allCases.filter(row.entry.consent.contains).map(\.rawValue).joined(separator: " ")
      let fields = [row.fingerprint.text, id, row.entry.role.rawValue, consent, quoted(row.entry.note)]
      return text + fields.joined(separator: ",") + "\n"
    }
  }

  private static func quoted(_ text: String) -> String {
    guard text.contains(where: { ",;\t\"".contains($0) }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }

  private init() {}

  private mutating func readAll(_ bytes: [UInt8]) {
    guard bytes.count <= Self.largestByteCount else {
      return fault(1, 1, "the roster has \(bytes.count) bytes; expected at most \(Self.largestByteCount)")
    }
    // A byte order mark, as spreadsheets write it, is no part of the first name.
    let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    guard !bytes.starts(with: [0xFF, 0xFE]), !bytes.starts(with: [0xFE, 0xFF]) else {
      return fault(1, 1, "saved as UTF-16; save it as CSV in UTF-8")
    }
    let lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
    let first = lines.first { !$0.isEmpty } ?? []
    separator =
      [UInt8(ascii: ";"), 0x09].first { first.contains($0) && !first.contains(UInt8(ascii: ",")) } ?? separator
    for (index, ended) in lines.enumerated() {
      let line = ended.last == 0x0D ? ended.dropLast() : ended
      if line.isEmpty { continue }
      guard index <= Self.largestRowCount else {
        return fault(index + 1, 1, "more than \(Self.largestRowCount) rows; the rest is left out")
      }
      guard let fields = split(line, index + 1) else { continue }
      if columns.isEmpty {
        guard header(fields, index + 1) else { return }
      } else {
        row(fields, index + 1)
      }
    }
    if columns.isEmpty, faults.isEmpty { fault(1, 1, "no header; expected \(Self.columnNames)") }
  }

  private static var columnNames: String { Column.allCases.map(\.rawValue).joined(separator: ",") }

  private typealias Field = (text: String, column: Int)

  /// The fields of a line, unquoted; nil after a fault.
  private mutating func split(_ line: ArraySlice<UInt8>, _ number: Int) -> [Field]? {
    let quote = UInt8(ascii: "\"")
    var fields: [Field] = []
    var position = line.startIndex
    while true {
      let start = position
      var bytes: [UInt8] = []
      if position < line.endIndex, line[position] == quote {
        position += 1
        while true {
          guard position < line.endIndex else {
            fault(number, start - line.startIndex + 1, "a quoted field does not end on its line")
            return nil
          }
          if line[position] != quote {
            bytes.append(line[position])
            position += 1
          } else if position + 1 < line.endIndex, line[position + 1] == quote {
            bytes.append(quote)
            position += 2
          } else {
            position += 1
            break
          }
        }
        guard position == line.endIndex || line[position] == separator else {
          fault(number, position - line.startIndex + 1, "expected \(separatorName) after the closing quote")
          return nil
        }
      } else {
        while position < line.endIndex, line[position] != separator {
          guard line[position] != quote else {
            fault(number, position - line.startIndex + 1, "a quote inside an unquoted field; quote the whole field")
            return nil
          }
          bytes.append(line[position])
          position += 1
        }
      }
      let column = start - line.startIndex + 1
      guard bytes.count <= Self.largestFieldByteCount else {
        fault(number, column, "a field of \(bytes.count) bytes; expected at most \(Self.largestFieldByteCount)")
        return nil
      }
      guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(where: { $0 < 0x20 && $0 != 0x09 })
      else {
        fault(number, column, "a field is not UTF-8 text, or has control characters")
        return nil
      }
      fields.append((text, column))
      guard position < line.endIndex else { return fields }
      position += 1
    }
  }

  private var separatorName: String {
    switch separator {
    case UInt8(ascii: ";"): "a semicolon"
    case 0x09: "a tab"
    default: "a comma"
    }
  }

  private mutating func header(_ fields: [Field], _ number: Int) -> Bool {
    for field in fields {
      guard let column = Column(rawValue: field.text) else {
        fault(number, field.column, "unknown column \"\(field.text.prefix(40))\"; expected some of \(Self.columnNames)")
        return false
      }
      guard !columns.contains(column) else {
        fault(number, field.column, "the column \(column.rawValue) is there twice")
        return false
      }
      columns.append(column)
    }
    guard columns.contains(.fingerprint) else {
      fault(number, 1, "no column fingerprint; expected some of \(Self.columnNames)")
      columns = []
      return false
    }
    return true
  }

  private mutating func row(_ fields: [Field], _ number: Int) {
    guard fields.count == columns.count else {
      return fault(number, 1, "\(fields.count) fields; expected \(columns.count), as the header has")
    }
    func field(_ column: Column) -> Field {
      columns.firstIndex(of: column).map { fields[$0] } ?? ("", 1)
    }
    let fingerprint = field(.fingerprint)
    guard fingerprint.text.utf8.count == 26, fingerprint.text.utf8.allSatisfy(Self.isBase32) else {
      return fault(number, fingerprint.column, "expected a fingerprint: 26 characters of a-z and 2-7")
    }
    let identifier = field(.id)
    let referenceText = identifier.text.isEmpty ? fingerprint.text : identifier.text
    guard let reference = PatientReference(referenceText) else {
      return fault(number, identifier.column, "expected an id of 1 to 36 characters of a-z, 0-9 and -")
    }
    let roleField = field(.role)
    guard let role = roleField.text.isEmpty ? .patient : TagRole(rawValue: roleField.text) else {
      return fault(number, roleField.column, "expected the role patient, operator or technician")
    }
    let consentField = field(.consent)
    let words = consentField.text.split(separator: " ")
    let consent = words.compactMap { Roster.Consent(rawValue: String($0)) }
    guard consent.count == words.count else {
      return fault(number, consentField.column, "expected words of capture, upload and research, separated by blanks")
    }
    if let earlier = linesByFingerprint[fingerprint.text] {
      return fault(number, fingerprint.column, "the tag is already on line \(earlier)")
    }
    // One id for two tags would mix two people's images; who gets a new tag has the old one's row taken out.
    if let earlier = linesByIdentifier[referenceText] {
      return fault(number, identifier.column, "the id is already on line \(earlier), for another tag")
    }
    let entry = Roster.Entry(reference: reference, role: role, consent: Set(consent), note: field(.note).text)
    if let fingerprint = PatientReference(fingerprint.text), roster.add(entry, fingerprint: fingerprint.text) {
      rows.append(Row(line: number, fingerprint: fingerprint, entry: entry))
      linesByFingerprint[fingerprint.text] = number
      linesByIdentifier[referenceText] = number
    }
  }

  private static func isBase32(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "2")...UInt8(ascii: "7"): true
    default: false
    }
  }

  private mutating func fault(_ line: Int, _ column: Int, _ what: String) {
    if faults.count < Self.faultLimit { faults.append(RosterFault(line: line, column: column, what: what)) }
  }
}
