import Forwarding
import Provenance
import Receiving
import Storage

/// One batch of deliveries on its way into the database. Used once.
final class Batch {
  struct ImageRow {
    let key: CaptureKey
    let name: String
    let part: UplinkTopic.Part?
    let sha256: [UInt8]
    let payload: [UInt8]
    /// Its delivery.
    let index: Int
  }

  struct RecordRow {
    let key: CaptureKey
    let record: RecordEnvelope
    let sha256: [UInt8]
    let payload: [UInt8]
    let index: Int
  }

  let deliveries: [Delivery]
  let store: DatabaseStore
  let connection: DatabaseConnection
  var outcomes: [StoreOutcome]
  var records: [RecordRow] = []
  var images: [ImageRow] = []

  init(_ deliveries: [Delivery], _ store: DatabaseStore, _ connection: DatabaseConnection) {
    self.deliveries = deliveries
    self.store = store
    self.connection = connection
    outcomes = deliveries.map { _ in StoreOutcome() }
  }

  func keep() throws(DatabaseError) -> [StoreOutcome] {
    try sort()
    var siteKeys: [String: SealingKey] = [:]
    for delivery in deliveries {
      guard let site = delivery.topics?.site.text, siteKeys[site] == nil else { continue }
      siteKeys[site] = try store.keys.current(site, connection)
    }
    let current = siteKeys
    try connection.transaction("store") { _ throws(DatabaseError) in
      try insertRecords(current)
      try insertImages(current)
      try insertParts(current)
      try insertMessages(current)
      try upsertDevices()
      try setAsideUnknownRecords(current)
    }
    try connection.transaction("complete") { _ throws(DatabaseError) in
      try complete(current)
      try answerBirths()
    }
    try connection.transaction("witness") { _ throws(DatabaseError) in try witness(current) }
    return outcomes
  }

  // MARK: Sorting

  private func sort() throws(DatabaseError) {
    store.budget.beginBatch()
    store.messages.beginBatch()
    for (index, delivery) in deliveries.enumerated() {
      if case .rejected(let rejection) = delivery.content {
        outcomes[index] = StoreOutcome(rejected: delivery.message, rejection)
        continue
      }
      guard let topics = delivery.topics else { continue }
      let payload = delivery.message.payload
      switch delivery.content {
      case .record(let record):
        guard try isWithinBudget(index, topics) else { continue }
        records.append(
          RecordRow(
            key: CaptureKey(topics, record.captureID), record: record, sha256: delivery.sha256, payload: payload,
            index: index))
      case .image(let captureID, let name, let part):
        guard try isWithinBudget(index, topics) else { continue }
        images.append(
          ImageRow(
            key: CaptureKey(topics, captureID), name: name, part: part, sha256: delivery.sha256, payload: payload,
            index: index))
      case .message, .latest:
        guard payload.count <= Receipt.maximumBytes else {
          reject(index, "\(payload.count) bytes; expected at most \(Receipt.maximumBytes)")
          continue
        }
        if case .message = delivery.content { try judgeMessage(index, topics) }
      case .rejected: break
      }
    }
    records.sort { ($0.key, $0.record.sequence) < ($1.key, $1.record.sequence) }
    images.sort { ($0.key, $0.name, $0.part?.index ?? 0) < ($1.key, $1.name, $1.part?.index ?? 0) }
  }

  private func isWithinBudget(_ index: Int, _ topics: TopicSchema) throws(DatabaseError) -> Bool {
    let connection = connection
    let device = DeviceKey(topics)
    let isWithin = try store.budget.take(deliveries[index].message.payload.count, of: device) {
      key throws(DatabaseError) in try Self.incomplete(of: key, connection)
    }
    if !isWithin {
      reject(
        index,
        "this device has more than \(store.limits.incompleteRows) rows or \(store.limits.incompleteBytes >> 20) MB in "
          + "captures that are not complete")
    }
    return isWithin
  }

  /// Messages have no receipt and are kept for good, so a day's are bounded.
  private func judgeMessage(_ index: Int, _ topics: TopicSchema) throws(DatabaseError) {
    let connection = connection
    let isWithin = try store.messages.take(deliveries[index].message.payload.count, of: DeviceKey(topics)) {
      key throws(DatabaseError) in
      let rows = try connection.run(
        """
        SELECT count(*), coalesce(sum(length(sealed)), 0)::bigint FROM message
        WHERE site = $1 AND device = $2 AND received_at > now() - interval '1 day'
        """, [.text(key.site), .text(key.device)], "count a day's messages")
      return DeviceBudget.Usage(rows: rows.integer(0, 0) ?? 0, bytes: rows.integer(0, 1) ?? 0)
    }
    guard !isWithin else { return }
    reject(
      index,
      "this device sent more than \(store.limits.messageRows) messages or \(store.limits.messageBytes >> 20) MB of them "
        + "within a day")
  }

  /// What the device has in captures that are not complete, contents without a record included.
  private static func incomplete(
    of device: DeviceKey, _ connection: DatabaseConnection
  ) throws(DatabaseError) -> DeviceBudget.Usage {
    let rows = try connection.run(
      """
      WITH complete AS MATERIALIZED (
        SELECT capture_id FROM capture WHERE site = $1 AND device = $2 AND complete_at IS NOT NULL),
      waiting AS (
        SELECT length(sealed)::bigint AS bytes FROM capture
          WHERE site = $1 AND device = $2 AND complete_at IS NULL
        UNION ALL SELECT bytes FROM image WHERE site = $1 AND device = $2
          AND capture_id NOT IN (SELECT capture_id FROM complete)
        UNION ALL SELECT bytes FROM image_part WHERE site = $1 AND device = $2)
      SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM waiting
      """, [.text(device.site), .text(device.device)], "count what is incomplete")
    return DeviceBudget.Usage(rows: rows.integer(0, 0) ?? 0, bytes: rows.integer(0, 1) ?? 0)
  }

