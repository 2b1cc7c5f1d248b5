import Forwarding
import Provenance

/// How an outbox is kept.
package struct OutboxConfiguration: Sendable {
  /// The database file; what lies beside it, `StateFiles` says. Its directory must exist.
  package var path: String
  package var keys: KeyRing
  /// How long a delivered message is kept, 0 for not at all.
  package var retentionSeconds: Int
  package var quota: OutboxQuota
  /// Whether passing a watermark stores an alert too; else it is the owner's to raise one on the notice.
  package var alertsWhenFilling = true
  /// Whether each capture's times are an event of their own; on a thin line health messages tell their distribution alone.
  package var tellsTimes = true
  /// The release passed its health check, so that an earlier program need not open the outbox any more.
  package var isConfirmed = false
  /// The layouts that this program knows, in their order; only a test of upgrades has others.
  var migrations = OutboxSchema.migrations
  var additions = OutboxSchema.additions

  package init(path: String, keys: KeyRing, retentionSeconds: Int = 0, quota: OutboxQuota = OutboxQuota()) {
    self.path = path
    self.keys = keys
    self.retentionSeconds = retentionSeconds
    self.quota = quota
  }
}
