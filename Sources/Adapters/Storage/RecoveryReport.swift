/// What happened to the database before it could be used; a line for the log and an alert for the clinic.
package struct RecoveryReport: Sendable, Equatable, CustomStringConvertible {
  package enum Cause: Sendable, Equatable {
    /// SQLite or our own check found damage; its words.
    case damage(String)
    /// The program had not ended in order and its write-ahead log was gone.
    case logMissing
    /// The last transaction before an interruption is incomplete, as a power cut in the middle of a write leaves it.
    /// It was not announced as saved, unless the log was damaged afterwards.
    case logTorn
    /// The database is behind its commit counter: an older copy of it or of its log lies there. So many transactions and
    /// captures are not in it.
    case takenBack(commits: Int, captures: Int)
    /// The database has as many commits as its counter says, but others.
    case anotherHistory
    /// The outbox that was here before is gone. So many captures had not been delivered then; nil when nobody knows.
    case gone(waiting: Int?)
    /// The commit counter beside the database is gone or illegible, and with it the proof that the database is the last.
    case counterGone
    /// The file is from before the last orderly end: somebody put an older copy in its place, or the file system did.
    /// These many captures are not in it.
    case older(captures: Int)
  }

  package let cause: Cause
  /// Messages that are in the new database.
  package let recovered: Int
  /// Messages that the index still listed, or whose payload was found damaged.
  package let lost: Int
  /// Where the damaged files lie; nil when there are none.
  package let damagedPath: String?

  package var description: String {
    switch cause {
    case .damage(let what):
      "outbox: the database was damaged (\(what)); \(recovered) messages recovered, \(lost) lost"
        + (damagedPath.map { "; the damaged file is \($0)" } ?? "")
    case .logMissing:
      "outbox: the program was interrupted and its write-ahead log is gone; "
        + (lost > 0 ? "\(lost) captures are lost with it" : "captures of its last minutes may be lost")
    case .logTorn:
      "outbox: the program was interrupted in the middle of a write; "
        + (lost > 0 ? "\(lost) captures are lost" : "what was being stored then is not there")
    case .takenBack(let commits, let captures):
      "outbox: the database was taken back: \(captures) captures and \(commits) transactions that were stored since are "
        + "not in it; was an older copy of it or of its log put in its place?"
    case .anotherHistory:
      "outbox: the database is not the one that was written here last; captures of that one may be missing"
    case .gone(let waiting):
      "outbox: the outbox that was here is gone; "
        + (waiting.map { "\($0) captures had not been delivered then" } ?? "nobody knows what waited in it")
    case .counterGone:
      "outbox: the commit counter beside the database is gone or cannot be opened; whether the database is the last "
        + "one cannot be told"
    case .older(let count):
      "outbox: the database is older than the last end of the program: \(count) captures that were stored since are not "
        + "in it; was a copy put in its place?"
    }
  }
}
