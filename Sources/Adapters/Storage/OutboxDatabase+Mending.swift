import CSQLite
import Forwarding
import Provenance

/// The index of the outbox is a cache, the sealed envelope is the truth: a row that says something else than its
/// envelope, or something impossible, is made again from it. What cannot be is told in a gap record.
extension OutboxDatabase {
  /// Rows looked at in one transaction.
  static let mendingSlice = 256

  /// Messages whose row of the index cannot be, at most `mendingSlice`. Reads the whole index, but no payload: that a
  /// possible row says what its envelope says is looked at by `pending`, and in time by `verify`.
  func impossibleRows() throws(OutboxError) -> [Int64] {
    var ids: [Int64] = []
    try query(
      """
      SELECT id FROM message WHERE id NOT BETWEEN 1 AND ?1 - 1
        OR class NOT BETWEEN 0 AND \(DeliveryClass.allCases.count - 1)
        OR state NOT BETWEEN 0 AND \(DeliveryState.allCases.count - 1)
        OR attempts NOT BETWEEN 0 AND \(IndexRow.maximumAttempts)
        OR length NOT BETWEEN 0 AND \(OutboxItem.maximumBytes)
        OR stored NOT BETWEEN length AND length + \(Self.envelopeBytes)
        OR (capture_id IS NULL) <> (sequence IS NULL) OR length(capture_id) <> 16
        OR sequence NOT BETWEEN 1 AND \(OutboxItem.largestNumber) OR length(sha256) <> 32
        OR created_synchronised NOT BETWEEN 0 AND 1
        OR (state = 2 AND (settled_boot IS NULL OR settled_monotonic IS NULL OR reason IS NOT NULL))
        OR (state = 3 AND reason IS NULL)
      UNION SELECT id FROM payload WHERE id NOT BETWEEN 1 AND ?1 - 1
      LIMIT \(Self.mendingSlice)
      """,
      { statement throws(SQLiteError) in try statement.bind(1, nextMessage) }, row: { ids.append($0.integer(0)) })
    return ids
  }

  /// Undelivered messages whose row names a key that is not loaded, while the envelope names another. Those that truly
  /// wait for their key are left alone.
  func rowsWithAWrongKey() throws(OutboxError) -> [Int64] {
    var ids: [Int64] = []
    var beginnings = EnvelopeBeginnings(connection)
    try query("SELECT id, key_id FROM message WHERE state IN (0, 1) AND NOT \(opens)", { _ in }) {
      row throws(OutboxError) in
      guard ids.count < Self.mendingSlice, let envelope = try beginnings.envelope(of: row.integer(0)),
        envelope.keyID != row.integer(1)
      else { return }
      ids.append(row.integer(0))
    }
    return ids
  }

  /// Payloads that no row speaks of, at most `mendingSlice`. Looks only where the ids of the index leave a hole, so the
  /// payloads' pages are not read.
  func payloadsWithoutRow() throws(OutboxError) -> [Int64] {
    var ids: [Int64] = []
    try query(
      """
      SELECT payload.id FROM
        (SELECT id AS low, lead(id, 1, ?1) OVER (ORDER BY id) AS high
          FROM (SELECT 0 AS id UNION ALL SELECT id FROM message)) AS hole
        CROSS JOIN payload ON payload.id > hole.low AND payload.id < hole.high
      WHERE hole.high > hole.low + 1 LIMIT \(Self.mendingSlice)
      """,
      { statement throws(SQLiteError) in try statement.bind(1, nextMessage) }, row: { ids.append($0.integer(0)) })
    return ids
  }

  /// Sets these rows right. Only inside `transaction`.
  func mend(_ ids: [Int64], _ report: inout VerificationReport) throws(OutboxError) {
    let before = connection.changes
    var hollow: [Int64] = []
    for id in ids where try !mend(id, &report) { hollow.append(id) }
    if !hollow.isEmpty {
      let adopted = try adoptOrphans(&report)
      for id in hollow { try settleHollow(id, adopted: adopted, &report) }
    }
    if connection.changes != before { try addUp() }
  }

  /// What a payload turned out to be.
  private enum Opened {
    case whole(SealedEnvelope)
    /// Its key is not loaded; what it says of itself is not proven.
    case locked(SealedEnvelope?)
    case damaged(SealedEnvelope?)
  }

  private func open(_ id: Int64) throws(OutboxError) -> (content: Opened, storedBytes: Int)? {
    var opened: (content: Opened, storedBytes: Int)?
    try query("SELECT sealed FROM payload WHERE id = ?", { row throws(SQLiteError) in try row.bind(1, id) }) { row in
      row.withBlob(0) { blob in
        do throws(SealingError) {
          let content = try SealedEnvelope.open(blob, cipher: self.cipher, keys: self.configuration.keys)
          opened = (.whole(content.envelope), blob.count)
        } catch .unknownKey {
          opened = (.locked(SealedEnvelope(stored: blob)), blob.count)
        } catch {
          opened = (.damaged(SealedEnvelope(stored: blob)), blob.count)
        }
      }
    }
    return opened
  }

