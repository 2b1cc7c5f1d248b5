import Provenance

/// What the outbox has done since it was opened, by class.
package struct OutboxCounters: Sendable, Equatable {
  /// Messages of one class; nothing here ever falls.
  package struct Class: Sendable, Equatable {
    package var enqueued = 0
    /// At their goal, by the broker's word or the receiver's.
    package var delivered = 0
    /// Of those, freed by a receiver's receipt.
    package var receipted = 0
    /// Removed undelivered to make room.
    package var dropped = 0
    /// Set aside for a person.
    package var quarantined = 0
    /// Not stored, because a limit was reached.
    package var refused = 0

    package init() {}
  }

  private var table = [Class](repeating: Class(), count: DeliveryClass.allCases.count)

  package init() {}

  package subscript(deliveryClass: DeliveryClass) -> Class {
    get { table[deliveryClass.rawValue] }
    set { table[deliveryClass.rawValue] = newValue }
  }
}

/// How long commits took: their sync to the disk is nearly all of it. A histogram with fixed bounds.
package struct SyncLatency: Sendable, Equatable {
  /// Upper bounds of the buckets; a last one without a bound follows.
  package static let boundsMilliseconds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]

  /// Commits by bucket, not added up; one more than there are bounds.
  package private(set) var buckets = [Int](repeating: 0, count: boundsMilliseconds.count + 1)
  package private(set) var commits = 0
  package private(set) var totalMicroseconds = 0
  package private(set) var maximumMicroseconds = 0

  package init() {}

  package mutating func note(microseconds: Int) {
    let index = Self.boundsMilliseconds.firstIndex { microseconds <= $0 * 1000 } ?? Self.boundsMilliseconds.count
    buckets[index] += 1
    commits += 1
    totalMicroseconds += microseconds
    maximumMicroseconds = max(maximumMicroseconds, microseconds)
  }
}

/// The outbox's share of a snapshot, read in one step.
package struct OutboxFigures: Sendable, Equatable {
  package var accounts: OutboxAccounts
  package var counters: OutboxCounters
  package var sync: SyncLatency
  /// When the oldest undelivered message of a class was stored; absent where nothing waits.
  package var oldest: [DeliveryClass: Timestamp]
  package var quotaBytes: Int
  /// Of the newest captures.
  package var times: TimesDistribution

  package init(
    accounts: OutboxAccounts, counters: OutboxCounters, sync: SyncLatency, oldest: [DeliveryClass: Timestamp],
    quotaBytes: Int, times: TimesDistribution = TimesDistribution()
  ) {
    self.times = times
    self.accounts = accounts
    self.counters = counters
    self.sync = sync
    self.oldest = oldest
    self.quotaBytes = quotaBytes
  }
}

/// How the line to the broker stands, the delivery's share of a snapshot.
package struct LinkFigures: Sendable, Equatable {
  package enum State: String, Sendable, Codable {
    /// No broker is configured.
    case unconfigured
    /// Not begun yet, or stopped.
    case idle
    case connecting
    case connected
    /// Between two attempts.
    case waiting
    /// The sync window or the budget of a metered line keeps it closed.
    case resting
  }

  package var state: State
  /// `host:port`; nil without a broker.
  package var broker: String?
  /// e.g. `TLSv1.3`; `none` for plain MQTT or before the first connection.
  package var protection: String
  /// Until the next attempt while waiting or resting, since CONNACK while connected; nil otherwise.
  package var seconds: Int?
  /// Why the last connection or attempt ended; nil before the first end.
  package var lastFailure: LinkFailure?
  /// Publishes without an outcome.
  package var inFlight: Int
  package var counters: DeliveryCounters
  /// Days until our certificate ends, negative afterwards; nil without one or when it cannot be read.
  package var certificateDays: Int?
  /// Whoever reaches `dn/receipt` frees what was published: no receiver's signature is asked for.
  package var acceptsUnsignedReceipts: Bool

  package init(
    state: State, broker: String?, protection: String, seconds: Int?, lastFailure: LinkFailure?, inFlight: Int,
    counters: DeliveryCounters, certificateDays: Int?, acceptsUnsignedReceipts: Bool = false
  ) {
    self.state = state
    self.broker = broker
    self.protection = protection
    self.seconds = seconds
    self.lastFailure = lastFailure
    self.inFlight = inFlight
    self.counters = counters
    self.certificateDays = certificateDays
    self.acceptsUnsignedReceipts = acceptsUnsignedReceipts
  }

  package static let unconfigured = LinkFigures(
    state: .unconfigured, broker: nil, protection: "none", seconds: nil, lastFailure: nil, inFlight: 0,
    counters: DeliveryCounters(), certificateDays: nil)
}

