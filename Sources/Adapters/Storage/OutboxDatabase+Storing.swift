import CSQLite
import Forwarding
import Provenance

extension OutboxDatabase {
  /// Stores a capture: its record first, then its images. Only inside `transaction`. Every fault of the capture itself
  /// is found before anything is written.
  func insert(_ capture: NewCapture) throws(OutboxError) -> StoredCapture {
    try refuseDuplicate(capture.captureID)
    let number = CaptureNumber(outboxID: outboxID, sequence: nextSequence)
    let record: [UInt8]
    do {
      record = try capture.record(number)
    } catch {
      throw .record(captureID: capture.captureID, reason: "\(error)")
    }
    guard capture.images.count <= Self.maximumImages else {
      throw .record(
        captureID: capture.captureID, reason: "\(capture.images.count) images; at most \(Self.maximumImages)")
    }
    try refuseTooLarge(record, name: OutboxItem.recordName)
    var suffixes: [String] = []
    for image in capture.images {
      try refuseTooLarge(image.bytes, name: image.name)
      do throws(TopicError) {
        suffixes.append(try TopicSchema.imageSuffix(captureID: capture.captureID, name: image.name))
      } catch {
        throw .invalidTopic(error)
      }
    }
    guard Set(suffixes).count == suffixes.count else {
      throw .record(captureID: capture.captureID, reason: "two images have the same name")
    }
    try admit(capture, recordBytes: record.count)
    let identity = (id: capture.captureID, sequence: number.sequence)
    var ids = [
      try insert(
        .capture, topic: "capture", contentType: "application/json", capture: identity, name: OutboxItem.recordName,
        payload: record, created: capture.created)
    ]
    for (image, suffix) in zip(capture.images, suffixes) {
      ids.append(
        try insert(
          .image, topic: suffix, contentType: image.contentType, capture: identity, name: image.name,
          payload: image.bytes, created: capture.created))
    }
    if let belonging = capture.belonging { try noteTaken(capture, belonging, record) }
    nextSequence += 1
    return StoredCapture(number: number, itemIDs: ids)
  }

  /// Stores an alert, event, reply or health message. Only inside `transaction`.
  func insert(_ message: NewMessage) throws(OutboxError) -> Int64 {
    try refuseTooLarge(message.payload, name: message.topicSuffix)
    if message.deliveryClass == .health { try removeWaitingHealth() }
    try admit(message)
    return try insert(
      message.deliveryClass, topic: message.topicSuffix, contentType: message.contentType, capture: nil,
      name: message.name,
      payload: message.payload, created: message.created)
  }

  private func refuseTooLarge(_ payload: [UInt8], name: String) throws(OutboxError) {
    guard payload.count <= Self.maximumPayloadBytes else {
      throw .payloadTooLarge(name: name, byteCount: payload.count)
    }
  }

  private func refuseDuplicate(_ captureID: RandomIdentifier) throws(OutboxError) {
    var stored = false
    try query(
      "SELECT 1 FROM message WHERE capture_id = ? LIMIT 1",
      { statement throws(SQLiteError) in try statement.bind(1, captureID.bytes) }, row: { _ in stored = true })
    if stored { throw .duplicateCapture(captureID) }
  }

  private func removeWaitingHealth() throws(OutboxError) {
    var ids: [Int64] = []
    try query(
      "SELECT id FROM message WHERE class = \(DeliveryClass.health.rawValue) AND state = 0", { _ in },
      row: { ids.append($0.integer(0)) })
    for id in ids { try remove(id) }
    counters[.health].dropped += ids.count
  }

  private func insert(
    _ deliveryClass: DeliveryClass, topic: String, contentType: String,
    capture: (id: RandomIdentifier, sequence: Int64)?, name: String?, payload: [UInt8], created: Timestamp
  ) throws(OutboxError) -> Int64 {
    let item = OutboxItem(
      id: nextMessage, deliveryClass: deliveryClass, topicSuffix: topic, contentType: contentType,
      captureID: capture?.id, sequence: capture?.sequence, name: name, byteCount: payload.count,
      sha256: digests.sha256(payload), created: created, attempts: 0)
    try insert(item, payload: payload)
    historyInput += item.sha256
    counters[deliveryClass].enqueued += 1
    nextMessage += 1
    return item.id
  }