  /// False when the message has no payload.
  private func mend(_ id: Int64, _ report: inout VerificationReport) throws(OutboxError) -> Bool {
    guard let row = try indexRow(id) else {
      _ = try adopt(id, &report)
      return true
    }
    guard let (content, storedBytes) = try open(id) else { return false }
    switch content {
    case .whole(let envelope) where belongs(envelope, to: id):
      // It was given, whatever the counter says.
      nextMessage = max(nextMessage, id + 1)
      try rewrite(row.sound, state: row.state, from: envelope, storedBytes, &report)
    case .whole(let envelope) where envelope.outboxID == outboxID && OutboxItem.isNumber(envelope.item.id):
      // Another message's payload under this one's id.
      try move(payload: id, to: envelope, storedBytes, &report)
      return false
    case .locked where try heal(id, by: row.sound), .damaged where try heal(id, by: row.sound):
      report.reindexed.append(id)
    case .locked(let envelope?) where belongs(envelope, to: id):
      report.locked.append(id)
      try rewrite(row.sound, state: row.state, from: envelope, storedBytes, &report)
    case .locked where row.sound != nil:
      report.locked.append(id)
    case .whole, .locked, .damaged:
      try setAside(id, row, content, storedBytes, &report)
    }
    return true
  }

  /// Gives a payload whose description was damaged the one that its row remembers, when the seal proves that one.
  private func heal(_ id: Int64, by row: IndexRow?) throws(OutboxError) -> Bool {
    guard let row, configuration.keys.holds(id: row.stored.keyID),
      let description = SealedEnvelope(outboxID: outboxID, keyID: row.stored.keyID, item: row.stored.item).description
    else { return false }
    var healed: [UInt8]?
    try query("SELECT sealed FROM payload WHERE id = ?", { row throws(SQLiteError) in try row.bind(1, id) }) { found in
      found.withBlob(0) { blob in
        guard blob.count == row.storedBytes,
          blob.count == description.count + row.stored.item.byteCount + PayloadCipher.overheadBytes
        else { return }
        do throws(SealingError) {
          let sealed = UnsafeRawBufferPointer(rebasing: blob[description.count...])
          let key = try self.configuration.keys.key(id: row.stored.keyID)
          _ = try self.cipher.open(sealed, associatedData: description, key: key)
          healed = description + Array(sealed)
        } catch {
          // The seal does not prove it.
        }
      }
    }
    guard let healed else { return false }
    try run("UPDATE payload SET sealed = ? WHERE id = ?") { update throws(SQLiteError) in
      try update.bind(1, healed)
      try update.bind(2, id)
    }
    return true
  }

  private func belongs(_ envelope: SealedEnvelope, to id: Int64) -> Bool {
    envelope.item.id == id && envelope.outboxID == outboxID
  }

  /// Makes a row say what its envelope says; one that does so already stays as it is.
  private func rewrite(
    _ row: IndexRow?, state: DeliveryState, from envelope: SealedEnvelope, _ storedBytes: Int,
    _ report: inout VerificationReport
  ) throws(OutboxError) {
    if let row, envelope.describes(row.stored.item), row.stored.keyID == envelope.keyID, row.storedBytes == storedBytes
    {
      return
    }
    try updateIndex(envelope, storedBytes: storedBytes, state: state, attempts: row?.stored.item.attempts ?? 0)
    report.reindexed.append(envelope.item.id)
  }

  /// The payload cannot be opened and never will be.
  private func setAside(
    _ id: Int64, _ row: (sound: IndexRow?, state: DeliveryState), _ content: Opened, _ storedBytes: Int,
    _ report: inout VerificationReport
  ) throws(OutboxError) {
    report.unreadable.append(id)
    if row.sound == nil {
      guard case .damaged(let envelope?) = content, belongs(envelope, to: id) else {
        // Neither the row nor the envelope says anything that could be kept.
        try removeRowAndPayload(id)
        return try insertGap(.lost, item: nil, detail: "message \(id) was damaged on disk")
      }
      try updateIndex(envelope, storedBytes: storedBytes, state: row.state, attempts: 0)
    }
    // What is delivered has reached its goal.
    if row.state != .quarantined && row.state != .delivered {
      try quarantine(id, reason: "the stored bytes were damaged")
    }
  }

