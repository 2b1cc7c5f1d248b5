import CSQLite
import Forwarding
import Provenance

/// A message with the state it is in, as the tools show it.
package struct StoredItem: Sendable, Equatable {
  package let item: OutboxItem
  package let state: DeliveryState
  package let keyID: Int64
  /// Why it is quarantined.
  package let reason: String?
}

extension OutboxDatabase {
  private static let columns = """
    id, class, state, attempts, length, key_id, capture_id, sequence, name, topic, content_type, sha256, created_utc,
    created_boot, created_monotonic, created_synchronised, reason, stored,
    settled_boot IS NOT NULL AND settled_monotonic IS NOT NULL
    """

  /// The waiting messages of a class in their order, from behind `id` on. Those whose key is not loaded are passed over:
  /// they wait for it, and hold nothing up that can be sent.
  ///
  /// Each row is held against the beginning of its sealed envelope: delivery goes by what is said here.
  ///
  /// - Throws: `.unsound` with every row of the look that is wrong.
  func pending(_ deliveryClass: DeliveryClass, after id: Int64, limit: Int) throws(OutboxError) -> [OutboxItem] {
    var items: [OutboxItem] = []
    var unsound: [Int64] = []
    var beginnings = EnvelopeBeginnings(connection)
    try query(
      "SELECT \(Self.columns) FROM message WHERE class = ? AND state = 0 AND id > ? AND \(opens) ORDER BY id LIMIT ?",
      { statement throws(SQLiteError) in
        try statement.bind(1, deliveryClass.rawValue)
        try statement.bind(2, id)
        try statement.bind(3, limit)
      },
      row: { row throws(OutboxError) in
        guard let found = IndexRow(row), try beginnings.agree(with: found, in: self.outboxID) else {
          unsound.append(row.integer(0))
          return
        }
        items.append(found.stored.item)
      })
    if !unsound.isEmpty { throw .unsound(ids: unsound) }
    return items
  }

  /// Undelivered messages whose key is not loaded.
  func countLocked() throws(OutboxError) -> Int {
    var count = 0
    try query(
      "SELECT count(*) FROM message WHERE state IN (0, 1) AND NOT \(opens)", { _ in },
      row: { count = Int(clamping: $0.integer(0)) })
    return count
  }

