import Provenance
import Screening

/// The JSON on `up/health`: the snapshot's counters and gauges. Only the newest is worth sending; it names no patient.
package struct HealthMessage: Sendable, Equatable, Codable {
  package static let schema = "thermograph.health.v1"

  package struct Class: Sendable, Equatable, Codable {
    package var enqueued: Int
    package var published: Int
    package var acknowledged: Int
    package var delivered: Int
    package var receipted: Int
    package var dropped: Int
    package var quarantined: Int
    package var refused: Int
    /// Undelivered now.
    package var depth: Int
    package var bytes: Int
    package var oldestSeconds: Int?

    private enum CodingKeys: String, CodingKey {
      case enqueued, published, acknowledged, delivered, receipted, dropped, quarantined, refused, depth, bytes
      case oldestSeconds = "oldest_seconds"
    }
  }

  package struct Line: Sendable, Equatable, Codable {
    package var protection: String
    package var connections: Int
    /// Ends of connections and failed attempts by cause.
    package var failures: [String: Int]
    /// PUBACKs by reason code, in decimal.
    package var pubacks: [String: Int]
    package var certificateDays: Int?

    private enum CodingKeys: String, CodingKey {
      case protection, connections, failures, pubacks
      case certificateDays = "certificate_days"
    }
  }

  package struct Commits: Sendable, Equatable, Codable {
    package var count: Int
    package var meanMicroseconds: Int
    package var maximumMicroseconds: Int

    private enum CodingKeys: String, CodingKey {
      case count
      case meanMicroseconds = "mean_us"
      case maximumMicroseconds = "max_us"
    }
  }

  /// How many scored captures lay beyond what the screening model's training knew, since the start: of captures like those one in a
  /// hundred does on each side of each feature.
  package struct Inputs: Sendable, Equatable, Codable {
    package var model: String
    package var captures: Int
    /// By `InputStatistics.Feature`; features that never did are left out.
    package var below: [String: Int]
    package var above: [String: Int]

    package init(model: String, captures: Int, below: [String: Int], above: [String: Int]) {
      self.model = model
      self.captures = captures
      self.below = below
      self.above = above
    }
  }

  /// What the device thinks of itself.
  package struct Sentinel: Sendable, Equatable, Codable {
    /// `unjudged`, `filling`, `normal`, `uncertain`, `sensing` or `attack`.
    package var state: String
    package var healthProbability: Double?
    package var cyberProbability: Double?
    package var isLockedDown: Bool
    /// Of the board's supply since the start; nil on a board that tells nothing of it.
    package var brownOuts: Int?
    package var throttlings: Int?

    package init(
      state: String, healthProbability: Double?, cyberProbability: Double?, isLockedDown: Bool, brownOuts: Int?,
      throttlings: Int?
    ) {
      self.state = state
      self.healthProbability = healthProbability
      self.cyberProbability = cyberProbability
      self.isLockedDown = isLockedDown
      self.brownOuts = brownOuts
      self.throttlings = throttlings
    }

    private enum CodingKeys: String, CodingKey {
      case state, throttlings
      case healthProbability = "p_health"
      case cyberProbability = "p_cyber"
      case isLockedDown = "locked_down"
      case brownOuts = "brown_outs"
    }
  }

  package var schema = Self.schema
  /// RFC 3339.
  package var at: String
  package var clockSynchronised: Bool
  package var firmware: String
  package var usedBytes: Int
  package var quotaBytes: Int
  package var commits: Commits
  package var line: Line
  /// By `DeliveryClass.name`.
  package var classes: [String: Class]
  /// nil where no model runs that knows its training's inputs.
  package var inputs: Inputs?
  /// nil where nothing is counted.
  package var sentinel: Sentinel?
  /// T_total and its terms over the newest captures, by term; nil before the first receipt.
  package var times: [String: TimesDistribution.Figures]?

  private enum CodingKeys: String, CodingKey {
    case schema, at, firmware, commits, line, classes, inputs, sentinel, times
    case clockSynchronised = "clock_synchronised"
    case usedBytes = "used_bytes"
    case quotaBytes = "quota_bytes"
  }

  package init(_ snapshot: DeliverySnapshot, firmware: String, inputs drift: InputDrift? = nil) {
    inputs = drift.map { drift in
      func named(_ counts: [InputStatistics.Feature: Int]) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, $0.value) })
      }
      return Inputs(
        model: drift.model, captures: drift.captures, below: named(drift.below), above: named(drift.above))
    }
    times = snapshot.outbox.times.table
    at = snapshot.at.rfc3339
    clockSynchronised = snapshot.at.synchronised
    self.firmware = firmware
    usedBytes = snapshot.usedBytes
    quotaBytes = snapshot.outbox.quotaBytes
    let sync = snapshot.outbox.sync
    commits = Commits(
      count: sync.commits, meanMicroseconds: sync.totalMicroseconds / max(1, sync.commits),
      maximumMicroseconds: sync.maximumMicroseconds)
    let counters = snapshot.line.counters
    line = Line(
      protection: snapshot.line.protection, connections: counters.connections,
      failures: Dictionary(uniqueKeysWithValues: counters.failures.map { ($0.key.rawValue, $0.value) }),
      pubacks: Dictionary(uniqueKeysWithValues: counters.acknowledgementsByReason.map { ("\($0.key)", $0.value) }),
      certificateDays: snapshot.line.certificateDays)
    classes = Dictionary(
      uniqueKeysWithValues: snapshot.classes.map { figures in
        (
          figures.deliveryClass.name,
          Class(
            enqueued: figures.stored.enqueued, published: figures.published, acknowledged: figures.acknowledged,
            delivered: figures.stored.delivered, receipted: figures.stored.receipted,
            dropped: figures.stored.dropped, quarantined: figures.stored.quarantined,
            refused: figures.stored.refused, depth: figures.depth.rows, bytes: figures.depth.bytes,
            oldestSeconds: figures.oldestSeconds)
        )
      })
  }

  /// The JSON on the wire.
  package func encoded() throws -> [UInt8] {
    try CanonicalJSON.bytes(of: self)
  }
}
