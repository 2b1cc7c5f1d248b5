import Forwarding
import FoundationEssentials
import Provenance
import Receiving
import Storage

// Alerts, events, replies; the newest status and health; answers to births.
extension Batch {
  /// What of a message is searched for.
  private struct Heading: Decodable {
    var schema: String?
    var code: String?
    var severity: String?
    var id: String?
    var name: String?
    var state: String?
  }

  func insertMessages(_ siteKeys: [String: SealingKey]) throws(DatabaseError) {
    var rows: [(device: DeviceKey, kind: String, identity: String, heading: Heading, index: Int)] = []
    for (index, delivery) in deliveries.enumerated() where outcomes[index].isKept {
      guard case .message(let kind) = delivery.content, let topics = delivery.topics else { continue }
      rows.append((DeviceKey(topics), kind.rawValue, delivery.identity, Self.heading(delivery.message.payload), index))
    }
    guard !rows.isEmpty else { return }
    rows.sort { ($0.device, $0.kind, $0.identity) < ($1.device, $1.kind, $1.identity) }
    var sealed: [[UInt8]?] = []
    var keyIDs: [Int64?] = []
    for row in rows {
      guard let key = siteKeys[row.device.site] else { continue }
      sealed.append(
        try store.keys.seal(
          deliveries[row.index].message.payload, Self.associated(row.device, row.kind, row.identity), under: key))
      keyIDs.append(key.id)
    }
    try connection.run(
      """
      INSERT INTO message (site, device, kind, identity, sha256, schema, code, severity, key_id, sealed)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[],
        $8::text[], $9::bigint[], $10::bytea[])
      ON CONFLICT DO NOTHING
      """,
      [
        .texts(rows.map(\.device.site)), .texts(rows.map(\.device.device)), .texts(rows.map(\.kind)),
        .texts(rows.map(\.identity)), .manyBytes(rows.map { deliveries[$0.index].sha256 }),
        .texts(rows.map { Self.word($0.heading.schema) }), .texts(rows.map { Self.word($0.heading.code) }),
        .texts(rows.map { Self.word($0.heading.severity) }), .integers(keyIDs), .manyBytes(sealed),
      ], "store messages")
    // A device that is busy did nothing, and the same message comes again; one that tries a configuration tells its end.
    let replies = rows.filter {
      $0.kind == Delivery.MessageKind.reply.rawValue && $0.heading.id != nil
        && !["busy", "trying"].contains($0.heading.state)
    }
    let answers = replies.map {
      Answer(device: $0.device, id: Self.word($0.heading.id) ?? "", isOfTrust: $0.heading.name == "trust")
    }
    if !answers.isEmpty { try noteAnswers(answers) }
  }

  private struct Answer {
    var device: DeviceKey
    var id: String
    var isOfTrust: Bool
  }

  /// The id of a message on `dn/trust` is not signed: its reply answers nothing else.
  private func noteAnswers(_ replies: [Answer]) throws(DatabaseError) {
    try connection.run(
      """
      UPDATE downlink d SET state = 'answered', answered_at = now()
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS r (site, device, id, kind)
      WHERE d.id = r.id AND d.site = r.site AND d.device = r.device AND d.state IN ('waiting', 'published')
        AND (d.topic = 'trust') = (r.kind = 'trust')
      """,
      [
        .texts(replies.map(\.device.site)), .texts(replies.map(\.device.device)), .texts(replies.map(\.id)),
        .texts(replies.map { $0.isOfTrust ? "trust" : "other" }),
      ], "note answers")
  }

  static func associated(_ device: DeviceKey, _ kind: String, _ identity: String) -> [UInt8] {
    Array("thermograph|\(device.site)|\(device.device)|\(kind)|\(identity)".utf8)
  }

  private static func heading(_ payload: [UInt8]) -> Heading {
    do { return try JSONDecoder().decode(Heading.self, from: Data(payload)) } catch { return Heading() }
  }

  /// A word that may stand in a column: `[A-Za-z0-9._-]{1,100}`, or nil.
  static func word(_ text: String?) -> String? {
    guard let text, (1...100).contains(text.utf8.count) else { return nil }
    let isPlain = text.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    return isPlain ? text : nil
  }

  // MARK: The newest

  func upsertDevices() throws(DatabaseError) {
    var statuses: [DeviceKey: (status: StatusMessage, payload: [UInt8])] = [:]
    var healths: [DeviceKey: (health: HealthMessage, payload: [UInt8])] = [:]
    for (index, delivery) in deliveries.enumerated() where outcomes[index].isKept {
      guard case .latest(let kind) = delivery.content, let topics = delivery.topics else { continue }
      let payload = delivery.message.payload
      switch kind {
      case .status:
        guard let status = StatusMessage(reading: payload) else {
          reject(index, "not a status message")
          continue
        }
        statuses[DeviceKey(topics)] = (status, payload)
      case .health:
        guard let health = Self.health(payload) else {
          reject(index, "not a health message")
          continue
        }
        healths[DeviceKey(topics)] = (health, payload)
      }
    }
    try upsert(statuses)
    try upsert(healths)
  }

  private static func health(_ payload: [UInt8]) -> HealthMessage? {
    do { return try JSONDecoder().decode(HealthMessage.self, from: Data(payload)) } catch { return nil }
  }

