import Configuration
import Identification
import LocalFiles
import Provenance
import Storage

/// The clinic's roster on disk, for the tools that keep it. The service reads it at its start and at a reload.
package struct RosterFile {
  /// What was put in and what was there already.
  package struct Change: Sendable, Equatable {
    package var added: [RosterReader.Row] = []
    package var unchanged = 0
  }

  package let path: String

  package init(path: String) {
    self.path = path
  }

  /// - Throws: `RosterFileError` where the configuration names no roster.
  package init(_ settings: Settings) throws(RosterFileError) {
    guard let path = settings.patients.rosterFile else {
      throw RosterFileError("no roster is configured: roster_file = \"/etc/thermograph/roster.csv\" in [patients]")
    }
    self.init(path: path)
  }

  /// The rows that count, and what is wrong with the others.
  package func read() throws -> (rows: [RosterReader.Row], faults: [RosterFault]) {
    RosterReader.rows(try BoundedFile.read(path, maximumBytes: RosterReader.largestByteCount))
  }

  /// Puts rows in, all or none. A tag or an id that the roster has for somebody else is an error; a row that it has
  /// already changes nothing.
  package func add(_ new: [RosterReader.Row]) throws -> Change {
    var rows: [RosterReader.Row] = []
    if try BoundedFile.exists(path) {
      let (present, faults) = try read()
      if let first = faults.first {
        throw RosterFileError("\(path):\(first); put the file right before anything is added to it")
      }
      rows = present
    }
    var change = Change()
    for row in new {
      if let same = rows.first(where: { $0.fingerprint == row.fingerprint }) {
        guard same.entry == row.entry else {
          throw RosterFileError(
            "line \(row.line): the roster has this tag on line \(same.line) already, with another entry")
        }
        change.unchanged += 1
        continue
      }
      if let other = rows.first(where: { $0.entry.reference == row.entry.reference }) {
        throw RosterFileError(
          "line \(row.line): the roster has the id \(row.entry.reference) on line \(other.line), for another tag")
      }
      rows.append(row)
      change.added.append(row)
    }
    guard rows.count <= RosterReader.largestRowCount else {
      throw RosterFileError("more than \(RosterReader.largestRowCount) rows; nothing was added")
    }
    if !change.added.isEmpty { try BoundedFile.replace(path, with: Array(RosterReader.text(rows).utf8), mode: 0o600) }
    return change
  }
}

extension RosterFile {
  /// What became of one tag's row.
  package enum Upgrade: Sendable, Equatable {
    /// The row had the former fingerprint and has the present one now.
    case upgraded(PatientReference)
    case current(PatientReference)
    case unknown

    package var name: String {
      switch self {
      case .upgraded: "upgraded"
      case .current: "current"
      case .unknown: "unknown"
      }
    }
  }

  /// Puts the present fingerprint of a tag in the place of its former one. A row whose id was the former fingerprint
  /// takes the present one as its id; records name the former one once, as at a tap.
  package func upgrade(_ fingerprints: TagFingerprints) throws -> Upgrade {
    var (rows, faults) = try read()
    if let first = faults.first {
      throw RosterFileError("\(path):\(first); put the file right before anything is changed in it")
    }
    if let row = rows.first(where: { $0.fingerprint == fingerprints.current }) { return .current(row.entry.reference) }
    guard let index = rows.firstIndex(where: { $0.fingerprint == fingerprints.former }) else { return .unknown }
    rows[index].fingerprint = fingerprints.current
    if rows[index].entry.reference == fingerprints.former { rows[index].entry.reference = fingerprints.current }
    try BoundedFile.replace(path, with: Array(RosterReader.text(rows).utf8), mode: 0o600)
    return .upgraded(rows[index].entry.reference)
  }
}

/// Why a roster is not changed; for a person.
package struct RosterFileError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}

/// Makes fingerprints for whoever enrols tags.
package struct TagNaming {
  private let siteKey: [UInt8]

  package init(_ settings: Settings, secrets: SecretFiles) throws {
    siteKey = try secrets.bytes(of: settings.patients.siteKeyFile)
  }

  /// Takes some tens of milliseconds.
  package func fingerprint(of tag: TagUID) -> PatientReference {
    PatientReference(tag: tag, siteKey: siteKey, digests: OpenSSLDigests())
  }

  /// With the one of the version before.
  package func fingerprints(of tag: TagUID) -> TagFingerprints {
    TagFingerprints(tag: tag, siteKey: siteKey, digests: OpenSSLDigests())
  }
}
