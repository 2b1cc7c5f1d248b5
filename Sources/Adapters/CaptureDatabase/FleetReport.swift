import Forwarding
import Provenance

/// How one device is, as the far side knows it.
package struct FleetDevice: Sendable, Equatable, Encodable {
  package var site: String
  package var device: String
  /// `online`, `stopped`, `offline`, or nil before its first status, as of a device that only sent alerts.
  package var state: String?
  package var firmware: String?
  /// Since anything of it came but the word of a broker that it is gone.
  package var secondsSinceSeen: Int64
  /// Messages that wait on the device.
  package var waiting: Int64?
  package var oldestSeconds: Int64?
  package var quarantined: Int64?
  package var certificateDays: Int64?
  package var captures: Int64
  package var incomplete: Int64
  /// Contents that were refused or not understood.
  package var setAside: Int64
  /// Codes of the alerts of the last seven days, newest first, at most five.
  package var alerts: [String]

  private enum CodingKeys: String, CodingKey {
    case site, device, state, firmware, waiting, quarantined, captures, incomplete, alerts
    case secondsSinceSeen = "seconds_since_seen"
    case oldestSeconds = "oldest_seconds"
    case certificateDays = "certificate_days"
    case setAside = "set_aside"
  }

  /// One line for a person.
  package var line: String {
    var words = ["\(site)/\(device):", state ?? "no status yet", "seen \(Self.span(secondsSinceSeen)) ago"]
    words[2] += ","
    words[1] += ","
    if let waiting { words.append(waiting == 0 ? "nothing waiting," : "\(waiting) waiting,") }
    if let oldestSeconds, (waiting ?? 0) > 0 { words.append("the oldest for \(Self.span(oldestSeconds)),") }
    words.append("\(captures) captures here,")
    if incomplete > 0 { words.append("\(incomplete) incomplete,") }
    if setAside > 0 { words.append("\(setAside) set aside,") }
    if let quarantined, quarantined > 0 { words.append("\(quarantined) in quarantine,") }
    if let certificateDays {
      words.append(certificateDays < 0 ? "certificate expired," : "certificate for \(certificateDays) days,")
    }
    words.append(alerts.isEmpty ? "no alerts" : "alerts: \(alerts.joined(separator: " "))")
    return words.joined(separator: " ")
  }

  static func span(_ seconds: Int64) -> String {
    switch seconds {
    case ..<120: "\(max(0, seconds)) s"
    case ..<7200: "\(seconds / 60) min"
    case ..<172_800: "\(seconds / 3600) h"
    default: "\(seconds / 86_400) days"
    }
  }
}

/// Figures of the whole fleet, bounded however large it is.
package struct FleetFigures: Sendable, Equatable {
  /// A device and a number.
  package struct Worst: Sendable, Equatable {
    package var site: String
    package var device: String
    package var value: Int64
  }

  package var devices: Int64 = 0
  package var online: Int64 = 0
  /// By the metric's name, at most `worstMaximum` each.
  package var worst: [String: [Worst]] = [:]

  package static let worstMaximum = 20
}

