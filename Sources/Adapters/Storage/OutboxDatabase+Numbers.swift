import Forwarding
import Provenance

/// Who the outbox is and which numbers come next. That row is as little to be believed as any other: envelopes and the
/// reserve of numbers beside the database bound it.
extension OutboxDatabase {
  /// What the row says.
  struct Numbers: Equatable {
    var outboxID: RandomIdentifier?
    var nextMessage: Int64
    var nextSequence: Int64
  }

  /// Envelopes looked at, from the newest message backwards.
  private static let witnesses = 16
  /// No other program and no reserve runs further ahead than this.
  private static let largestStep: Int64 = 1 << 20

  /// What can be believed of `row` when the database is opened.
  ///
  /// - Parameter mark: of the reserve; nil when there is none.
  func believed(_ row: Numbers, mark: NumberReserve.Mark?) throws(OutboxError) -> Numbers {
    let newest = try newestEnvelopes()
    var believed = row
    let isProven = { (id: RandomIdentifier) in
      newest.contains { $0.outboxID == id } || (newest.isEmpty && mark?.outboxID == id)
    }
    if row.outboxID.map({ !isProven($0) }) ?? true, let other = try provenIdentity(newest, mark) {
      believed.outboxID = other
    }
    let own = mark.flatMap { $0.outboxID == believed.outboxID ? $0 : nil }
    let lastMessage = newest.map(\.item.id).max() ?? 0
    let lastSequence = newest.compactMap(\.item.sequence).max() ?? 0
    self.newest = (lastMessage, lastSequence)
    believed.nextMessage = Self.bounded(row.nextMessage, after: lastMessage, reserved: own?.nextMessage)
    believed.nextSequence = Self.bounded(row.nextSequence, after: lastSequence, reserved: own?.nextSequence)
    return believed
  }

  /// A counter that can be; in its place what is reserved, or so many that whatever was used lies below.
  private static func bounded(_ next: Int64, after last: Int64, reserved: Int64?) -> Int64 {
    let highest = reserved.map { min($0 + largestStep, OutboxItem.largestNumber) } ?? OutboxItem.largestNumber
    guard next > last, next <= highest else { return max(last + 1, reserved ?? last + OutboxRecovery.skippedNumbers) }
    return next
  }

  /// What can be believed of the row while the outbox is open and another program wrote to it.
  func believed(_ row: Numbers, beside known: Numbers) -> Numbers {
    func bounded(_ next: Int64, _ known: Int64) -> Int64 {
      (known...known + Self.largestStep).contains(next) ? next : known
    }
    return Numbers(
      outboxID: known.outboxID, nextMessage: bounded(row.nextMessage, known.nextMessage),
      nextSequence: bounded(row.nextSequence, known.nextSequence))
  }

  /// The newest payloads' descriptions that stand under their own id; nothing proves them yet.
  private func newestEnvelopes() throws(OutboxError) -> [SealedEnvelope] {
    var found: [SealedEnvelope] = []
    var beginnings = EnvelopeBeginnings(connection)
    try query("SELECT id FROM payload ORDER BY id DESC LIMIT \(Self.witnesses)", { _ in }) { row throws(OutboxError) in
      guard let envelope = try beginnings.envelope(of: row.integer(0)), envelope.item.id == row.integer(0),
        OutboxItem.isNumber(envelope.item.id), envelope.item.sequence.map(OutboxItem.isNumber) ?? true
      else { return }
      found.append(envelope)
    }
    return found
  }

  /// Another identity than the row's that an opened envelope proves, or that an envelope and the reserve agree on.
  private func provenIdentity(
    _ envelopes: [SealedEnvelope], _ mark: NumberReserve.Mark?
  ) throws(OutboxError) -> RandomIdentifier? {
    for envelope in envelopes {
      if envelope.outboxID == mark?.outboxID { return envelope.outboxID }
      var isWhole = false
      try query(
        "SELECT sealed FROM payload WHERE id = ?",
        { statement throws(SQLiteError) in try statement.bind(1, envelope.item.id) }
      ) { row in
        row.withBlob(0) { blob in
          do throws(SealingError) {
            _ = try SealedEnvelope.open(blob, cipher: self.cipher, keys: self.configuration.keys)
            isWhole = true
          } catch {
            // Damaged or locked: it proves nothing.
          }
        }
      }
      if isWhole { return envelope.outboxID }
    }
    return nil
  }
}