  /// Puts a payload back under the id that its envelope proves.
  private func move(
    payload id: Int64, to envelope: SealedEnvelope, _ storedBytes: Int, _ report: inout VerificationReport
  ) throws(OutboxError) {
    let target = envelope.item.id
    guard try open(target) == nil else {
      // It is there already; this one is a copy.
      return try run("DELETE FROM payload WHERE id = ?") { row throws(SQLiteError) in try row.bind(1, id) }
    }
    try run("UPDATE payload SET id = ? WHERE id = ?") { row throws(SQLiteError) in
      try row.bind(1, target)
      try row.bind(2, id)
    }
    if let row = try indexRow(target) {
      try rewrite(row.sound, state: row.state, from: envelope, storedBytes, &report)
    } else {
      try insertIndex(envelope, storedBytes: storedBytes, state: .pending, attempts: 0)
    }
    if report.reindexed.last != target { report.reindexed.append(target) }
  }

  /// Gives payloads that no row speaks of their rows; reads the beginnings of all payloads' pages.
  ///
  /// - Returns: the hashes of what has its row again.
  private func adoptOrphans(_ report: inout VerificationReport) throws(OutboxError) -> Set<[UInt8]> {
    var ids: [Int64] = []
    try query(
      "SELECT id FROM payload WHERE id NOT IN (SELECT id FROM message) LIMIT 10000", { _ in },
      row: { ids.append($0.integer(0)) })
    var adopted: Set<[UInt8]> = []
    for id in ids {
      if let envelope = try adopt(id, &report) { adopted.insert(envelope.item.sha256) }
    }
    return adopted
  }

  /// Gives a payload without a row one; one that cannot be opened is lost, and told of.
  private func adopt(_ id: Int64, _ report: inout VerificationReport) throws(OutboxError) -> SealedEnvelope? {
    guard let (content, storedBytes) = try open(id) else { return nil }
    switch content {
    case .whole(let envelope) where envelope.outboxID == outboxID && OutboxItem.isNumber(envelope.item.id):
      if envelope.item.id == id {
        try insertIndex(envelope, storedBytes: storedBytes, state: .pending, attempts: 0)
        report.reindexed.append(id)
      } else {
        try move(payload: id, to: envelope, storedBytes, &report)
      }
      return envelope
    case .locked(let envelope?) where belongs(envelope, to: id):
      try insertIndex(envelope, storedBytes: storedBytes, state: .pending, attempts: 0)
      report.locked.append(id)
      report.reindexed.append(id)
      return envelope
    case .whole, .locked, .damaged:
      report.unreadable.append(id)
      try run("DELETE FROM payload WHERE id = ?") { row throws(SQLiteError) in try row.bind(1, id) }
      try insertGap(.lost, item: nil, detail: "message \(id) was damaged on disk")
      return nil
    }
  }

  /// Removes a row without a payload. It is the ghost of a message whose row lost its id, or the message is lost.
  private func settleHollow(
    _ id: Int64, adopted: Set<[UInt8]>, _ report: inout VerificationReport
  ) throws(OutboxError) {
    guard let row = try indexRow(id), try open(id) == nil else { return }
    var isGhost = false
    try query(
      """
      SELECT sha256, (SELECT count(*) FROM message AS other JOIN payload ON payload.id = other.id
        WHERE other.capture_id = message.capture_id AND other.name = message.name AND other.id <> message.id)
      FROM message WHERE id = ?
      """,
      { statement throws(SQLiteError) in try statement.bind(1, id) }
    ) { isGhost = adopted.contains($0.blob(0)) || $0.integer(1) > 0 }
    try removeRowAndPayload(id)
    if isGhost { return }
    report.hollow.append(id)
    if row.state == .delivered { return }
    try insertGap(.lost, item: row.sound?.stored.item, detail: "the payload of message \(id) is gone")
  }

  /// Whatever the accounts say of it; they are added up again afterwards.
  private func removeRowAndPayload(_ id: Int64) throws(OutboxError) {
    for table in ["message", "payload"] {
      try run("DELETE FROM \(table) WHERE id = ?") { row throws(SQLiteError) in try row.bind(1, id) }
    }
  }

  /// Makes sure that a row agrees with its envelope before something is concluded from it.
  func requireAgreement(of id: Int64) throws(OutboxError) {
    var beginnings = EnvelopeBeginnings(connection)
    guard let row = try indexRow(id)?.sound, try beginnings.agree(with: row, in: outboxID) else {
      throw .unsound(ids: [id])
    }
  }

  /// The description at the beginning of a message's payload; nothing proves it yet.
  func envelope(of id: Int64) throws(OutboxError) -> SealedEnvelope? {
    var beginnings = EnvelopeBeginnings(connection)
    return try beginnings.envelope(of: id)
  }
}

extension OutboxItem {
  /// Whether an id or sequence number can be one.
  static func isNumber(_ number: Int64) -> Bool { (1...largestNumber).contains(number) }
}