package enum FleetReport {
  /// Every device, by its name.
  package static func devices(_ target: DatabaseTarget) throws(DatabaseError) -> [FleetDevice] {
    let connection = try DatabaseConnection(target)
    try DatabaseSchema.check(connection)
    let rows = try connection.run(
      """
      WITH counts AS (
        SELECT site, device, count(*) AS captures, count(*) FILTER (WHERE complete_at IS NULL) AS incomplete,
          max(received_at) AS at
        FROM capture GROUP BY 1, 2),
      aside AS (SELECT site, device, count(*) AS rows FROM set_aside GROUP BY 1, 2),
      alerts AS (
        SELECT site, device, string_agg(code, ' ' ORDER BY last DESC) AS codes FROM (
          SELECT site, device, code, max(received_at) AS last,
            row_number() OVER (PARTITION BY site, device ORDER BY max(received_at) DESC) AS place
          FROM message WHERE kind = 'alert' AND code IS NOT NULL AND received_at > now() - interval '7 days'
          GROUP BY 1, 2, 3) AS a
        WHERE place <= 5 GROUP BY 1, 2),
      said AS (SELECT site, device, max(received_at) AS at FROM message GROUP BY 1, 2),
      known AS (
        SELECT site, device, max(at) AS at FROM (
          SELECT site, device, seen_at AS at FROM device
          UNION ALL SELECT site, device, at FROM counts UNION ALL SELECT site, device, at FROM said) AS seen
        GROUP BY 1, 2)
      SELECT k.site, k.device, d.state, d.firmware,
        extract(epoch FROM now() - k.at)::bigint, d.waiting, d.oldest_seconds,
        d.quarantined, d.certificate_days, coalesce(c.captures, 0), coalesce(c.incomplete, 0), coalesce(a.rows, 0),
        coalesce(e.codes, '')
      FROM known k LEFT JOIN device d USING (site, device) LEFT JOIN counts c USING (site, device)
        LEFT JOIN aside a USING (site, device) LEFT JOIN alerts e USING (site, device)
      ORDER BY 1, 2
      """, [], "list the fleet")
    return (0..<rows.count).map { row in
      FleetDevice(
        site: rows.text(row, 0) ?? "", device: rows.text(row, 1) ?? "", state: rows.text(row, 2),
        firmware: rows.text(row, 3), secondsSinceSeen: rows.integer(row, 4) ?? 0, waiting: rows.integer(row, 5),
        oldestSeconds: rows.integer(row, 6), quarantined: rows.integer(row, 7), certificateDays: rows.integer(row, 8),
        captures: rows.integer(row, 9) ?? 0, incomplete: rows.integer(row, 10) ?? 0,
        setAside: rows.integer(row, 11) ?? 0,
        alerts: (rows.text(row, 12) ?? "").split(separator: " ").map(String.init))
    }
  }
}

extension DatabaseStore {
  /// The metrics that a rule looks at, with the devices that are worst in each.
  private static let gauges = [
    (
      "thermograph_device_silent_seconds", "extract(epoch FROM now() - seen_at)::bigint",
      "state IS DISTINCT FROM 'stopped'"
    ),
    ("thermograph_device_oldest_undelivered_seconds", "oldest_seconds", "oldest_seconds > 0"),
    ("thermograph_device_quarantined", "quarantined", "quarantined > 0"),
    ("thermograph_device_certificate_days", "-certificate_days", "certificate_days IS NOT NULL"),
    (
      "thermograph_device_unconfirmed_seconds", "oldest_seconds",
      """
      state = 'online' AND waiting > 0 AND oldest_seconds > 0 AND NOT EXISTS (
        SELECT 1 FROM capture c WHERE c.site = device.site AND c.device = device.device
          AND c.complete_at > now() - interval '1 hour')
      """
    ),
  ]

  package func fleetFigures() throws(DatabaseError) -> FleetFigures {
    try withConnection { open throws(DatabaseError) in
      var figures = FleetFigures()
      let counts = try open.connection.run(
        "SELECT count(*), count(*) FILTER (WHERE state = 'online') FROM device", [], "count the fleet")
      figures.devices = counts.integer(0, 0) ?? 0
      figures.online = counts.integer(0, 1) ?? 0
      for (name, value, condition) in Self.gauges {
        let rows = try open.connection.run(
          """
          SELECT site, device, \(value) FROM device WHERE \(condition)
          ORDER BY 3 DESC NULLS LAST, 1, 2 LIMIT \(FleetFigures.worstMaximum)
          """, [], "look at the fleet")
        let isNegated = value.hasPrefix("-")
        figures.worst[name] = (0..<rows.count).map { row in
          let value = rows.integer(row, 2) ?? 0
          return FleetFigures.Worst(
            site: rows.text(row, 0) ?? "", device: rows.text(row, 1) ?? "", value: isNegated ? 0 &- value : value)
        }
      }
      return figures
    }
  }
}
