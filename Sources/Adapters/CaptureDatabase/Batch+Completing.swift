import Forwarding
import Provenance
import Receiving
import Storage

// The second transaction: what is complete, what contradicts, what is vouched for.
extension Batch {
  /// A capture's row, locked.
  private struct Stored {
    var outboxID: RandomIdentifier
    var sequence: Int64
    var sha256: [UInt8]
    var promises: [Promise]
    var isComplete: Bool
    /// By the database's clock, which is one for all workers: the last of it was here, all of it was durable.
    var times: (received: String, stored: String)?

    func entries(_ key: CaptureKey) -> [Receipt.Entry] {
      [
        Receipt.Entry(
          captureID: key.captureID, name: OutboxItem.recordName, sha256: Hexadecimal.text(of: sha256),
          receivedAt: times?.received, storedAt: times?.stored)
      ]
        + promises.map { Receipt.Entry(captureID: key.captureID, name: $0.name, sha256: $0.sha256) }
    }
  }

  func complete(_ siteKeys: [String: SealingKey]) throws(DatabaseError) {
    let touched = Set(records.map(\.key) + images.map(\.key)).sorted()
    guard !touched.isEmpty else { return }
    let stored = try lock(touched)
    let spoilt = try putTogether(siteKeys)
    let present = try presentImages(touched.filter { stored[$0]?.isComplete == false })
    let completed = touched.filter { key in
      guard let capture = stored[key], !capture.isComplete else { return false }
      return capture.promises.allSatisfy { present[key]?.contains("\($0.name) \($0.sha256)") == true }
    }
    try markComplete(completed)
    let done = Set(completed)
    judgeRecords(stored, done)
    try judgeImages(stored, done, present, spoilt, siteKeys)
    try dropParts(touched.filter { stored[$0]?.isComplete == true || done.contains($0) })
    announce(completed, stored)
    try setAsideRefused(siteKeys)
  }

  private func keyParameters(_ keys: [CaptureKey]) -> [DatabaseValue] {
    [.texts(keys.map(\.site)), .texts(keys.map(\.device)), .identifiers(keys.map(\.captureID))]
  }

  private func lock(_ keys: [CaptureKey]) throws(DatabaseError) -> [CaptureKey: Stored] {
    let rows = try connection.run(
      """
      SELECT c.site, c.device, c.capture_id, c.outbox_id, c.sequence, c.sha256, c.images, c.complete_at IS NOT NULL,
        \(Self.timeColumns)
      FROM capture c JOIN unnest($1::text[], $2::text[], $3::uuid[]) AS k (site, device, capture_id)
        ON c.site = k.site AND c.device = k.device AND c.capture_id = k.capture_id
      ORDER BY 1, 2, 3 FOR UPDATE OF c
      """, keyParameters(keys), "find what is complete")
    var stored: [CaptureKey: Stored] = [:]
    for row in 0..<rows.count {
      guard let key = Self.key(rows, row), let outboxID = rows.identifier(row, 3) else { continue }
      stored[key] = Stored(
        outboxID: outboxID, sequence: rows.integer(row, 4) ?? 0, sha256: rows.bytes(row, 5) ?? [],
        promises: Promise.list(rows.text(row, 6) ?? ""), isComplete: rows.flag(row, 7), times: Self.times(rows, row, 8))
    }
    return stored
  }

  /// Of `capture c`: when the last content was inserted, and when it was found complete. A capture that this transaction
  /// completes has its own beginning, which is after the commit of the contents.
  static let timeColumns = [
    "greatest(c.received_at, (SELECT max(i.received_at) FROM image i WHERE i.site = c.site AND i.device = c.device "
      + "AND i.capture_id = c.capture_id))", "coalesce(c.complete_at, now())",
  ].map { "to_char(\($0) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')" }.joined(separator: ", ")

