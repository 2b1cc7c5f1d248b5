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
      gapsNotWritten += 1
    }
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
      gapsNotWritten += 1
    }
  }
}
