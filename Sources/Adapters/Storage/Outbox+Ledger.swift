import Forwarding
import Provenance
import Remote

/// The ledger of commands, for the one who carries them out.
extension Outbox {
  /// Tells when the ledger began: what was issued before must not be done. One that is new, or of which a row was
  /// damaged, begins at `seconds`.
  package func openLedger(at seconds: Int64) throws(OutboxError) -> Int64 {
    try withTransaction { database throws(OutboxError) in try database.beginLedger(at: seconds) }
  }

  /// What the ledger says of one id.
  package struct LedgerView: Sendable, Equatable {
    /// nil: the ledger was lost since it was opened; open it again.
    package let beganSeconds: Int64?
    /// A row that opens no more is told as one of another statement: nothing is done under its id.
    package let known: LedgerEntry?
    /// Rows in all.
    package let entries: Int
  }

  package func command(_ id: RandomIdentifier) throws(OutboxError) -> LedgerView {
    try withDatabase { database throws(OutboxError) in
      let known: LedgerEntry? =
        switch try database.command(id) {
        case .none: nil
        case .entry(let entry): entry
        case .illegible: LedgerEntry(id: id, digest: [], name: "unknown", expiresSeconds: .max)
        }
      return LedgerView(
        beganSeconds: try database.ledgerBeginning(), known: known, entries: try database.countCommands())
    }
  }

  /// Writes a command down before it is done. When this returns, it is on disk.
  package func begin(_ entry: LedgerEntry) throws(OutboxError) {
    try withTransaction { database throws(OutboxError) in try database.write(entry) }
  }

  /// Writes what became of a command and queues its reply, in one commit.
  package func finish(_ entry: LedgerEntry, reply: NewMessage) throws(OutboxError) {
    var entry = entry
    entry.reply = reply.payload
    let before: Int64 = try withTransaction { database throws(OutboxError) in
      let before = database.nextMessage
      try database.write(entry)
      _ = try database.insert(reply)
      return before
    }
    tellStored(since: before)
  }

  /// Commands that were begun in an earlier run and of which nobody knows whether they were done.
  package func interruptedCommands() throws(OutboxError) -> [LedgerEntry] {
    try withDatabase { database throws(OutboxError) in try database.commands().filter { $0.reply == nil } }
  }

  /// Forgets commands whose time was certainly over at `floorSeconds`: their like is refused as expired from then on.
  /// - Returns: how many.
  @discardableResult
  package func forgetCommands(expiredAt floorSeconds: Int64) throws(OutboxError) -> Int {
    let over = try withDatabase { database throws(OutboxError) in
      try database.commands().filter { $0.reply != nil && $0.expiresSeconds <= floorSeconds }
    }
    guard !over.isEmpty else { return 0 }
    try withTransaction { database throws(OutboxError) in
      for entry in over { try database.removeCommand(entry.id.bytes) }
    }
    return over.count
  }
}