  /// nil where the clock went back between the two: another server may have become the primary.
  static func times(_ rows: DatabaseRows, _ row: Int, _ column: Int) -> (received: String, stored: String)? {
    guard let received = rows.text(row, column), let stored = rows.text(row, column + 1), received <= stored else {
      return nil
    }
    return (received, stored)
  }

  private static func key(_ rows: DatabaseRows, _ row: Int) -> CaptureKey? {
    guard let site = rows.text(row, 0), let device = rows.text(row, 1), let id = rows.identifier(row, 2) else {
      return nil
    }
    return CaptureKey(site: site, device: device, captureID: id)
  }

  /// Images of which the last part came with this batch become whole. Returns those whose whole is not what the sender
  /// announced, by key and name; their parts are gone and are sent again.
  private func putTogether(_ siteKeys: [String: SealingKey]) throws(DatabaseError) -> Set<String> {
    let divided = images.filter { $0.part != nil }
    guard !divided.isEmpty else { return [] }
    var announced: [String: String] = [:]
    for row in divided { announced["\(row.key)/\(row.name)"] = deliveries[row.index].announcedSHA256 }
    let rows = try connection.run(
      """
      WITH k AS (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::bigint[])
        AS k (site, device, capture_id, name, parts)),
      whole AS (
        SELECT p.site, p.device, p.capture_id, p.name, p.parts FROM image_part p JOIN k
          ON p.site = k.site AND p.device = k.device AND p.capture_id = k.capture_id AND p.name = k.name
            AND p.parts = k.parts
        GROUP BY 1, 2, 3, 4, 5 HAVING count(*) = p.parts AND sum(p.bytes) <= \(TopicSchema.maximumParts * 96 * 1024))
      DELETE FROM image_part p USING whole w
      WHERE p.site = w.site AND p.device = w.device AND p.capture_id = w.capture_id AND p.name = w.name
        AND p.parts = w.parts
      RETURNING p.site, p.device, p.capture_id, p.name, p.parts, p.part, p.key_id, p.sealed
      """,
      keyParameters(divided.map(\.key)) + [
        .texts(divided.map(\.name)), .integers(divided.map { Int64($0.part?.count ?? 1) }),
      ], "put images together")
    var wholes: [String: (key: CaptureKey, name: String, parts: [Int64: [UInt8]])] = [:]
    for row in 0..<rows.count {
      guard let key = Self.key(rows, row), let name = rows.text(row, 3), let parts = rows.integer(row, 4),
        let part = rows.integer(row, 5), let keyID = rows.integer(row, 6), let sealed = rows.bytes(row, 7)
      else { continue }
      let sealing = try store.keys.key(keyID, key.site, connection)
      wholes["\(key)/\(name)", default: (key, name, [:])].parts[part] = try store.keys.open(
        sealed, key.associated(Self.partName(name, Int(part), Int(parts))), with: sealing)
    }
    var spoilt: Set<String> = []
    var whole: [(key: CaptureKey, name: String, sha256: [UInt8], bytes: [UInt8])] = []
    for (place, image) in wholes.sorted(by: { ($0.value.key, $0.value.name) < ($1.value.key, $1.value.name) }) {
      let bytes = image.parts.sorted { $0.key < $1.key }.flatMap(\.value)
      let digest = store.digests.sha256(bytes)
      if let said = announced[place], said != Hexadecimal.text(of: digest) {
        spoilt.insert(place)
      } else {
        whole.append((image.key, image.name, digest, bytes))
      }
    }
    try insertWhole(whole, siteKeys)
    return spoilt
  }

  /// `name sha256` of what is there of each capture.
  private func presentImages(_ keys: [CaptureKey]) throws(DatabaseError) -> [CaptureKey: Set<String>] {
    guard !keys.isEmpty else { return [:] }
    let rows = try connection.run(
      """
      SELECT i.site, i.device, i.capture_id, i.name, i.sha256
      FROM image i JOIN unnest($1::text[], $2::text[], $3::uuid[]) AS k (site, device, capture_id)
        ON i.site = k.site AND i.device = k.device AND i.capture_id = k.capture_id
      """, keyParameters(keys), "find images")
    var present: [CaptureKey: Set<String>] = [:]
    for row in 0..<rows.count {
      guard let key = Self.key(rows, row), let name = rows.text(row, 3), let sha256 = rows.bytes(row, 4) else {
        continue
      }
      present[key, default: []].insert("\(name) \(Hexadecimal.text(of: sha256))")
    }
    return present
  }

