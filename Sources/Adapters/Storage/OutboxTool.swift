import Forwarding
import LocalFiles
import Provenance

/// The outbox as a command-line tool sees it: it may run beside the device, which holds the same database open. It
/// never makes, repairs or ends a database; that is the device's.
package final class OutboxTool {
  let database: OutboxDatabase

  /// - Throws: `.database` when there is no database, `.foreign` or `.newerSchema` when it is not ours to read.
  package init(_ configuration: OutboxConfiguration, time: any TimeSource) throws(OutboxError) {
    guard try onDisk({ () throws(FileError) in try BoundedFile.exists(configuration.path) }) else {
      throw .noDatabase(path: configuration.path)
    }
    database = try OutboxDatabase(configuration, time: time, generator: SystemRandomNumberGenerator(), role: .tool)
  }

  package var outboxID: RandomIdentifier { database.outboxID }
  package var accounts: OutboxAccounts { database.accounts }

  /// Messages of any state in order of arrival, from behind `id` on.
  package func list(after id: Int64, limit: Int) throws(OutboxError) -> [StoredItem] {
    try database.list(after: id, limit: limit)
  }

  package func item(_ id: Int64) throws(OutboxError) -> StoredItem { try database.find(id) }

  package func items(ofCapture id: RandomIdentifier) throws(OutboxError) -> [StoredItem] {
    try database.find(captureID: id)
  }

  package func payload(of stored: StoredItem) throws(OutboxError) -> [UInt8] { try database.payload(of: stored.item) }

  /// Makes messages wait again.
  package func retry(_ ids: [Int64]) throws(OutboxError) {
    try database.transaction { () throws(OutboxError) in
      for id in ids {
        _ = try database.find(id)
        try database.retry(id)
      }
    }
  }

  /// Notes that messages lie on a stick, on the disk there: a receipt that comes back for them counts.
  package func noteExported(_ ids: [Int64]) throws(OutboxError) {
    try database.transaction { () throws(OutboxError) in try database.noteExported(ids) }
  }

  /// Makes every message wait again that was set aside or has no receipt; returns their numbers.
  package func retryAll() throws(OutboxError) -> [Int64] {
    var chosen: [Int64] = []
    var after: Int64? = 0
    while let from = after {
      let page = try list(after: from, limit: 256)
      chosen += page.filter { $0.state == .quarantined || $0.state == .awaitingReceipt }.map(\.item.id)
      after = page.last?.item.id
    }
    try retry(chosen)
    return chosen
  }

  /// Frees what a receiver has.
  package func apply(_ receipt: Receipt) throws(OutboxError) -> ReceiptOutcome {
    try database.transaction { () throws(OutboxError) in try database.apply(receipt) }
  }

  /// Seals messages anew that lie under an older key, at most `limit`; returns how many are left.
  package func reseal(limit: Int) throws(OutboxError) -> Int {
    try database.transaction { () throws(OutboxError) in try database.reseal(limit: limit) }
  }

  /// Messages under a key, quarantined ones included.
  package func count(keyID: Int64) throws(OutboxError) -> Int { try database.count(keyID: keyID) }

  /// Opens the payloads behind `id`, at most `limit`; sets aside what is damaged and repairs the index.
  package func verify(after id: Int64, limit: Int) throws(OutboxError) -> VerificationReport {
    try database.transaction { () throws(OutboxError) in try database.verify(after: id, limit: limit) }
  }
}
