import Forwarding
import Provenance

extension OutboxDatabase {
  /// The messages reached their goal: they are removed, or, when they belong to a capture or tell of a session, kept for
  /// the retention time: a capture whose session's end is forgotten would look unfinished. Corrections are kept for good.
  /// Unknown ids are passed over, because an acknowledgement may meet a message that a receipt has freed. Only inside
  /// `transaction`.
  func deliver(_ ids: [Int64]) throws(OutboxError) {
    for id in ids {
      guard let before = try place(of: id), before.state != .delivered else { continue }
      counters[before.deliveryClass].delivered += 1
      let isForLater = configuration.retentionSeconds > 0 && (before.belongsToCapture || before.deliveryClass == .event)
      if isForLater || before.isCorrection {
        try move(id, from: before, to: .delivered, reason: nil)
      } else {
        try remove(id, counted: before)
      }
    }
  }

  /// The broker has the messages; they wait for the receiver, unless its receipt was quicker than this word or they were
  /// set aside in the meantime. Only inside `transaction`.
  func awaitReceipt(_ ids: [Int64]) throws(OutboxError) {
    for id in ids {
      guard let before = try place(of: id), before.state == .pending else { continue }
      try move(id, from: before, to: .awaitingReceipt, reason: nil)
    }
  }

  /// How a message has left this device: bits of `message.handed_over`, which last until the message is removed.
  private enum HandOver {
    /// It was published and the broker acknowledged it.
    static let acknowledged = 1
    /// It was written to a folder or stick.
    static let exported = 2
  }

  /// The condition that a message has left this device, so that somebody may have it.
  private var leftCondition: String {
    let marked = "ifnull(handed_over, 0) & \(HandOver.acknowledged | HandOver.exported) <> 0"
    return marksHandOver ? "(state = 1 OR \(marked))" : "(state = 1)"
  }

  /// Notes that messages lie on a stick: what a receiver says of them counts. Only inside `transaction`.
  func noteExported(_ ids: [Int64]) throws(OutboxError) {
    try mark(ids, HandOver.exported)
  }

  private func mark(_ ids: [Int64], _ way: Int) throws(OutboxError) {
    guard !ids.isEmpty else { return }
    try markHandOvers()
    for id in ids {
      try run("UPDATE message SET handed_over = ifnull(handed_over, 0) | \(way) WHERE id = ?") {
        statement throws(SQLiteError) in
        try statement.bind(1, id)
      }
    }
  }

  /// Frees what the receiver has, after comparing each hash, as far as it has left this device: the broker acknowledged
  /// it, or it was exported. Only inside `transaction`.
  func apply(_ receipt: Receipt) throws(OutboxError) -> ReceiptOutcome {
    var outcome = ReceiptOutcome()
    let now = time.now()
    for entry in receipt.entries {
      var found: (id: Int64, sha256: String, state: Int64, deliveryClass: DeliveryClass, acknowledged: UInt64?)?
      var hasLeft = false
      try query(
        """
        SELECT id, sha256, state, class,
          CASE WHEN settled_boot IS ?3 AND settled_monotonic BETWEEN 0 AND ?4 THEN settled_monotonic END, \(leftCondition)
        FROM message WHERE capture_id = ?1 AND name = ?2
        """,
        { statement throws(SQLiteError) in
          try statement.bind(1, entry.captureID.bytes)
          try statement.bind(2, entry.name)
          try statement.bind(3, now.bootID)
          try statement.bind(4, Int64(clamping: now.monotonicNanoseconds))
        }
      ) { row throws(OutboxError) in
        guard let deliveryClass = DeliveryClass(rawValue: Int(clamping: row.integer(3))) else {
          throw .unsound(ids: [row.integer(0)])
        }
        let acknowledged = row.optionalInteger(4).map { UInt64(bitPattern: $0) }
        found = (row.integer(0), Hexadecimal.text(of: row.blob(1)), row.integer(2), deliveryClass, acknowledged)
        hasLeft = row.integer(5) != 0
      }
      guard let found, found.state != Int64(DeliveryState.delivered.rawValue) else {
        outcome.unknown += 1
        continue
      }
      guard found.sha256 == entry.sha256 else {
        // It is the receipt that differs only if the row is right.
        try requireAgreement(of: found.id)
        outcome.mismatched.append(entry)
        continue
      }
      guard hasLeft else {
        outcome.unfounded.entries.append(entry)
        continue
      }
      try deliver([found.id])
      counters[found.deliveryClass].receipted += 1
      patience.received(acknowledgedNanoseconds: found.acknowledged, now: now.monotonicNanoseconds)
      outcome.delivered.append(found.id)
      if entry.name == OutboxItem.recordName { try noteReceipt(entry, at: receipt.arrivedAt ?? now) }
    }
    for refusal in receipt.refused where try apply(refusal, &outcome.unfounded) {
      outcome.refused.append(refusal.entry.captureID)
    }
    return outcome
  }

