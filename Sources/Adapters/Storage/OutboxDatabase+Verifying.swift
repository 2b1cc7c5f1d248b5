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
  /// Where to go on; nil at the end.
  package var next: Int64?

  package init() {}
}

extension OutboxDatabase {
  /// Opens the payloads behind `id`, at most `limit`, and sets right what the payloads prove. Only inside `transaction`.
  func verify(after id: Int64, limit: Int) throws(OutboxError) -> VerificationReport {
    var report = VerificationReport()
    var ids: [(id: Int64, hasRow: Bool, hasPayload: Bool)] = []
    try query(
      """
      SELECT ids.id, message.id IS NOT NULL, payload.id IS NOT NULL
      FROM (SELECT id FROM message WHERE id > ?1 UNION SELECT id FROM payload WHERE id > ?1 ORDER BY 1 LIMIT ?2) AS ids
      LEFT JOIN message ON message.id = ids.id LEFT JOIN payload ON payload.id = ids.id ORDER BY ids.id
      """,
      { statement throws(SQLiteError) in
        try statement.bind(1, id)
        try statement.bind(2, limit)
      }, row: { ids.append(($0.integer(0), $0.integer(1) != 0, $0.integer(2) != 0)) })
    for (id, hasRow, hasPayload) in ids {
      report.checked += 1
      if !hasPayload {
        try insertGap(.lost, item: try find(id).item, detail: "the payload of message \(id) is gone")
        try remove(id)
        report.hollow.append(id)
      } else {
        try verify(id, hasRow: hasRow, &report)
      }
    }
    if ids.count == limit { report.next = ids.last?.id }
    return report
  }

  private func verify(_ id: Int64, hasRow: Bool, _ report: inout VerificationReport) throws(OutboxError) {
    var opened: Result<(envelope: SealedEnvelope, payload: [UInt8]), SealingError>?
    var storedBytes = 0
    try query(
      "SELECT sealed FROM payload WHERE id = ?",
      { statement throws(SQLiteError) in try statement.bind(1, id) }
    ) { row in
      row.withBlob(0) { blob in
        storedBytes = blob.count
        do throws(SealingError) {
          opened = .success(try SealedEnvelope.open(blob, cipher: self.cipher, keys: self.configuration.keys))
        } catch {
          opened = .failure(error)
        }
      }
    }
    switch opened {
    case .success(let content) where content.envelope.item.id == id && content.envelope.outboxID == outboxID:
      let row = hasRow ? try find(id) : nil
      guard row.map({ !content.envelope.describes($0.item) || $0.keyID != content.envelope.keyID }) ?? true else {
        return
      }
      if hasRow { try removeIndex(id) }
      try insertIndex(
        content.envelope, storedBytes: storedBytes, state: row?.state ?? .pending, attempts: row?.item.attempts ?? 0)
      report.reindexed.append(id)
    case .failure(.unknownKey):
      report.locked.append(id)
    default:
      report.unreadable.append(id)
      if hasRow {
        if try find(id).state != .quarantined { try quarantine(id, reason: "the stored bytes were damaged") }
      } else {
        try run("DELETE FROM payload WHERE id = ?") { statement throws(SQLiteError) in try statement.bind(1, id) }
        try insertGap(.lost, item: nil, detail: "message \(id) was damaged on disk")
      }
    }
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
      let payload: [UInt8]
      do throws(OutboxError) {
        payload = try self.payload(of: stored.item)
      } catch {
        guard case .sealing = error else { throw error }
        try quarantine(stored.item.id, reason: "the stored bytes were damaged")
        continue
      }
      try remove(stored.item.id)
      let envelope = SealedEnvelope(outboxID: outboxID, keyID: current.id, item: stored.item)
      let sealed: [UInt8]
      do throws(SealingError) {
        sealed = try envelope.sealed(payload, cipher: cipher, key: current)
      } catch {
        throw .sealing(error, id: stored.item.id)
      }
      try insert(envelope, stored: sealed, state: stored.state, attempts: stored.item.attempts)
    }
    var left = 0
    try query(
      "SELECT count(*) FROM message WHERE key_id <> ? AND state <> 3",
      { statement throws(SQLiteError) in try statement.bind(1, current.id) }, row: { left = Int($0.integer(0)) })
    return left
  }

  /// Messages under one key, quarantined ones included.
  func count(keyID: Int64) throws(OutboxError) -> Int {
    var count = 0
    try query(
      "SELECT count(*) FROM message WHERE key_id = ?",
      { statement throws(SQLiteError) in try statement.bind(1, keyID) }, row: { count = Int($0.integer(0)) })
    return count
  }

  /// The keys under which messages lie.
  func keyIDs() throws(OutboxError) -> [Int64] {
    var ids: [Int64] = []
    try query("SELECT DISTINCT key_id FROM message ORDER BY key_id", { _ in }, row: { ids.append($0.integer(0)) })
    return ids
  }
}
