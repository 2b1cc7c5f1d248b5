import Forwarding
import Provenance

extension OutboxDatabase {
  /// Writes down what will not arrive, as an event that is itself delivered. Only inside `transaction`.
  func insertGap(
    _ reason: GapRecord.Reason, item: OutboxItem?, count: Int = 1, detail: String,
    change: (inout GapRecord) -> Void = { _ in }
  ) throws(OutboxError) {
    let now = time.now()
    var gap = GapRecord(reason: reason, item: item, count: count, detail: detail, outboxID: outboxID, at: now)
    change(&gap)
    let json: [UInt8]
    do {
      json = try gap.encoded()
    } catch {
      throw .message("gap record: \(error)")
    }
    do throws(OutboxError) {
      _ = try insert(.event(json, created: now))
    } catch .refused {
      // The reserve is used up too. What the record speaks of must still be done.
      unreportedLosses += count
    }
  }

  /// Leaves sequence numbers out up to this one, and says so. Only inside `transaction`.
  func leaveOut(before sequence: Int64, detail: String) throws(OutboxError) {
    guard sequence > nextSequence else { return }
    let first = nextSequence
    nextSequence = sequence
    try insertGap(.unused, item: nil, count: 0, detail: detail) { gap in
      gap.sequence = first
      gap.throughSequence = sequence - 1
    }
  }

  /// Tells in one record of the losses that could not be told when they happened. Only inside `transaction`.
  func reportUnreportedLosses() throws(OutboxError) {
    guard unreportedLosses > 0 else { return }
    let count = unreportedLosses
    unreportedLosses = 0
    // Refused once more, it counts itself again.
    try insertGap(
      .refused, item: nil, count: count,
      detail: "\(count) captures or images were refused or dropped while there was no room to say so one by one"
    ) { gap in gap.deliveryClass = DeliveryClass.capture.name }
  }

  /// Writes an alert of the outbox's own. Only inside `transaction`.
  func insertAlert(code: String, severity: AlertMessage.Severity, detail: String) throws(OutboxError) {
    let now = time.now()
    let json: [UInt8]
    do {
      json = try AlertMessage(code: code, severity: severity, detail: detail, at: now).encoded()
    } catch {
      throw .message("alert: \(error)")
    }
    do throws(OutboxError) {
      _ = try insert(.alert(json, created: now))
    } catch .refused {
      // The owner has the notice; the log and the status say the same.
    }
  }
}
