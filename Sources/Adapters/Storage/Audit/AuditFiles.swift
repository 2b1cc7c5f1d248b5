import Audit
import Forwarding
import LocalFiles
import Provenance
import Trust

/// Where the audit log of a device lies, and what lies beside it.
package struct AuditFiles: Sendable {
  package static let keyName = "audit.key"
  static let sentName = "sent"
  static let cosignedName = "cosigned.json"
  private static let maximumNotes = 1024
  private static let noteSuffix = ".json"
  private static let receiptSuffix = ".receipt"
  private static let unreadableSuffix = ".unreadable"

  package let stateDirectory: String

  package init(stateDirectory: String) {
    self.stateDirectory = stateDirectory
  }

  /// The folder of the log.
  package var directory: String { stateDirectory + "/" + StateFiles.audit }
  /// The device's private audit key.
  package var keyPath: String { "\(stateDirectory)/\(StateFiles.keys)/\(Self.keyName)" }
  package var originPath: String { directory + "/" + AuditLog.originName }
  var lockPath: String { directory + "/lock" }
  var sentPath: String { directory + "/" + Self.sentName }
  /// The newest receipt that cosigns a head of this log, as it came.
  package var cosignedPath: String { directory + "/" + Self.cosignedName }
  private var notesPath: String { stateDirectory + "/" + StateFiles.auditNotes }

  /// The key that seals the log, made of the audit key: it is never exchanged, as the outbox's is.
  ///
  /// - Parameter pem: of the private audit key.
  package static func sealingKey(auditKey pem: [UInt8], digests: some MessageDigests) -> SealingKey? {
    SealingKey(
      bytes: digests.hmacSHA256(key: pem, message: Array("thermograph audit sealing v1".utf8)), digests: digests)
  }

  // MARK: - Notes

  /// What a tool did while it was not the log's writer. The service puts it into the log.
  struct Note {
    let path: String
    let kind: AuditKind
    let what: JSONObject
  }

  /// Leaves word of what a tool is about to do; on disk when this returns. The log has one writer, the service, so a tool
  /// beside it writes a file of its own, which the service takes into the log within a minute, or at its next start.
  package func leave(_ event: AuditEvent, at time: Timestamp) throws {
    let text = JSONValue.object([
      "kind": .string(ExactText(event.kind.rawValue)), "at": .string(ExactText(time.rfc3339)),
      "what": .object(event.what),
    ]).encoded()
    try leave(text, as: noteName(time, Self.noteSuffix))
  }

  /// Leaves a receipt with a cosignature that came by stick, and was believed.
  package func leave(receipt: [UInt8], at time: Timestamp) throws {
    try leave(receipt, as: noteName(time, Self.receiptSuffix))
  }

  private func leave(_ text: [UInt8], as name: String) throws(FileError) {
    guard try BoundedFile.exists(stateDirectory) else {
      throw FileError(path: stateDirectory, reason: "is not there; the service's first start makes it")
    }
    try OwnerRights.asOwner(of: stateDirectory) { () throws(FileError) in
      try Folder.makeAll(notesPath, mode: 0o700)
      guard try Folder.names(in: notesPath, maximumNames: 2 * Self.maximumNotes).count < Self.maximumNotes else {
        throw FileError(
          path: notesPath, reason: "holds \(Self.maximumNotes) notes already; start the service, which takes them")
      }
      try BoundedFile.createPrivate(notesPath + "/" + name, with: text)
    }
  }

  /// Sorts by time as far as one run of the system goes.
  private func noteName(_ time: Timestamp, _ suffix: String) -> String {
    var generator = SystemRandomNumberGenerator()
    let digits = String(time.monotonicNanoseconds)
    return String(repeating: "0", count: 20 - digits.count) + digits + "-\(RandomIdentifier(using: &generator))"
      + suffix
  }

  /// Receipts that tools left, with their files.
  func receipts() throws(FileError) -> [(path: String, bytes: [UInt8])] {
    guard try BoundedFile.exists(notesPath) else { return [] }
    var found: [(path: String, bytes: [UInt8])] = []
    for name in try Folder.names(in: notesPath, maximumNames: 2 * Self.maximumNotes).sorted()
    where name.hasSuffix(Self.receiptSuffix) && !name.hasPrefix(".") {
      let path = notesPath + "/" + name
      found.append((path, try BoundedFile.read(path, maximumBytes: Receipt.limits.envelopeBytes)))
    }
    return found
  }

  /// Notes that wait, in the order of their names. What is no note is set aside and named.
  func notes() throws(FileError) -> (notes: [Note], faults: [String]) {
    guard try BoundedFile.exists(notesPath) else { return ([], []) }
    var notes: [Note] = []
    var faults: [String] = []
    for name in try Folder.names(in: notesPath, maximumNames: 2 * Self.maximumNotes).sorted()
    where name.hasSuffix(Self.noteSuffix) && !name.hasPrefix(".") {
      let path = notesPath + "/" + name
      do {
        let bytes = try BoundedFile.read(path, maximumBytes: AuditEntry.maximumBytes)
        guard case .object(let object) = try JSONValue(reading: bytes, within: AuditEntry.limits) else {
          throw ShapeFault("it is no object")
        }
        guard let kind = AuditKind(rawValue: try object.text("kind").string) else { throw ShapeFault("'kind' is none") }
        let what = try object.object("what")
        notes.append(
          Note(
            path: path, kind: kind,
            what: JSONObject(what.members + [JSONObject.Member("noted_at", .string(try object.text("at")))])))
      } catch let error as FileError { throw error } catch {
        faults.append("\(name): \(error)")
        // Kept for a person, and not read again.
        try BoundedFile.rename(path, to: path + Self.unreadableSuffix)
      }
    }
    return (notes, faults)
  }
}