  /// The condition that a message's key is loaded.
  var opens: String {
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

  /// Records, and the events that may tell of a session's end, in falling order of their ids, from below `id` on.
  func sessionMessages(before id: Int64, limit: Int) throws(OutboxError) -> [StoredItem] {
    var items: [StoredItem] = []
    try query(
      "SELECT \(Self.columns) FROM message WHERE id < ? AND class IN (?, ?) ORDER BY id DESC LIMIT ?",
      { statement throws(SQLiteError) in
        try statement.bind(1, id)
        try statement.bind(2, DeliveryClass.capture.rawValue)
        try statement.bind(3, DeliveryClass.event.rawValue)
        try statement.bind(4, limit)
      }, row: { row throws(OutboxError) in items.append(try self.stored(row)) })
    return items
  }

  /// Corrections in order of arrival, whatever became of them, from behind `id` on.
  func correctionItems(after id: Int64, limit: Int) throws(OutboxError) -> [StoredItem] {
    var items: [StoredItem] = []
    try query(
      "SELECT \(Self.columns) FROM message WHERE id > ? AND \(Self.isCorrection) ORDER BY id LIMIT ?",
      { statement throws(SQLiteError) in
        try statement.bind(1, id)
        try statement.bind(2, limit)
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

  /// What a row says, when it can be. For a tool, which mends nothing, the envelope speaks in place of a row that cannot.
  private func stored(_ row: SQLiteStatement) throws(OutboxError) -> StoredItem {
    if let found = IndexRow(row) { return found.stored }
    let id = row.integer(0)
    guard role == .tool, let envelope = try envelope(of: id) else { throw .unsound(ids: [id]) }
    return StoredItem(
      item: envelope.item, state: DeliveryState(rawValue: Int(clamping: row.integer(2))) ?? .pending,
      keyID: envelope.keyID, reason: row.optionalText(16))
  }

  /// A message's row of the index, nil when there is none.
  ///
  /// - Returns: the row, nil inside when it holds what cannot be, and what of its state still counts.
  func indexRow(_ id: Int64) throws(OutboxError) -> (sound: IndexRow?, state: DeliveryState)? {
    var found: (sound: IndexRow?, state: DeliveryState)?
    try query(
      "SELECT \(Self.columns) FROM message WHERE id = ?",
      { statement throws(SQLiteError) in try statement.bind(1, id) }
    ) { row in found = (IndexRow(row), IndexRow.state(row) ?? .pending) }
    return found
  }
}

/// A row of the index that says nothing impossible. Whether it says what its envelope says is another question.
struct IndexRow {
  /// Refusals that are counted; more say nothing new.
  static let maximumAttempts: Int64 = 1_000_000

  let stored: StoredItem
  /// Length of the sealed payload with its description.
  let storedBytes: Int

  /// nil when a number is out of its range or what must stand together does not. The columns are those of
  /// `OutboxDatabase.columns`, in their order.
  init?(_ row: SQLiteStatement) {
    let id = row.integer(0)
    let attempts = row.integer(3)
    let length = row.integer(4)
    let bytes = row.integer(17)
    let sequence = row.optionalInteger(7)
    let captureID = row.isNull(6) ? nil : RandomIdentifier(bytes: row.blob(6))
    let sha256 = row.blob(11)
    guard OutboxItem.isNumber(id), let state = Self.state(row),
      let deliveryClass = DeliveryClass(rawValue: Int(clamping: row.integer(1))),
      (0...Self.maximumAttempts).contains(attempts), (0...Int64(OutboxItem.maximumBytes)).contains(length),
      (length...length + Int64(OutboxDatabase.envelopeBytes)).contains(bytes),
      (captureID == nil) == row.isNull(6), (captureID == nil) == (sequence == nil),
      sequence.map(OutboxItem.isNumber) ?? true, sha256.count == 32, (0...1).contains(row.integer(15))
    else { return nil }
    let item = OutboxItem(
      id: id, deliveryClass: deliveryClass, topicSuffix: row.text(9), contentType: row.text(10),
      captureID: captureID, sequence: sequence, name: row.optionalText(8), byteCount: Int(length), sha256: sha256,
      created: Timestamp(
        utcNanoseconds: row.integer(12), bootID: row.text(13),
        monotonicNanoseconds: UInt64(bitPattern: row.integer(14)), synchronised: row.integer(15) != 0),
      attempts: Int(attempts))
    stored = StoredItem(item: item, state: state, keyID: row.integer(5), reason: row.optionalText(16))
    storedBytes = Int(bytes)
  }

  /// The state is the index's own, so it has witnesses: what is delivered says when, what is set aside says why. One
  /// that lacks its witness is nil: better sent twice, which the receiver knows by its key, than never.
  static func state(_ row: SQLiteStatement) -> DeliveryState? {
    guard let state = DeliveryState(rawValue: Int(clamping: row.integer(2))) else { return nil }
    switch state {
    case .pending, .awaitingReceipt: return state
    case .delivered: return row.integer(18) != 0 && row.isNull(16) ? state : nil
    case .quarantined: return row.isNull(16) ? nil : state
    }
  }
}

/// Holds rows of the index against the beginnings of their sealed envelopes, without opening them.
struct EnvelopeBeginnings: ~Copyable {
  private var blobs: BlobBeginnings
  private var bytes = [UInt8](repeating: 0, count: SealedEnvelope.maximumDescriptionBytes)

  init(_ connection: SQLiteConnection) {
    blobs = BlobBeginnings(of: "sealed", in: "payload", on: connection)
  }

  /// Whether the envelope carries the very description that the row gives. An envelope that lies may agree; opening it
  /// tells.
  mutating func agree(with row: IndexRow, in outboxID: RandomIdentifier) throws(OutboxError) -> Bool {
    let item = row.stored.item
    guard let found = try read(item.id), found.length == row.storedBytes,
      let description = SealedEnvelope(outboxID: outboxID, keyID: row.stored.keyID, item: item).description
    else { return false }
    return found.length == description.count + item.byteCount + PayloadCipher.overheadBytes
      && found.filled >= description.count && description.elementsEqual(bytes[..<description.count])
  }

  /// The description at the beginning of a payload and its length; nil when there is none. Nothing proves it yet.
  mutating func envelope(of id: Int64) throws(OutboxError) -> SealedEnvelope? {
    guard let found = try read(id) else { return nil }
    return bytes.withUnsafeBytes { SealedEnvelope(stored: UnsafeRawBufferPointer(rebasing: $0[..<found.filled])) }
  }

  private mutating func read(_ id: Int64) throws(OutboxError) -> (length: Int, filled: Int)? {
    do throws(SQLiteError) {
      return try blobs.read(row: id, into: &bytes)
    } catch {
      throw OutboxError(error)
    }
  }
}
