import Forwarding
import LocalFiles
import Provenance

/// Why the outbox did not do what was asked. Nothing was changed when one of these is thrown.
package enum OutboxError: Error, Sendable, CustomStringConvertible {
  case database(SQLiteError)
  case sealing(SealingError, id: Int64)
  /// The file system has no room; the message is not stored.
  case noSpace(path: String)
  /// A limit of the configuration; the message is not stored.
  case refused(QuotaRefusal)
  case payloadTooLarge(name: String, byteCount: Int)
  /// The capture's record could not be built.
  case record(captureID: RandomIdentifier, reason: String)
  /// The same capture id was stored before.
  case duplicateCapture(RandomIdentifier)
  case invalidTopic(TopicError)
  /// The database was made by a later version of the program.
  case newerSchema(path: String, version: Int64, known: Int64)
  /// A valid database of another program.
  case foreign(path: String, applicationID: Int64)
  /// A tool found nothing to work on.
  case noDatabase(path: String)
  /// No such message (any more).
  case missing(id: Int64)
  /// A message of the outbox's own could not be written.
  case message(String)
  /// Rows of the index do not say what their sealed envelopes say, or nothing that can be. Inside the running device
  /// nobody else sees this: the rows are made again first.
  case unsound(ids: [Int64])
  /// A correction that says nothing, or contradicts what holds.
  case correction(CorrectionRefusal)
  case closed
  case file(FileError)

  package var description: String {
    switch self {
    case .database(let error): "outbox: \(error)"
    case .sealing(let error, let id): "outbox: message \(id): \(error)"
    case .noSpace(let path):
      "outbox \(path): no space left on the device; free space there, nothing stored before is lost"
    case .refused(let refusal): "outbox: \(refusal)"
    case .payloadTooLarge(let name, let count):
      "outbox: \(name) has \(count) bytes; expected at most \(OutboxDatabase.maximumPayloadBytes)"
    case .record(let id, let reason): "outbox: the record of capture \(id) cannot be built: \(reason)"
    case .duplicateCapture(let id): "outbox: capture \(id) is stored already"
    case .invalidTopic(let error): "outbox: \(error)"
    case .newerSchema(let path, let version, let known):
      "outbox \(path): schema version \(version) is newer than this program's \(known); install the program that wrote it"
    case .foreign(let path, let id):
      "outbox \(path): is a database of another program (application id \(id)); move it away"
    case .noDatabase(let path): "outbox \(path): does not exist; the device makes it at its first start"
    case .missing(let id): "outbox: there is no message \(id)"
    case .message(let what): "outbox: \(what)"
    case .unsound(let ids):
      "outbox: the index is damaged at message \(ids.map { "\($0)" }.joined(separator: ", ")); "
        + "run `thermograph outbox verify`, which makes it again from the sealed envelopes"
    case .correction(let refusal): "\(refusal)"
    case .closed: "outbox: is closed"
    case .file(let error): "outbox \(error)"
    }
  }

  /// A database error in the outbox's terms.
  init(_ error: SQLiteError) {
    self = error.isFull ? .noSpace(path: error.path) : .database(error)
  }
}
