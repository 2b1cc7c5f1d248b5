import Forwarding
import Provenance

/// A finished envelope for a device.
package struct DownlinkEnvelope: Sendable, Equatable {
  package let id: String
  package let site: String
  package let device: String
  /// What stands behind `dn/`: `command`, `result`, `config`, `trust`, or `model/SHA256/I-of-N`.
  package let topic: String
  package let envelope: [UInt8]

  /// Never retained: a broker would give it for ever to whoever subscribes.
  package var message: OutgoingMessage {
    OutgoingMessage(topic: "tg/v1/\(site)/\(device)/dn/\(topic)", payload: envelope, contentType: contentType)
  }

  private var contentType: String {
    switch topic {
    case "trust": "application/json"
    case _ where topic.hasPrefix("model/"): "application/octet-stream"
    default: "application/vnd.dsse.envelope.v1+json"
    }
  }
}

/// The table `downlink`. A row is published when it is new and at each birth of its device, until a reply names its id or
/// its time is over. A part of a model is published once and forgotten: its device says what it still wants.
extension DatabaseStore {
  private static let columns = "id, site, device, topic, envelope"
  /// Rows that one look takes.
  private static let rowsMaximum = 100

  /// New rows, each given to one worker for a while.
  package func newDownlinks() throws(DatabaseError) -> [DownlinkEnvelope] {
    try withConnection { open throws(DatabaseError) in
      try open.connection.run(
        "UPDATE downlink SET state = 'expired' WHERE state IN ('waiting', 'published') AND not_after < now()", [],
        "expire downlinks")
      try open.connection.run(
        "DELETE FROM downlink WHERE state = 'expired' AND topic LIKE 'model/%'", [], "forget parts that are too late")
      // A worker that dies before the broker has it leaves the row as it is; another publishes it a minute later.
      let rows = try open.connection.run(
        """
        UPDATE downlink SET published_at = now() WHERE id IN (
          SELECT id FROM downlink WHERE state = 'waiting'
            AND (published_at IS NULL OR published_at < now() - interval '1 minute')
          ORDER BY made_at LIMIT \(Self.rowsMaximum) FOR UPDATE SKIP LOCKED)
        RETURNING \(Self.columns)
        """, [], "look for downlinks")
      return Self.envelopes(rows)
    }
  }

  /// What these devices have not answered yet, oldest first.
  package func openDownlinks(of topics: [TopicSchema]) throws(DatabaseError) -> [DownlinkEnvelope] {
    guard !topics.isEmpty else { return [] }
    return try withConnection { open throws(DatabaseError) in
      let rows = try open.connection.run(
        """
        SELECT \(Self.columns) FROM downlink JOIN unnest($1::text[], $2::text[]) AS k (s, d) ON site = s AND device = d
        WHERE state IN ('waiting', 'published') AND not_after >= now() AND topic NOT LIKE 'model/%'
        ORDER BY made_at LIMIT \(Self.rowsMaximum * 10)
        """, [.texts(topics.map(\.site.text)), .texts(topics.map(\.device.text))], "look for downlinks")
      return Self.envelopes(rows)
    }
  }

  /// A broker has these.
  package func notePublished(_ ids: [String]) throws(DatabaseError) {
    try withConnection { open throws(DatabaseError) in
      try open.connection.run(
        """
        UPDATE downlink SET state = 'published', published_at = now(), publishes = publishes + 1
        WHERE id = ANY ($1::text[]) AND state IN ('waiting', 'published')
        """, [.texts(ids)], "note published downlinks")
      try open.connection.run(
        "DELETE FROM downlink WHERE id = ANY ($1::text[]) AND topic LIKE 'model/%'", [.texts(ids)],
        "forget published parts")
    }
  }

  private static func envelopes(_ rows: DatabaseRows) -> [DownlinkEnvelope] {
    (0..<rows.count).compactMap { row in
      guard let id = rows.text(row, 0), let site = rows.text(row, 1), let device = rows.text(row, 2),
        let topic = rows.text(row, 3), let envelope = rows.bytes(row, 4)
      else { return nil }
      return DownlinkEnvelope(id: id, site: site, device: device, topic: topic, envelope: envelope)
    }
  }
}