/// Everything there is to know of delivery at one moment: health message, `status` and the Prometheus file show it.
/// It names no patient and no capture.
package struct DeliverySnapshot: Sendable, Equatable {
  /// One class in numbers. Counters are of this run of the program, gauges of this moment.
  package struct Class: Sendable, Equatable {
    package var deliveryClass: DeliveryClass
    /// Counters of the outbox.
    package var stored: OutboxCounters.Class
    /// Handed to the broker, repeats included.
    package var published: Int
    /// Acknowledged by the broker.
    package var acknowledged: Int
    /// Refused by the broker.
    package var refusedByBroker: Int
    /// Undelivered: waiting or without a receipt.
    package var depth: OutboxUsage
    /// Of those, with the broker and without a receipt.
    package var awaitingReceipt: OutboxUsage
    /// Set aside.
    package var quarantined: OutboxUsage
    /// Age of the oldest undelivered message; nil when nothing waits or when a wrong clock hides it.
    package var oldestSeconds: Int?
  }

  package var at: Timestamp
  package var outbox: OutboxFigures
  package var line: LinkFigures

  package init(at: Timestamp, outbox: OutboxFigures, line: LinkFigures) {
    self.at = at
    self.outbox = outbox
    self.line = line
  }

  /// By class, in order of urgency.
  package var classes: [Class] {
    DeliveryClass.allCases.map { deliveryClass in
      Class(
        deliveryClass: deliveryClass, stored: outbox.counters[deliveryClass],
        published: line.counters.published[deliveryClass.rawValue],
        acknowledged: line.counters.acknowledged[deliveryClass.rawValue],
        refusedByBroker: line.counters.refused[deliveryClass.rawValue],
        depth: outbox.accounts.backlog(deliveryClass),
        awaitingReceipt: outbox.accounts[deliveryClass, .awaitingReceipt],
        quarantined: outbox.accounts[deliveryClass, .quarantined],
        oldestSeconds: oldestSeconds(deliveryClass))
    }
  }

  /// Stored bytes in all, whatever their state.
  package var usedBytes: Int { outbox.accounts.total.bytes }
  /// Of the quota, 0...100 and above when the quota was lowered.
  package var usedPercent: Int { usedBytes / max(1, outbox.quotaBytes / 100) }

  /// Within one boot the monotonic clock tells the age. Across boots both wall clocks must have been right.
  private func oldestSeconds(_ deliveryClass: DeliveryClass) -> Int? {
    guard let oldest = outbox.oldest[deliveryClass] else { return nil }
    if oldest.bootID == at.bootID {
      return Int(
        clamping: (max(at.monotonicNanoseconds, oldest.monotonicNanoseconds)
          - oldest.monotonicNanoseconds) / 1_000_000_000)
    }
    guard oldest.synchronised, at.synchronised else { return nil }
    let (age, overflow) = at.utcNanoseconds.subtractingReportingOverflow(oldest.utcNanoseconds)
    return overflow ? nil : Int(clamping: max(0, age) / 1_000_000_000)
  }
}
