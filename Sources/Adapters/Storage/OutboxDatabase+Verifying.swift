import Forwarding
import Provenance

/// What a look at the payloads found.
package struct VerificationReport: Sendable, Equatable {
  package var checked = 0
  /// Set aside because they cannot be opened.
  package var unreadable: [Int64] = []
  /// Sealed with a key that is not loaded; left as they are.
  package var locked: [Int64] = []
  /// Whose row in the index was wrong or missing and was made again from the payload.
  package var reindexed: [Int64] = []
  /// Rows of the index without a payload, removed.
  package var hollow: [Int64] = []
  /// Whether anything was wrong.
  var foundSomething: Bool { !unreadable.isEmpty || !reindexed.isEmpty || !hollow.isEmpty }
  /// Where to go on; nil at the end.
  package var next: Int64?

  package init() {}
}

extension OutboxDatabase {
  /// Opens the payloads behind `id`, at most `limit`, and sets right what the payloads prove. Only inside `transaction`.
  func verify(after id: Int64, limit: Int) throws(OutboxError) -> VerificationReport {
    var report = VerificationReport()
    if id == 0 { try mend(try impossibleRows(), &report) }
    var ids: [Int64] = []
    try query(
      """
      SELECT id FROM message WHERE id > ?1 UNION SELECT id FROM payload WHERE id > ?1 ORDER BY 1 LIMIT ?2
      """,
      { statement throws(SQLiteError) in
        try statement.bind(1, max(id, 0))
        try statement.bind(2, limit)
      }, row: { ids.append($0.integer(0)) })
    try mend(ids, &report)
    report.checked = ids.count
    if ids.count == limit { report.next = ids.last }
    return report
  }

  /// Seals messages anew that lie under an older key, at most `limit`; returns how many are left. Those whose key is
  /// missing or whose bytes are damaged stay as they are. Only inside `transaction`.
  func reseal(limit: Int) throws(OutboxError) -> Int {
    let current = configuration.keys.current
    var older: [StoredItem] = []
    for keyID in try keyIDs() where keyID != current.id && configuration.keys.holds(id: keyID) {
      older += try list(keyID: keyID, limit: limit - older.count)
    }
    for stored in older {
      let id = stored.item.id
      let payload: [UInt8]
      do throws(OutboxError) {
        payload = try self.payload(of: stored.item)
      } catch {
        guard case .sealing = error else { throw error }
        // The row or the payload: one of them is wrong.
        var report = VerificationReport()
        try mend([id], &report)
        continue
      }
      let envelope = SealedEnvelope(outboxID: outboxID, keyID: current.id, item: stored.item)
      let sealed: [UInt8]
      do throws(SealingError) {
        sealed = try envelope.sealed(payload, cipher: cipher, key: current)
      } catch {
        throw .sealing(error, id: id)
      }
      // Of the same length: the key's id is all that changes in the description.
      try run("UPDATE payload SET sealed = ? WHERE id = ?") { row throws(SQLiteError) in
        try row.bind(1, sealed)
        try row.bind(2, id)
      }
      try run("UPDATE message SET key_id = ? WHERE id = ?") { row throws(SQLiteError) in
        try row.bind(1, current.id)
        try row.bind(2, id)
      }
    }
    var left = 0
    try query(
      "SELECT count(*) FROM message WHERE key_id <> ? AND state <> 3",
      { statement throws(SQLiteError) in try statement.bind(1, current.id) },
      row: { left = Int(clamping: $0.integer(0)) })
    return left + (try resealResults(limit: limit))
  }

  /// Messages under one key, quarantined ones included.
  func count(keyID: Int64) throws(OutboxError) -> Int {
    var count = 0
    try query(
      "SELECT count(*) FROM message WHERE key_id = ?",
      { statement throws(SQLiteError) in try statement.bind(1, keyID) }, row: { count = Int(clamping: $0.integer(0)) })
    return count + (try countResults(keyID: keyID))
  }

  /// The keys under which messages lie.
  func keyIDs() throws(OutboxError) -> [Int64] {
    var ids: [Int64] = []
    try query("SELECT DISTINCT key_id FROM message ORDER BY key_id", { _ in }, row: { ids.append($0.integer(0)) })
    return ids
  }
}