  private func markComplete(_ keys: [CaptureKey]) throws(DatabaseError) {
    guard !keys.isEmpty else { return }
    try connection.run(
      """
      UPDATE capture c SET complete_at = now()
      FROM unnest($1::text[], $2::text[], $3::uuid[]) AS k (site, device, capture_id)
      WHERE c.site = k.site AND c.device = k.device AND c.capture_id = k.capture_id
      """, keyParameters(keys), "note what is complete")
  }

  // MARK: Outcomes

  private func judgeRecords(_ stored: [CaptureKey: Stored], _ done: Set<CaptureKey>) {
    for row in records {
      guard let capture = stored[row.key] else {
        refuse(
          row.index, row.record.captureID, OutboxItem.recordName, row.sha256, .numberTaken, row.record.outboxID,
          "number \(row.record.sequence) of this outbox belongs to another capture")
        continue
      }
      guard capture.sha256 == row.sha256 else {
        refuse(
          row.index, row.record.captureID, OutboxItem.recordName, row.sha256, .contentDiffers, row.record.outboxID,
          "another record of this capture is stored already")
        continue
      }
      if capture.isComplete {
        outcomes[row.index].vouched.append(
          StoreOutcome.Vouched(outboxID: capture.outboxID, entries: capture.entries(row.key)))
      }
    }
  }

  private func judgeImages(
    _ stored: [CaptureKey: Stored], _ done: Set<CaptureKey>, _ present: [CaptureKey: Set<String>],
    _ spoilt: Set<String>, _ siteKeys: [String: SealingKey]
  ) throws(DatabaseError) {
    var wrong: Set<CaptureKey> = []
    for row in images {
      if spoilt.contains("\(row.key)/\(row.name)") {
        reject(row.index, "SHA-256 differs from the announced one")
        continue
      }
      guard let capture = stored[row.key] else { continue }
      guard let promise = capture.promises.first(where: { $0.name == row.name }) else {
        wrong.insert(row.key)
        reject(row.index, "the record knows no such image")
        continue
      }
      if row.part == nil, promise.sha256 != Hexadecimal.text(of: row.sha256) {
        wrong.insert(row.key)
        if capture.isComplete || done.contains(row.key) {
          refuse(
            row.index, row.key.captureID, row.name, row.sha256, .contentDiffers, capture.outboxID,
            "another image of this name is stored already")
        } else {
          reject(row.index, "SHA-256 differs from the record's")
        }
        continue
      }
      // One receipt for a divided image, not one for each of its parts.
      guard capture.isComplete, row.part == nil || row.part?.index == row.part?.count else { continue }
      let entry = Receipt.Entry(captureID: row.key.captureID, name: row.name, sha256: promise.sha256)
      outcomes[row.index].vouched.append(StoreOutcome.Vouched(outboxID: capture.outboxID, entries: [entry]))
    }
    // Images that came before their record, or were put together, and are not what it promises.
    for (key, names) in present {
      guard let capture = stored[key] else { continue }
      let promised = Set(capture.promises.map { "\($0.name) \($0.sha256)" })
      guard !names.isSubset(of: promised) else { continue }
      if wrong.insert(key).inserted,
        let index = (records.map { ($0.key, $0.index) } + images.map { ($0.key, $0.index) })
          .first(where: { $0.0 == key })?.1
      {
        outcomes[index].notes.append(
          "\(key.site)/\(key.device): \(key.captureID): an image's SHA-256 differs from the record's; set aside, "
            + "awaited again")
      }
    }
    try moveAside(wrong.sorted(), stored)
  }