  func reject(_ index: Int, _ why: String) {
    outcomes[index] = StoreOutcome(rejected: deliveries[index].message, Rejection(why))
  }

  // MARK: First transaction: insert

  private func insertRecords(_ siteKeys: [String: SealingKey]) throws(DatabaseError) {
    guard !records.isEmpty else { return }
    var sealed: [[UInt8]?] = []
    var keyIDs: [Int64?] = []
    for row in records {
      guard let key = siteKeys[row.key.site] else { continue }
      sealed.append(try store.keys.seal(row.payload, row.key.associated(OutboxItem.recordName), under: key))
      keyIDs.append(key.id)
    }
    try connection.run(
      """
      INSERT INTO capture (site, device, outbox_id, sequence, capture_id, schema, patient_ref, session_id, view,
        captured_at, images, sha256, key_id, sealed)
      SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::text[],
        $8::uuid[], $9::text[], $10::timestamptz[], $11::text[], $12::bytea[], $13::bigint[], $14::bytea[])
      ON CONFLICT DO NOTHING
      """,
      [
        .texts(records.map(\.key.site)), .texts(records.map(\.key.device)),
        .identifiers(records.map(\.record.outboxID)), .integers(records.map(\.record.sequence)),
        .identifiers(records.map(\.key.captureID)), .texts(records.map(\.record.schema)),
        .texts(records.map(\.record.patientRef)), .identifiers(records.map(\.record.sessionID)),
        .texts(records.map(\.record.view)), .instants(records.map(\.record.capturedNanoseconds)),
        .texts(records.map { Promise.text(of: $0.record.images) }), .manyBytes(records.map(\.sha256)),
        .integers(keyIDs), .manyBytes(sealed),
      ], "store records")
  }

  private func insertImages(_ siteKeys: [String: SealingKey]) throws(DatabaseError) {
    try insertWhole(
      images.filter { $0.part == nil }.map { ($0.key, $0.name, $0.sha256, $0.payload) }, siteKeys)
  }

  func insertWhole(
    _ rows: [(key: CaptureKey, name: String, sha256: [UInt8], bytes: [UInt8])], _ siteKeys: [String: SealingKey]
  ) throws(DatabaseError) {
    guard !rows.isEmpty else { return }
    var sealed: [[UInt8]?] = []
    var keyIDs: [Int64?] = []
    for row in rows {
      guard let key = siteKeys[row.key.site] else { continue }
      sealed.append(try store.keys.seal(row.bytes, row.key.associated(row.name), under: key))
      keyIDs.append(key.id)
    }
    try connection.run(
      """
      INSERT INTO image (site, device, capture_id, name, sha256, bytes, key_id, sealed)
      SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::bytea[], $6::bigint[], $7::bigint[],
        $8::bytea[])
      ON CONFLICT DO NOTHING
      """,
      [
        .texts(rows.map(\.key.site)), .texts(rows.map(\.key.device)), .identifiers(rows.map(\.key.captureID)),
        .texts(rows.map(\.name)), .manyBytes(rows.map(\.sha256)), .integers(rows.map { Int64($0.bytes.count) }),
        .integers(keyIDs), .manyBytes(sealed),
      ], "store images")
  }

  private func insertParts(_ siteKeys: [String: SealingKey]) throws(DatabaseError) {
    let rows = images.filter { $0.part != nil }
    guard !rows.isEmpty else { return }
    var sealed: [[UInt8]?] = []
    var keyIDs: [Int64?] = []
    for row in rows {
      guard let key = siteKeys[row.key.site], let part = row.part else { continue }
      sealed.append(
        try store.keys.seal(
          row.payload, row.key.associated(Self.partName(row.name, part.index, part.count)), under: key))
      keyIDs.append(key.id)
    }
    try connection.run(
      """
      INSERT INTO image_part (site, device, capture_id, name, parts, part, bytes, key_id, sealed)
      SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bytea[])
      ON CONFLICT DO NOTHING
      """,
      [
        .texts(rows.map(\.key.site)), .texts(rows.map(\.key.device)), .identifiers(rows.map(\.key.captureID)),
        .texts(rows.map(\.name)), .integers(rows.map { Int64($0.part?.count ?? 1) }),
        .integers(rows.map { Int64($0.part?.index ?? 1) }), .integers(rows.map { Int64($0.payload.count) }),
        .integers(keyIDs), .manyBytes(sealed),
      ], "store parts of images")
  }

  static func partName(_ name: String, _ part: Int, _ parts: Int) -> String { "\(name)#\(part)-of-\(parts)" }
}

/// What a record promises, as the column `images` holds it.
struct Promise: Equatable {
  let name: String
  let sha256: String
  let bytes: Int

  static func text(of images: [RecordEnvelope.Image]) -> String {
    images.map { "\($0.name) \($0.sha256.lowercased()) \($0.bytes)\n" }.joined()
  }

  static func list(_ text: String) -> [Promise] {
    text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ").map(String.init)
      guard words.count == 3, let bytes = Int(words[2]) else { return nil }
      return Promise(name: words[0], sha256: words[1], bytes: bytes)
    }
  }
}