  /// Sets a capture aside that a receiver will never take, so that nothing waits behind it and the clinic hears of it.
  /// False when we have no such content, it is set aside already, or it has not left this device.
  private func apply(_ refusal: Receipt.Refusal, _ unfounded: inout UnfoundedWords) throws(OutboxError) -> Bool {
    let messages = try find(captureID: refusal.entry.captureID)
    guard
      let named = messages.first(where: {
        $0.item.name == refusal.entry.name && Hexadecimal.text(of: $0.item.sha256) == refusal.entry.sha256
      }), named.state == .pending || named.state == .awaitingReceipt
    else { return false }
    guard try hasLeft(named.item.id) else {
      unfounded.refused.append(refusal)
      return false
    }
    // Without its record a capture is never complete; an image is refused alone.
    let isWhole = refusal.entry.name == OutboxItem.recordName
    for message in messages where message.state == .pending || message.state == .awaitingReceipt {
      guard isWhole || message.item.id == named.item.id else { continue }
      try quarantine(message.item.id, reason: "a receiver refuses it for ever: \(refusal.reason.rawValue)")
    }
    // Numbers of this range were used by an outbox that this one knows nothing of, and there may be more of them.
    if refusal.reason == .numberTaken, let taken = named.item.sequence,
      nextSequence <= taken + OutboxRecovery.skippedNumbers / 2
    {
      nextMessage += OutboxRecovery.skippedNumbers
      try leaveOut(
        before: taken + 1 + OutboxRecovery.skippedNumbers, detail: "a receiver has other captures under such numbers")
    }
    return true
  }

  private func hasLeft(_ id: Int64) throws(OutboxError) -> Bool {
    var left = false
    try query(
      "SELECT \(leftCondition) FROM message WHERE id = ?",
      { statement throws(SQLiteError) in try statement.bind(1, id) },
      row: { left = $0.integer(0) != 0 })
    return left
  }

  /// Makes messages wait again whose receipt is overdue (`ReceiptRetryPolicy`), or whose PUBACK came in another boot.
  /// Returns how many. Only inside `transaction`.
  func requeueUnreceipted(olderThanSeconds seconds: Int) throws(OutboxError) -> Int {
    let now = time.now()
    let limit = patience.overdueNanoseconds(timeoutSeconds: seconds, now: now.monotonicNanoseconds)
    var ids: [Int64] = []
    try query(
      // What claims to be settled in the future was damaged, and must not wait for it.
      """
      SELECT id FROM message WHERE state = 1
        AND (settled_boot IS NOT ?1 OR settled_monotonic <= ?2 OR settled_monotonic NOT BETWEEN 0 AND ?3) LIMIT 10000
      """,
      { statement throws(SQLiteError) in
        try statement.bind(1, now.bootID)
        try statement.bind(2, limit.map { Int64(clamping: $0) })
        try statement.bind(3, Int64(clamping: now.monotonicNanoseconds))
      }, row: { ids.append($0.integer(0)) })
    for id in ids { try move(id, to: .pending, reason: nil) }
    patience.sentAgain(ids.count, timeoutSeconds: seconds, now: now.monotonicNanoseconds)
    return ids.count
  }

  /// The smallest number of a capture with a message in `awaitingReceipt`.
  func oldestWithoutReceipt() throws(OutboxError) -> Int64? {
    var oldest: Int64?
    try query(
      "SELECT min(sequence) FROM message WHERE state = 1", { _ in }, row: { oldest = $0.optionalInteger(0) })
    return oldest
  }

  /// Sets a message aside for a person, and tells the clinic. Only inside `transaction`.
  func quarantine(_ id: Int64, reason: String) throws(OutboxError) {
    guard try place(of: id) != nil else { return }
    let item = try find(id).item
    try move(id, to: .quarantined, reason: reason)
    counters[item.deliveryClass].quarantined += 1
    // A gap record about a gap record would beget the next.
    if item.deliveryClass == .capture || item.deliveryClass == .image || item.deliveryClass == .alert {
      try insertGap(.quarantined, item: item, detail: reason)
    }
  }

  /// Makes a quarantined or acknowledged message wait again. Only inside `transaction`.
  func retry(_ id: Int64) throws(OutboxError) {
    try move(id, to: .pending, reason: nil)
  }

  /// Counts an attempt that the broker refused. Only inside `transaction`.
  func recordRefusal(_ id: Int64) throws(OutboxError) {
    try run("UPDATE message SET attempts = min(attempts + 1, \(IndexRow.maximumAttempts)) WHERE id = ?") {
      statement throws(SQLiteError) in
      try statement.bind(1, id)
    }
  }

