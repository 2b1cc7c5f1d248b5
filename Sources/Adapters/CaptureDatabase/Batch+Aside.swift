import Forwarding
import Provenance
import Receiving
import Storage

// What is kept beside the captures: contents that contradict them, and records of versions that are not known.
extension Batch {
  /// Records whose schema is newer than this program: kept as they came, named, without a receipt.
  func setAsideUnknownRecords(_ siteKeys: [String: SealingKey]) throws(DatabaseError) {
    for (index, delivery) in deliveries.enumerated() {
      guard case .rejected(let rejection) = delivery.content, let schema = rejection.unknownSchema,
        let topics = delivery.topics, let key = siteKeys[topics.site.text]
      else { continue }
      try setAside(
        DeviceKey(topics), captureID: nil, OutboxItem.recordName, "unknown-schema", schema: schema, index, key)
    }
  }

  /// Records that were refused are kept, so that a person can look. Beyond the limits of a minute a refusal is not even
  /// answered.
  func setAsideRefused(_ siteKeys: [String: SealingKey]) throws(DatabaseError) {
    for (index, delivery) in deliveries.enumerated() {
      guard let refused = outcomes[index].refused.first?.refusal, let topics = delivery.topics,
        let key = siteKeys[topics.site.text]
      else { continue }
      let device = DeviceKey(topics)
      let seconds = Int64(delivery.arrivedAt.monotonicNanoseconds / 1_000_000_000)
      guard store.refusals.take(device, at: seconds, maximum: store.limits.refusalsPerMinute) else {
        outcomes[index].refused = []
        continue
      }
      // An image that was refused lies in `set_aside` already.
      guard refused.entry.name == OutboxItem.recordName else { continue }
      try setAside(
        device, captureID: refused.entry.captureID, refused.entry.name, refused.reason.rawValue, schema: nil, index, key
      )
    }
  }

  private func setAside(
    _ device: DeviceKey, captureID: RandomIdentifier?, _ name: String, _ reason: String, schema: String?, _ index: Int,
    _ key: SealingKey
  ) throws(DatabaseError) {
    let payload = deliveries[index].message.payload
    guard try mayKeepAside(payload.count, device) else { return }
    let associated =
      captureID.map { CaptureKey(site: device.site, device: device.device, captureID: $0).associated(name) }
      ?? Self.associated(device, reason, name)
    try connection.run(
      """
      INSERT INTO set_aside (site, device, capture_id, name, reason, schema, sha256, bytes, key_id, sealed)
      VALUES ($1, $2, ($3::uuid[])[1], $4, $5, nullif($6, ''), $7, $8, $9, $10) ON CONFLICT DO NOTHING
      """,
      [
        .text(device.site), .text(device.device), .identifiers([captureID]), .text(name), .text(reason),
        .text(schema ?? ""), .bytes(deliveries[index].sha256), .integer(Int64(payload.count)), .integer(key.id),
        .bytes(try store.keys.seal(payload, associated, under: key)),
      ], "set a record aside")
  }

  func mayKeepAside(_ bytes: Int, _ device: DeviceKey) throws(DatabaseError) -> Bool {
    let rows = try connection.run(
      "SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM set_aside WHERE site = $1 AND device = $2",
      [.text(device.site), .text(device.device)], "count what is set aside")
    return (rows.integer(0, 0) ?? 0) < store.limits.asideRows
      && (rows.integer(0, 1) ?? 0) + Int64(bytes) <= store.limits.asideBytes
  }
}