  /// Writes a message under the id it carries, sealed with the current key.
  private func insert(_ item: OutboxItem, payload: [UInt8]) throws(OutboxError) {
    let key = configuration.keys.current
    let envelope = SealedEnvelope(outboxID: outboxID, keyID: key.id, item: item)
    let stored: [UInt8]
    do throws(SealingError) {
      stored = try envelope.sealed(payload, cipher: cipher, key: key)
    } catch {
      throw .sealing(error, id: item.id)
    }
    try insert(envelope, stored: stored, state: .pending, attempts: 0)
  }

  /// Writes a sealed payload and its place in the index.
  func insert(
    _ envelope: SealedEnvelope, stored: [UInt8], state: DeliveryState, attempts: Int, settled: SettledRow? = nil
  ) throws(OutboxError) {
    do throws(OutboxError) {
      try insertIndex(envelope, storedBytes: stored.count, state: state, attempts: attempts, settled: settled)
      try run("INSERT INTO payload (id, sealed) VALUES (?, ?)") { insert throws(SQLiteError) in
        try insert.bind(1, envelope.item.id)
        try insert.bind(2, stored)
      }
    } catch .database(let error) where error.primaryCode == SQLITE_CONSTRAINT {
      // Something lies under a number that was never given.
      throw .unsound(ids: [envelope.item.id])
    }
  }

  /// Writes the index's row of a payload that is stored already, or about to be.
  func insertIndex(
    _ envelope: SealedEnvelope, storedBytes: Int, state: DeliveryState, attempts: Int, settled: SettledRow? = nil
  ) throws(OutboxError) {
    try bindIndex(
      """
      INSERT INTO message (id, class, state, attempts, length, stored, key_id, capture_id, sequence, name, topic,
        content_type, sha256, created_utc, created_boot, created_monotonic, created_synchronised, settled_boot,
        settled_monotonic, reason)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
      """, envelope, storedBytes, state, attempts, settled)
    accounts.add(storedBytes, to: envelope.item.deliveryClass, state)
  }

  /// Makes an existing row say what its envelope says. What became of it stays when the state still is what it was. The
  /// accounts must be added up afterwards.
  func updateIndex(
    _ envelope: SealedEnvelope, storedBytes: Int, state: DeliveryState, attempts: Int
  ) throws(OutboxError) {
    try bindIndex(
      """
      UPDATE message SET class = ?2, attempts = ?4, length = ?5, stored = ?6, key_id = ?7, capture_id = ?8,
        sequence = ?9, name = ?10, topic = ?11, content_type = ?12, sha256 = ?13, created_utc = ?14, created_boot = ?15,
        created_monotonic = ?16, created_synchronised = ?17,
        settled_boot = CASE WHEN state = ?3 THEN settled_boot END,
        settled_monotonic = CASE WHEN state = ?3 THEN settled_monotonic END,
        reason = CASE WHEN state = ?3 THEN reason END, state = ?3
      WHERE id = ?1
      """, envelope, storedBytes, state, attempts, nil)
  }

  /// When and why a message came to its state.
  struct SettledRow: Equatable {
    var bootID: String?
    var monotonic: Int64?
    var reason: String?
  }

  private func bindIndex(
    _ sql: String, _ envelope: SealedEnvelope, _ storedBytes: Int, _ state: DeliveryState, _ attempts: Int,
    _ settled: SettledRow?
  ) throws(OutboxError) {
    let item = envelope.item
    try run(sql) { insert throws(SQLiteError) in
      try insert.bind(1, item.id)
      try insert.bind(2, item.deliveryClass.rawValue)
      try insert.bind(3, state.rawValue)
      try insert.bind(4, attempts)
      try insert.bind(5, item.byteCount)
      try insert.bind(6, storedBytes)
      try insert.bind(7, envelope.keyID)
      try insert.bind(8, item.captureID?.bytes)
      try insert.bind(9, item.sequence)
      try insert.bind(10, item.name)
      try insert.bind(11, item.topicSuffix)
      try insert.bind(12, item.contentType)
      try insert.bind(13, item.sha256)
      try insert.bind(14, item.created.utcNanoseconds)
      try insert.bind(15, item.created.bootID)
      try insert.bind(16, Int64(bitPattern: item.created.monotonicNanoseconds))
      try insert.bind(17, item.created.synchronised ? 1 : 0)
      guard let settled else { return }
      try insert.bind(18, settled.bootID)
      try insert.bind(19, settled.monotonic)
      try insert.bind(20, settled.reason)
    }
  }
}