  /// A death of an earlier connection says nothing of the present one.
  private func upsert(_ statuses: [DeviceKey: (status: StatusMessage, payload: [UInt8])]) throws(DatabaseError) {
    guard !statuses.isEmpty else { return }
    let rows = statuses.sorted { $0.key < $1.key }
    try connection.run(
      """
      INSERT INTO device AS d (site, device, state, outbox_id, connect_counter, firmware, status, waiting,
        certificate_days, seen_at, status_at)
      SELECT s.*, now(), now() FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[],
        $7::bytea[], $8::bigint[], $9::bigint[]) AS s
      ON CONFLICT (site, device) DO UPDATE SET state = excluded.state, outbox_id = excluded.outbox_id,
        connect_counter = excluded.connect_counter, firmware = coalesce(excluded.firmware, d.firmware),
        status = excluded.status, waiting = coalesce(excluded.waiting, d.waiting),
        certificate_days = coalesce(excluded.certificate_days, d.certificate_days), status_at = now(),
        seen_at = CASE WHEN excluded.state = 'offline' THEN d.seen_at ELSE now() END
      WHERE d.outbox_id IS DISTINCT FROM excluded.outbox_id OR d.connect_counter IS NULL
        OR excluded.connect_counter >= d.connect_counter
      """,
      [
        .texts(rows.map(\.key.site)), .texts(rows.map(\.key.device)), .texts(rows.map(\.value.status.state.rawValue)),
        .identifiers(rows.map(\.value.status.outboxID)), .integers(rows.map { Int64($0.value.status.connectCounter) }),
        .texts(rows.map { Self.word($0.value.status.firmware) }), .manyBytes(rows.map(\.value.payload)),
        .integers(rows.map { Self.sum($0.value.status.backlog.values.map(\.rows)) }),
        .integers(rows.map { $0.value.status.line?.certificateDays.map { Int64($0) } }),
      ], "store statuses")
  }

  private func upsert(_ healths: [DeviceKey: (health: HealthMessage, payload: [UInt8])]) throws(DatabaseError) {
    guard !healths.isEmpty else { return }
    let rows = healths.sorted { $0.key < $1.key }
    try connection.run(
      """
      INSERT INTO device AS d (site, device, firmware, waiting, oldest_seconds, quarantined, certificate_days, health,
        seen_at, health_at)
      SELECT h.*, now(), now() FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::bigint[], $8::bytea[]) AS h
      ON CONFLICT (site, device) DO UPDATE SET firmware = coalesce(excluded.firmware, d.firmware),
        waiting = excluded.waiting, oldest_seconds = excluded.oldest_seconds, quarantined = excluded.quarantined,
        certificate_days = coalesce(excluded.certificate_days, d.certificate_days), health = excluded.health,
        seen_at = now(), health_at = now()
      """,
      [
        .texts(rows.map(\.key.site)), .texts(rows.map(\.key.device)),
        .texts(rows.map { Self.word($0.value.health.firmware) }),
        .integers(rows.map { Self.sum($0.value.health.classes.values.map(\.depth)) }),
        .integers(rows.map { $0.value.health.classes.values.compactMap(\.oldestSeconds).max().map { Int64($0) } }),
        .integers(rows.map { Self.sum($0.value.health.classes.values.map(\.quarantined)) }),
        .integers(rows.map { $0.value.health.line.certificateDays.map { Int64($0) } }),
        .manyBytes(rows.map(\.value.payload)),
      ], "store health")
  }

  /// A device says these numbers, so they may be anything.
  private static func sum(_ numbers: [Int]) -> Int64? {
    numbers.isEmpty
      ? nil
      : numbers.reduce(Int64(0)) { sum, number in
        let (result, isTooLarge) = sum.addingReportingOverflow(Int64(number))
        return isTooLarge ? .max : result
      }
  }

  // MARK: Births

  /// Receipts of what is here from the number on that a birth says it has none for.
  ///
  /// One answer may be thousands of receipts. So a device has one a batch, to its newest birth, and a few a minute, and a
  /// batch makes no more once half of what may wait for a broker is made.
  func answerBirths() throws(DatabaseError) {
    var newest: [DeviceKey: (index: Int, status: StatusMessage, oldest: Int64)] = [:]
    for (index, delivery) in deliveries.enumerated() where outcomes[index].isKept {
      guard case .latest(.status) = delivery.content, let topics = delivery.topics,
        let status = StatusMessage(reading: delivery.message.payload), let oldest = status.askedNumber
      else { continue }
      newest[DeviceKey(topics)] = (index, status, oldest)
    }
    var entries = 0
    for (device, (index, status, oldest)) in newest.sorted(by: { $0.value.index < $1.value.index }) {
      let seconds = Int64(deliveries[index].arrivedAt.monotonicNanoseconds / 1_000_000_000)
      guard entries < ReceiptQueue.maximumWaiting / 2,
        store.births.take(device, at: seconds, maximum: store.limits.birthsPerMinute)
      else { continue }
      let rows = try connection.run(
        """
        SELECT c.capture_id, c.sha256, c.images, \(Self.timeColumns) FROM capture c
        WHERE site = $1 AND device = $2 AND outbox_id = $3 AND sequence >= $4 AND sequence < $5
          AND complete_at IS NOT NULL
        ORDER BY sequence FOR UPDATE
        """,
        [
          .text(device.site), .text(device.device), .identifier(status.outboxID), .integer(oldest),
          .integer(oldest + StatusMessage.answeredNumbers),
        ], "answer a birth")
      for row in 0..<rows.count {
        guard let captureID = rows.identifier(row, 0), let sha256 = rows.bytes(row, 1), let text = rows.text(row, 2)
        else { continue }
        let times = Self.times(rows, row, 3)
        let record = Receipt.Entry(
          captureID: captureID, name: OutboxItem.recordName, sha256: Hexadecimal.text(of: sha256),
          receivedAt: times?.received, storedAt: times?.stored)
        let images = Promise.list(text).map { Receipt.Entry(captureID: captureID, name: $0.name, sha256: $0.sha256) }
        outcomes[index].vouched.append(StoreOutcome.Vouched(outboxID: status.outboxID, entries: [record] + images))
        entries += 1 + images.count
      }
    }
  }
}
