import CSQLite
import Forwarding
import Provenance

/// A message with the state it is in, as the tools show it.
package struct StoredItem: Sendable, Equatable {
  package let item: OutboxItem
  package let state: DeliveryState
  package let keyID: Int64
  /// Why it is quarantined; of what waits, how it has left this device before (`HandOver`).
  package let reason: String?
}

extension OutboxDatabase {
  private static let columns = """
    id, class, state, attempts, length, key_id, capture_id, sequence, name, topic, content_type, sha256, created_utc,
    created_boot, created_monotonic, created_synchronised, reason
    """

  /// The waiting messages of a class in their order, from behind `id` on. Those whose key is not loaded are passed over:
  /// they wait for it, and hold nothing up that can be sent.
  func pending(_ deliveryClass: DeliveryClass, after id: Int64, limit: Int) throws(OutboxError) -> [OutboxItem] {
    var items: [OutboxItem] = []
    try query(
      "SELECT \(Self.columns) FROM message WHERE class = ? AND state = 0 AND id > ? AND \(opens) ORDER BY id LIMIT ?",
      { statement throws(SQLiteError) in
        try statement.bind(1, deliveryClass.rawValue)
        try statement.bind(2, id)
        try statement.bind(3, limit)
      }, row: { row throws(OutboxError) in items.append(try self.stored(row).item) })
    return items
  }

  /// Undelivered messages whose key is not loaded.
  func countLocked() throws(OutboxError) -> Int {
    var count = 0
    try query(
      "SELECT count(*) FROM message WHERE state IN (0, 1) AND NOT \(opens)", { _ in },
      row: { count = Int($0.integer(0)) })
    return count
  }

  /// The condition that a message's key is loaded.
  private var opens: String {
    "key_id IN (\(configuration.keys.ids.sorted().map(String.init).joined(separator: ", ")))"
  }

  /// When the oldest undelivered message of each class was stored.
  func oldest() throws(OutboxError) -> [DeliveryClass: Timestamp] {
    var oldest: [DeliveryClass: Timestamp] = [:]
    for deliveryClass in DeliveryClass.allCases where accounts.backlog(deliveryClass).rows > 0 {
      try query(
        """
        SELECT \(Self.columns) FROM message WHERE id = min(
          ifnull((SELECT min(id) FROM message WHERE class = ?1 AND state = 0), \(Int64.max)),
          ifnull((SELECT min(id) FROM message WHERE state = 1 AND class = ?1), \(Int64.max)))
        """,
        { statement throws(SQLiteError) in try statement.bind(1, deliveryClass.rawValue) },
        row: { row throws(OutboxError) in oldest[deliveryClass] = try self.stored(row).item.created })
    }
    return oldest
  }

  /// Messages of any state in order of arrival, from behind `id` on.
  func list(after id: Int64, limit: Int) throws(OutboxError) -> [StoredItem] {
    var items: [StoredItem] = []
    try query(
      "SELECT \(Self.columns) FROM message WHERE id > ? ORDER BY id LIMIT ?",
      { statement throws(SQLiteError) in
        try statement.bind(1, id)
        try statement.bind(2, limit)
      }, row: { row throws(OutboxError) in items.append(try self.stored(row)) })
    return items
  }

  /// Messages under one key, quarantined ones excepted.
  func list(keyID: Int64, limit: Int) throws(OutboxError) -> [StoredItem] {
    var items: [StoredItem] = []
    try query(
      "SELECT \(Self.columns) FROM message WHERE key_id = ? AND state <> 3 ORDER BY id LIMIT ?",
      { statement throws(SQLiteError) in
        try statement.bind(1, keyID)
        try statement.bind(2, max(0, limit))
      }, row: { row throws(OutboxError) in items.append(try self.stored(row)) })
    return items
  }

  /// Records of captures in falling order of their ids, from below `id` on, quarantined ones excepted.
  func captureRecords(before id: Int64, limit: Int) throws(OutboxError) -> [StoredItem] {
    var items: [StoredItem] = []
    try query(
      "SELECT \(Self.columns) FROM message WHERE id < ? AND class = ? AND state <> 3 ORDER BY id DESC LIMIT ?",
      { statement throws(SQLiteError) in
        try statement.bind(1, id)
        try statement.bind(2, DeliveryClass.capture.rawValue)
        try statement.bind(3, limit)
      }, row: { row throws(OutboxError) in items.append(try self.stored(row)) })
    return items
  }

