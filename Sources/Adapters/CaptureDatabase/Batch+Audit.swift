import Audit
import Forwarding
import Provenance
import Receiving
import Storage

// What the records of a batch say of their devices' audit logs, held against what is known.
extension Batch {
  /// Notes every sighting, tells what contradicts, and gives receipts their cosignatures. In a transaction of its own, after
  /// the captures are stored: fails it, the batch comes again, and nothing has been said to any device.
  func witness(_ siteKeys: [String: SealingKey]) throws(DatabaseError) {
    let seen = records.compactMap { row in row.record.sighting.map { (row: row, sighting: $0) } }
    if !seen.isEmpty {
      try lockLogs(of: Set(seen.map { DeviceKey(site: $0.row.key.site, device: $0.row.key.device) }))
      try noteSightings(seen.map { ($0.row.key, $0.sighting) })
      try raiseAlarms(siteKeys)
    }
    try cosign()
  }

  /// Two workers that have two devices of one copied card must not pass each other unseen.
  private func lockLogs(of devices: Set<DeviceKey>) throws(DatabaseError) {
    let places = devices.sorted().map { "audit \($0.site)/\($0.device)" }
    try connection.run(
      """
      SELECT pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended(place, 0) AS key FROM unnest($1::text[]) AS p (place) ORDER BY 1) AS keys
      """, [.texts(places)], "lock what is known of audit logs")
  }

  private func noteSightings(_ seen: [(key: CaptureKey, sighting: AuditSighting)]) throws(DatabaseError) {
    try connection.run(
      """
      INSERT INTO audit_head (site, device, outbox_id, sequence, size, head)
      SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bytea[])
      ON CONFLICT DO NOTHING
      """,
      [
        .texts(seen.map(\.key.site)), .texts(seen.map(\.key.device)), .identifiers(seen.map(\.sighting.outboxID)),
        .integers(seen.map(\.sighting.sequence)), .integers(seen.map { Int64(clamping: $0.sighting.head.size) }),
        .manyBytes(seen.map(\.sighting.head.digest)),
      ], "note where audit logs stood")
  }

  /// Sizes rise with the numbers, so a sighting that contradicts any other contradicts one of its neighbours.
  private func raiseAlarms(_ siteKeys: [String: SealingKey]) throws(DatabaseError) {
    for row in records {
      guard let sighting = row.record.sighting else { continue }
      let owner: [DatabaseValue] = [.text(row.key.site), .text(row.key.device), .identifier(sighting.outboxID)]
      let rows = try connection.run(
        """
        (SELECT sequence, size, head FROM audit_head WHERE site = $1 AND device = $2 AND outbox_id = $3
          AND sequence <= $4 AND NOT (sequence = $4 AND size = $5 AND head = $6) ORDER BY sequence DESC LIMIT 1)
        UNION ALL
        (SELECT sequence, size, head FROM audit_head WHERE site = $1 AND device = $2 AND outbox_id = $3
          AND sequence > $4 ORDER BY sequence LIMIT 1)
        """,
        owner + [
          .integer(sighting.sequence), .integer(Int64(clamping: sighting.head.size)), .bytes(sighting.head.digest),
        ], "compare audit logs")
      for index in 0..<rows.count {
        guard let sequence = rows.integer(index, 0), let size = rows.integer(index, 1), let head = rows.bytes(index, 2)
        else { continue }
        let known = AuditSighting(
          outboxID: sighting.outboxID, sequence: sequence, head: AuditHead(size: UInt64(clamping: size), digest: head))
        guard let alarm = AuditAlarm.between(known, sighting) else { continue }
        try raise(alarm, known, sighting, row, owner, siteKeys)
      }
    }
  }

  /// Once for each outbox and kind: an alert among the device's messages, and a note.
  private func raise(
    _ alarm: AuditAlarm, _ known: AuditSighting, _ sighting: AuditSighting, _ row: RecordRow, _ owner: [DatabaseValue],
    _ siteKeys: [String: SealingKey]
  ) throws(DatabaseError) {
    let fresh = try connection.run(
      """
      INSERT INTO audit_alarm (site, device, outbox_id, code) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
      RETURNING code
      """, owner + [.text(alarm.rawValue)], "note an alarm")
    guard fresh.count > 0, let key = siteKeys[row.key.site] else { return }
    let sentence = alarm.sentence(known, sighting)
    outcomes[row.index].notes.append("\(row.key.site)/\(row.key.device): \(alarm.rawValue): \(sentence)")
    let message = AlertMessage(
      code: alarm.rawValue, severity: .critical, detail: sentence, at: deliveries[row.index].arrivedAt)
    let payload: [UInt8]
    do { payload = try message.encoded() } catch { return }
    let device = DeviceKey(site: row.key.site, device: row.key.device)
    let (kind, identity) = (Delivery.MessageKind.alert.rawValue, "\(alarm.rawValue)-\(sighting.outboxID)")
    try connection.run(
      """
      INSERT INTO message (site, device, kind, identity, sha256, schema, code, severity, key_id, sealed)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
      """,
      [
        .text(device.site), .text(device.device), .text(kind), .text(identity), .bytes(store.digests.sha256(payload)),
        .text(AlertMessage.schema), .text(alarm.rawValue), .text(message.severity.rawValue), .integer(key.id),
        .bytes(try store.keys.seal(payload, Self.associated(device, kind, identity), under: key)),
      ], "store an alert")
  }

  /// The greatest head of each outbox goes into its receipts, unless something contradicts.
  private func cosign() throws(DatabaseError) {
    var heads: [String: AuditHead?] = [:]
    for index in outcomes.indices where !outcomes[index].vouched.isEmpty {
      guard let topics = deliveries[index].topics else { continue }
      for number in outcomes[index].vouched.indices {
        let outboxID = outcomes[index].vouched[number].outboxID
        let place = "\(topics.site)/\(topics.device)/\(outboxID)"
        let head: AuditHead?
        if let known = heads[place] {
          head = known
        } else {
          head = try cosignable(topics, outboxID)
          heads[place] = .some(head)
        }
        outcomes[index].vouched[number].cosignature = head
      }
    }
  }

  private func cosignable(_ topics: TopicSchema, _ outboxID: RandomIdentifier) throws(DatabaseError) -> AuditHead? {
    let rows = try connection.run(
      """
      SELECT size, head FROM audit_head h WHERE site = $1 AND device = $2 AND outbox_id = $3 AND NOT EXISTS (
        SELECT FROM audit_alarm a WHERE a.site = h.site AND a.device = h.device AND a.outbox_id = h.outbox_id)
      ORDER BY sequence DESC LIMIT 1
      """, [.text(topics.site.text), .text(topics.device.text), .identifier(outboxID)], "cosign an audit log")
    guard rows.count > 0, let size = rows.integer(0, 0), let head = rows.bytes(0, 1) else { return nil }
    return AuditHead(size: UInt64(clamping: size), digest: head)
  }
}