  /// Removes delivered messages whose retention time is over, at most `limit`; returns how many. Within a boot the
  /// monotonic clock decides, beyond it the wall clock, once it is synchronised. Only inside `transaction`.
  func expire(limit: Int) throws(OutboxError) -> Int {
    let now = time.now()
    let age = Int64(max(0, min(configuration.retentionSeconds, 1 << 32))) * 1_000_000_000
    var ids: [Int64] = []
    try query(
      """
      SELECT id FROM message WHERE state = 2 AND NOT \(Self.isCorrection) AND CASE
        WHEN settled_boot IS ?1 AND settled_monotonic <= ?6 THEN settled_monotonic <= ?2
        ELSE ?3 AND created_utc <= ?4 END ORDER BY id LIMIT ?5
      """,
      { statement throws(SQLiteError) in
        try statement.bind(1, now.bootID)
        try statement.bind(2, Int64(clamping: now.monotonicNanoseconds) - age)
        try statement.bind(3, now.synchronised ? 1 : 0)
        try statement.bind(4, now.utcNanoseconds - age)
        try statement.bind(5, limit)
        try statement.bind(6, Int64(clamping: now.monotonicNanoseconds))
      }, row: { ids.append($0.integer(0)) })
    for id in ids { try remove(id) }
    return ids.count
  }

  private func move(_ id: Int64, to state: DeliveryState, reason: String?) throws(OutboxError) {
    guard let before = try place(of: id) else { return }
    try move(id, from: before, to: state, reason: reason)
  }

  private func move(_ id: Int64, from before: Place, to state: DeliveryState, reason: String?) throws(OutboxError) {
    let now = time.now()
    // A late receipt of what was acknowledged once still counts; an earlier program left no mark of it.
    let isAcknowledged = marksHandOver && state != .delivered && [before.state, state].contains(.awaitingReceipt)
    let mark = isAcknowledged ? ", handed_over = ifnull(handed_over, 0) | \(HandOver.acknowledged)" : ""
    try run(
      "UPDATE message SET state = ?, settled_boot = ?, settled_monotonic = ?, reason = ?\(mark) WHERE id = ?"
    ) { statement throws(SQLiteError) in
      try statement.bind(1, state.rawValue)
      // What waits is settled by nobody: a state that a flipped bit makes of it lacks its witness.
      try statement.bind(2, state == .pending ? nil : now.bootID)
      try statement.bind(3, state == .pending ? nil : Int64(clamping: now.monotonicNanoseconds))
      try statement.bind(4, reason)
      try statement.bind(5, id)
    }
    accounts.remove(before.bytes, from: before.deliveryClass, before.state)
    accounts.add(before.bytes, to: before.deliveryClass, state)
  }

  func remove(_ id: Int64) throws(OutboxError) {
    try remove(id, counted: try place(of: id))
  }

  /// - Parameter place: where the accounts have it; nil when they do not know it.
  private func remove(_ id: Int64, counted place: Place?) throws(OutboxError) {
    if let place { try removeIndex(id, counted: place) }
    try run("DELETE FROM payload WHERE id = ?") { statement throws(SQLiteError) in try statement.bind(1, id) }
  }

  private func removeIndex(_ id: Int64, counted place: Place) throws(OutboxError) {
    try run("DELETE FROM message WHERE id = ?") { statement throws(SQLiteError) in try statement.bind(1, id) }
    accounts.remove(place.bytes, from: place.deliveryClass, place.state)
  }

  private typealias Place = (
    deliveryClass: DeliveryClass, state: DeliveryState, bytes: Int, belongsToCapture: Bool, isCorrection: Bool
  )

  private func place(of id: Int64) throws(OutboxError) -> Place? {
    var found: Place?
    try query(
      "SELECT class, state, stored, capture_id IS NOT NULL, \(Self.isCorrection) FROM message WHERE id = ?",
      { statement throws(SQLiteError) in try statement.bind(1, id) }
    ) { row throws(OutboxError) in
      guard let deliveryClass = DeliveryClass(rawValue: Int(clamping: row.integer(0))),
        let state = DeliveryState(rawValue: Int(clamping: row.integer(1))),
        (0...Int64(Self.largestStored)).contains(row.integer(2))
      else { throw .unsound(ids: [id]) }
      found = (deliveryClass, state, Int(row.integer(2)), row.integer(3) != 0, row.integer(4) != 0)
    }
    return found
  }
}

extension OutboxDatabase {
  /// Writes down what became of messages. Only inside `transaction`.
  func settle(_ settlement: Settlement) throws(OutboxError) {
    try deliver(settlement.delivered)
    try awaitReceipt(settlement.awaitingReceipt)
    try mark(settlement.unheard, HandOver.acknowledged)
    for id in settlement.refused { try recordRefusal(id) }
    for entry in settlement.quarantined {
      // A receipt may have been quicker: what the receiver has is no gap.
      guard let place = try place(of: entry.id), place.state != .delivered else { continue }
      // What was concluded from a wrong row says nothing of the message.
      var report = VerificationReport()
      try mend([entry.id], &report)
      if !report.foundSomething { try quarantine(entry.id, reason: entry.reason) }
    }
  }
}