  /// Takes images that the record does not promise out of the way.
  private func moveAside(_ keys: [CaptureKey], _ stored: [CaptureKey: Stored]) throws(DatabaseError) {
    for key in keys {
      guard let capture = stored[key] else { continue }
      let isKept = try mayKeepAside(0, key.owner)
      try connection.run(
        """
        WITH promised AS (
          SELECT name, decode(sha256, 'hex') AS sha256 FROM unnest($4::text[], $5::text[]) AS p (name, sha256)),
        gone AS (
          DELETE FROM image WHERE site = $1 AND device = $2 AND capture_id = $3
            AND (name, sha256) NOT IN (SELECT name, sha256 FROM promised) RETURNING *)
        INSERT INTO set_aside (site, device, capture_id, name, reason, sha256, bytes, key_id, sealed)
        SELECT site, device, capture_id, name,
          CASE WHEN name IN (SELECT name FROM promised) THEN 'content-differs' ELSE 'unknown-image' END,
          sha256, bytes, key_id, sealed FROM gone WHERE sealed IS NOT NULL AND $6 = 1
        ON CONFLICT DO NOTHING
        """,
        [
          .text(key.site), .text(key.device), .identifier(key.captureID), .texts(capture.promises.map(\.name)),
          .texts(capture.promises.map(\.sha256)), .integer(isKept ? 1 : 0),
        ], "set images aside")
    }
  }

  /// Parts of what is whole by now.
  private func dropParts(_ keys: [CaptureKey]) throws(DatabaseError) {
    let divided = Set(images.filter { $0.part != nil }.map(\.key))
    let keys = keys.filter(divided.contains)
    guard !keys.isEmpty else { return }
    try connection.run(
      """
      DELETE FROM image_part p USING unnest($1::text[], $2::text[], $3::uuid[]) AS k (site, device, capture_id)
      WHERE p.site = k.site AND p.device = k.device AND p.capture_id = k.capture_id
      """, keyParameters(keys), "drop parts")
  }

  /// The last delivery of a capture in this batch tells that it is complete.
  private func announce(_ completed: [CaptureKey], _ stored: [CaptureKey: Stored]) {
    var last: [CaptureKey: Int] = [:]
    for (key, index) in records.map({ ($0.key, $0.index) }) + images.map({ ($0.key, $0.index) }) {
      // One whose own content was refused does not speak for the capture.
      guard outcomes[index].isKept else { continue }
      last[key] = max(last[key] ?? index, index)
    }
    let payloads = Dictionary(
      records.map { ($0.key, $0.payload) }, uniquingKeysWith: { first, _ in first })
    for key in completed {
      guard let capture = stored[key], let index = last[key] else { continue }
      let entries = capture.entries(key)
      outcomes[index].vouched.append(StoreOutcome.Vouched(outboxID: capture.outboxID, entries: entries))
      outcomes[index].completed = Receiver.CompletedCapture(
        site: key.site, device: key.device, captureID: key.captureID, outboxID: capture.outboxID,
        sequence: capture.sequence,
        replayed: deliveries[index].message.property(MessageComposer.Name.replayed).map { $0 == "true" }, path: nil,
        images: capture.promises.map(\.name), record: payloads[key] ?? [], entries: entries,
        imageBytes: capture.promises.map(\.bytes))
    }
  }

  private func refuse(
    _ index: Int, _ captureID: RandomIdentifier, _ name: String, _ sha256: [UInt8], _ reason: Receipt.Refusal.Reason,
    _ outboxID: RandomIdentifier, _ why: String
  ) {
    reject(index, why)
    let entry = Receipt.Entry(captureID: captureID, name: name, sha256: Hexadecimal.text(of: sha256))
    outcomes[index].refused = [StoreOutcome.Refused(outboxID: outboxID, refusal: Receipt.Refusal(entry, reason))]
  }
}
