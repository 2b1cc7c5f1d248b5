import Audit
import Forwarding
import LocalFiles
import Provenance

// What receivers have seen of the log, and signed.
extension AuditKeeper {
  /// How the log stands, for `status`.
  package struct Standing: Sendable, Equatable {
    package var entries: UInt64
    /// Before the first that is kept.
    package var removedEntries: UInt64
    package var bytes: Int
    /// Entries that a receiver has cosigned; nil: none has.
    package var cosignedEntries: UInt64?
  }

  package var standing: Standing? {
    log.map {
      Standing(
        entries: $0.head.size, removedEntries: $0.base.size, bytes: $0.byteCount, cosignedEntries: cosigned?.size)
    }
  }

  /// Keeps the newest cosignature, and lets go what it covers once the log is long.
  ///
  /// - Parameters:
  ///   - head: of a receipt that was believed: signed by a receiver's key, for this device and this outbox.
  ///   - receipt: the receipt as it came.
  package func take(cosignature head: AuditHead, receipt: [UInt8]) async {
    guard let log, head.size > cosigned?.size ?? 0 else { return }
    do {
      guard try log.holds(head) else { return await tellForeign(head) }
      // First the witness, then what it lets go.
      try BoundedFile.replace(files.cosignedPath, with: receipt, mode: 0o600)
      cosigned = head
      try tidy()
    } catch { trouble("\(error)") }
  }

  /// Receipts that came by stick.
  func takeReceipts() async {
    do {
      for (path, bytes) in try files.receipts() {
        if let head = try Receipt(unverified: bytes).cosignature { await take(cosignature: head, receipt: bytes) }
        try BoundedFile.remove(path)
      }
    } catch { trouble("a receipt that a tool left cannot be read: \(error)") }
  }

  func tidy() throws(AuditLogError) {
    guard let present = log, present.isLong, let cosigned else { return }
    _ = try log?.prune(cosigned: cosigned, downTo: present.limits.keptBytes)
    publish()
  }

  /// A receiver has signed a head that this log never had: two devices write on from one card, an older card was put back,
  /// or the log was changed. Told once a run.
  private func tellForeign(_ head: AuditHead) async {
    guard !isForeignTold else { return }
    isForeignTold = true
    let detail =
      "a receiver has cosigned an audit log of \(head.size) entries that is not this device's: a card was copied, put back or "
      + "changed. Keep the card as it is, and examine the log: thermograph audit export"
    do {
      let now = time.now()
      let message = AlertMessage(code: "audit-cosigned-another", severity: .critical, detail: detail, at: now)
      try await outbox.enqueue(.alert(message.encoded(), created: now))
    } catch { isForeignTold = false }
  }

  /// The newest cosigned head that was kept; nil where there is none, or what is there is not of this log.
  static func readCosigned(_ files: AuditFiles, of log: AuditLog) -> AuditHead? {
    do {
      guard
        let bytes = try BoundedFile.readIfThere(
          files.cosignedPath, maximumBytes: Receipt.limits.envelopeBytes),
        let head = try Receipt(unverified: bytes).cosignature, try log.holds(head)
      else { return nil }
      return head
    } catch {
      // Nothing is removed by it, and the next receipt brings another.
      return nil
    }
  }
}