  func find(_ id: Int64) throws(OutboxError) -> StoredItem {
    var found: StoredItem?
    try query(
      "SELECT \(Self.columns) FROM message WHERE id = ?",
      { statement throws(SQLiteError) in try statement.bind(1, id) },
      row: { row throws(OutboxError) in found = try self.stored(row) })
    guard let found else { throw .missing(id: id) }
    return found
  }

  /// The record and images of a capture, in their order.
  func find(captureID: RandomIdentifier) throws(OutboxError) -> [StoredItem] {
    var items: [StoredItem] = []
    try query(
      "SELECT \(Self.columns) FROM message WHERE capture_id = ? ORDER BY id",
      { statement throws(SQLiteError) in try statement.bind(1, captureID.bytes) },
      row: { row throws(OutboxError) in items.append(try self.stored(row)) })
    return items
  }

  /// The payloads of messages as the index described them, under one look at the database: its locks are taken once and
  /// not for each message. Damage of the file is thrown; what is wrong with one message is that one's result.
  func payloads(of items: [OutboxItem]) throws(OutboxError) -> [Result<[UInt8], OutboxError>] {
    try execute("BEGIN")
    var results: [Result<[UInt8], OutboxError>] = []
    results.reserveCapacity(items.count)
    var damage: OutboxError?
    for item in items where damage == nil {
      do throws(OutboxError) {
        results.append(.success(try payload(of: item)))
      } catch {
        if error.damage != nil { damage = error }
        results.append(.failure(error))
      }
    }
    // After some errors SQLite has ended the transaction by itself.
    if connection.isInTransaction { try execute("COMMIT") }
    if let damage { throw damage }
    return results
  }

  /// The payload in the clear; `.missing` when the message is gone. Throws `.sealing(.notAuthentic)` when a bit of it or
  /// of its description changed, or when the index describes another message than the payload does.
  func payload(of item: OutboxItem) throws(OutboxError) -> [UInt8] {
    var payload: [UInt8]?
    try query(
      "SELECT sealed FROM payload WHERE id = ?",
      { statement throws(SQLiteError) in try statement.bind(1, item.id) }
    ) { row throws(OutboxError) in
      do throws(SealingError) {
        payload = try row.withBlob(0) { blob throws(SealingError) in
          try SealedEnvelope.open(
            blob, of: item, in: self.outboxID, cipher: self.cipher, keys: self.configuration.keys)
        }
      } catch {
        throw .sealing(error, id: item.id)
      }
    }
    if let payload { return payload }
    _ = try find(item.id)
    // An index row without its payload.
    throw .sealing(.notAuthentic, id: item.id)
  }

  private func stored(_ row: SQLiteStatement) throws(OutboxError) -> StoredItem {
    let id = row.integer(0)
    guard let deliveryClass = DeliveryClass(rawValue: Int(row.integer(1))),
      let state = DeliveryState(rawValue: Int(row.integer(2)))
    else {
      throw .database(
        SQLiteError(
          code: SQLITE_CORRUPT, path: connection.path, operation: "read message \(id)",
          message: "class \(row.integer(1)) or state \(row.integer(2)) does not exist"))
    }
    let item = OutboxItem(
      id: id, deliveryClass: deliveryClass, topicSuffix: row.text(9), contentType: row.text(10),
      captureID: row.isNull(6) ? nil : RandomIdentifier(bytes: row.blob(6)), sequence: row.optionalInteger(7),
      name: row.optionalText(8), byteCount: Int(row.integer(4)), sha256: row.blob(11),
      created: Timestamp(
        utcNanoseconds: row.integer(12), bootID: row.text(13),
        monotonicNanoseconds: UInt64(bitPattern: row.integer(14)), synchronised: row.integer(15) != 0),
      attempts: Int(row.integer(3)))
    return StoredItem(item: item, state: state, keyID: row.integer(5), reason: row.optionalText(16))
  }
}
