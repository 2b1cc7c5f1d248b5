import Forwarding
import Provenance

extension Outbox {
  /// Waiting messages of a class in their order, from behind `id` on; those whose key is not loaded are passed over.
  package func pending(_ deliveryClass: DeliveryClass, after id: Int64, limit: Int) throws(OutboxError) -> [OutboxItem]
  {
    try withDatabase { database throws(OutboxError) in try database.pending(deliveryClass, after: id, limit: limit) }
  }

  /// The payload in the clear; `.sealing` when it cannot be opened (then quarantine it), `.missing` when it is gone.
  package func payload(of id: Int64) throws(OutboxError) -> [UInt8] {
    try withDatabase { database throws(OutboxError) in try database.payload(of: database.find(id).item) }
  }

  /// The payloads of several messages as `pending` described them, each as `payload(of:)` gives it.
  package func payloads(of items: [OutboxItem]) -> [Result<[UInt8], OutboxError>] {
    do throws(OutboxError) {
      return try withDatabase { database throws(OutboxError) in try database.payloads(of: items) }
    } catch {
      return items.map { _ in .failure(error) }
    }
  }

  /// Frees what a receiver has.
  package func apply(_ receipt: Receipt) throws(OutboxError) -> ReceiptOutcome {
    try apply([receipt])
  }

  /// Writes down what became of messages and frees what receivers have, in one commit.
  package func apply(
    _ receipts: [Receipt], after settlement: Settlement = Settlement()
  ) throws(OutboxError) -> ReceiptOutcome {
    var before: Int64 = 0
    let outcome = try withTransaction { database throws(OutboxError) in
      before = database.nextMessage
      try database.settle(settlement)
      var outcome = ReceiptOutcome()
      for receipt in receipts { outcome.add(try database.apply(receipt)) }
      return outcome
    }
    // The times of a capture are a message of their own.
    tellStored(since: before)
    return outcome
  }

  /// The number of the oldest capture of which something waits for its receipt; nil when nothing does.
  package func oldestWithoutReceipt() throws(OutboxError) -> Int64? {
    try withDatabase { database throws(OutboxError) in try database.oldestWithoutReceipt() }
  }

  /// Makes messages wait again whose receipt has not come; returns how many.
  package func requeueUnreceipted(olderThanSeconds seconds: Int) throws(OutboxError) -> Int {
    try withTransaction { database throws(OutboxError) in
      try database.requeueUnreceipted(olderThanSeconds: seconds)
    }
  }
}

extension Outbox {
  /// The limits that it was opened with.
  package nonisolated var quota: OutboxQuota { configuration.quota }

  package func accounts() throws(OutboxError) -> OutboxAccounts {
    try withDatabase { database throws(OutboxError) in
      try database.reloadIfChangedElsewhere()
      return database.accounts
    }
  }

  /// Undelivered messages that wait for a key that is not loaded. Reads the whole index.
  package func countLocked() throws(OutboxError) -> Int {
    try withDatabase { database throws(OutboxError) in
      let count = try database.countLocked()
      try database.releaseMemory()
      return count
    }
  }

  /// Messages of any state in order of arrival.
  package func list(after id: Int64 = 0, limit: Int = 1000) throws(OutboxError) -> [StoredItem] {
    try withDatabase { database throws(OutboxError) in try database.list(after: id, limit: limit) }
  }

  package func items(ofCapture id: RandomIdentifier) throws(OutboxError) -> [StoredItem] {
    try withDatabase { database throws(OutboxError) in try database.find(captureID: id) }
  }

  package func item(_ id: Int64) throws(OutboxError) -> StoredItem {
    try withDatabase { database throws(OutboxError) in try database.find(id) }
  }

  /// The outbox in numbers, all of the same moment.
  package func figures() throws(OutboxError) -> OutboxFigures {
    let quotaBytes = configuration.quota.totalBytes
    return try withDatabase { database throws(OutboxError) in
      try database.reloadIfChangedElsewhere()
      return OutboxFigures(
        accounts: database.accounts, counters: database.counters, sync: database.sync, oldest: try database.oldest(),
        quotaBytes: quotaBytes, times: database.times)
    }
  }
}

/// Work for quiet moments and for tools.
extension Outbox {
  /// Frees delivered messages whose retention time is over and takes the ballast again when there is room. To be called
  /// about once a minute; returns how many messages were freed.
  @discardableResult
  package func maintain() throws(OutboxError) -> Int {
    try restoreBallast()
    guard configuration.retentionSeconds > 0 else { return 0 }
    return try withTransaction { database throws(OutboxError) in try database.expire(limit: 500) }
  }

  /// Makes quarantined or unreceipted messages wait again.
  package func retry(_ ids: [Int64]) throws(OutboxError) {
    try withTransaction { database throws(OutboxError) in
      for id in ids { try database.retry(id) }
    }
  }

  /// Makes what is there of these captures wait again, whatever became of it; returns how many messages.
  package func resend(_ captures: [RandomIdentifier]) throws(OutboxError) -> Int {
    try withTransaction { database throws(OutboxError) in
      var count = 0
      for capture in captures {
        for item in try database.find(captureID: capture) where item.state != .pending {
          try database.retry(item.item.id)
          count += 1
        }
      }
      return count
    }
  }

  /// Opens the payloads behind `id`, at most `limit`; sets aside what is damaged and repairs the index.
  package func verify(after id: Int64 = 0, limit: Int = 256) throws(OutboxError) -> VerificationReport {
    try withTransaction { database throws(OutboxError) in try database.verify(after: id, limit: limit) }
  }

  /// Seals messages anew that lie under an older key, at most `limit`; returns how many are left. At 0 the older key's
  /// file may be erased.
  package func reseal(limit: Int = 64) throws(OutboxError) -> Int {
    try withTransaction { database throws(OutboxError) in try database.reseal(limit: limit) }
  }
}
