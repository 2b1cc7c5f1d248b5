import Provenance

/// Where a device's audit log stood when one of its captures got its number.
package struct AuditSighting: Sendable, Hashable {
  /// A new enrolment makes a new outbox, and with it a new log.
  package let outboxID: RandomIdentifier
  package let sequence: Int64
  package let head: AuditHead

  package init(outboxID: RandomIdentifier, sequence: Int64, head: AuditHead) {
    self.outboxID = outboxID
    self.sequence = sequence
    self.head = head
  }
}

/// What two sightings of one outbox say of its device. None of them can come of an honest device, whatever order its captures
/// arrive in, how often one comes, and wherever its power was cut: a number has one record, an entry is on disk before its
/// head is in a record, and the log only grows.
package enum AuditAlarm: String, Sendable, Hashable, CaseIterable {
  /// Two logs of one size that differ: it was changed afterwards, or two devices write on.
  case fork = "audit-fork"
  /// A later capture names a shorter log: its end was cut off, or an older copy was put back.
  case shrunk = "audit-shrunk"
  /// Two captures have one number: a card was copied, and both are used.
  case cloned = "audit-cloned"

  /// - Parameters:
  ///   - other: what was known before.
  ///   - sighting: what is new.
  package func sentence(_ other: AuditSighting, _ sighting: AuditSighting) -> String {
    let (one, two) = ("capture \(other.sequence)", "capture \(sighting.sequence)")
    let what =
      switch self {
      case .fork: "\(one) and \(two) name different audit logs of \(sighting.head.size) entries"
      case .shrunk:
        "\(one) names an audit log of \(other.head.size) entries, \(two) one of \(sighting.head.size)"
      case .cloned:
        "two captures have the number \(sighting.sequence), with audit logs of \(other.head.size) and \(sighting.head.size) entries"
      }
    return "\(what) (outbox \(sighting.outboxID)): a card was copied, put back or changed. "
      + "Keep both devices as they are, and examine the log: thermograph audit export"
  }

  /// What `sighting` says beside one that is known; nil: nothing.
  package static func between(_ known: AuditSighting, _ sighting: AuditSighting) -> AuditAlarm? {
    guard known.outboxID == sighting.outboxID else { return nil }
    if known.sequence == sighting.sequence { return known.head == sighting.head ? nil : .cloned }
    if known.head.size == sighting.head.size { return known.head == sighting.head ? nil : .fork }
    return (known.sequence < sighting.sequence) == (known.head.size < sighting.head.size) ? nil : .shrunk
  }
}

/// What a receiver keeps of the audit logs of one device: a window of the sightings with the greatest numbers of each outbox.
package struct AuditWitness: Sendable, Equatable {
  /// Of one outbox; what is older is no longer compared.
  package static let maximumSightings = 512
  /// Outboxes of one device; a new one takes the place of the one that was longest without a sighting.
  package static let maximumOutboxes = 8

  package struct Log: Sendable, Equatable {
    package let outboxID: RandomIdentifier
    /// By number, ascending; of captures that name one head the first and the last.
    package var sightings: [AuditSighting] = []
    /// What was ever found; it is told once, and nothing is cosigned any more.
    package var alarms: Set<AuditAlarm> = []

    package init(outboxID: RandomIdentifier) { self.outboxID = outboxID }
  }

  /// The one that was seen last is the last.
  package private(set) var logs: [Log]

  package init(logs: [Log] = []) { self.logs = logs }

  /// The head that may be cosigned: the greatest that was seen, as long as nothing is wrong.
  package func cosignable(outbox: RandomIdentifier) -> AuditHead? {
    guard let log = logs.first(where: { $0.outboxID == outbox }), log.alarms.isEmpty else { return nil }
    return log.sightings.last?.head
  }

  /// Takes a sighting.
  ///
  /// - Returns: whether something changed, and an alarm that was not told yet with what is contradicted.
  package mutating func see(_ sighting: AuditSighting) -> (isNew: Bool, alarm: (AuditAlarm, AuditSighting)?) {
    var log = Log(outboxID: sighting.outboxID)
    if let index = logs.firstIndex(where: { $0.outboxID == sighting.outboxID }) { log = logs.remove(at: index) }
    defer {
      logs.append(log)
      if logs.count > Self.maximumOutboxes { logs.removeFirst() }
    }
    guard !log.sightings.contains(sighting) else { return (false, nil) }
    if let (alarm, known) = log.sightings.lazy.compactMap({ known in
      AuditAlarm.between(known, sighting).map { ($0, known) }
    }).first {
      return log.alarms.insert(alarm).inserted ? (true, (alarm, known)) : (false, nil)
    }
    log.take(sighting)
    return (true, nil)
  }
}

extension AuditWitness.Log {
  fileprivate mutating func take(_ sighting: AuditSighting) {
    let index = sightings.firstIndex { $0.sequence > sighting.sequence } ?? sightings.endIndex
    sightings.insert(sighting, at: index)
    // Between two captures that name one head there is nothing else to know.
    for inner in [index + 1, index, index - 1] where inner > 0 && inner + 1 < sightings.count {
      let head = sightings[inner].head
      if sightings[inner - 1].head == head, sightings[inner + 1].head == head { sightings.remove(at: inner) }
    }
    if sightings.count > AuditWitness.maximumSightings { sightings.removeFirst() }
  }
}
