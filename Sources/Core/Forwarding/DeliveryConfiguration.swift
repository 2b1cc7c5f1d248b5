/// What counts as delivery.
package enum ConfirmationMode: String, Sendable, CaseIterable {
  /// The receiver's receipt frees records and images.
  case receipt
  /// The broker's PUBACK does. Under MQTT 3.1.1 a refusal looks like success, so records and images wait for the
  /// receipt there all the same.
  case broker
}

/// The numbers of the delivery logic; all bounded.
package struct DeliveryConfiguration: Sendable, Equatable {
  package var confirm: ConfirmationMode
  /// Publishes without PUBACK, 1...1000; the broker's Receive Maximum may lower it.
  package var window: Int
  /// RateLimiter of publishes, 1...100,000; alerts are exempt.
  package var messagesPerSecond: Int
  /// The largest piece of an image, 1 KiB...16 MiB; the broker's maximum packet may lower it.
  package var partBytes: Int
  /// No PUBACK for this long, while the peer takes no bytes either, means that the connection is dead.
  package var acknowledgementTimeoutSeconds: Int
  /// After this long without a receipt a record or image is sent again, as `ReceiptRetryPolicy` says.
  package var receiptTimeoutSeconds: Int
  /// Outcomes that are written down together, 1...1024, and how long the first of them may wait.
  package var settlementBatch: Int
  package var settlementDelayMilliseconds: Int
  /// Message Expiry Interval of health messages.
  package var healthExpirySeconds: UInt32
  package var backoff: ReconnectBackoff.Configuration
  /// When the line may be used; nil for always. Outside only alerts are sent, and without one there is no connection.
  package var syncWindow: SyncWindow?
  /// Payload and header bytes that the line may carry a day, repeats included; nil for any number. Alerts are counted
  /// and never held.
  package var bytesPerDay: Int?

  package init(
    confirm: ConfirmationMode = .receipt, window: Int = 8, messagesPerSecond: Int = 50, partBytes: Int = 96 * 1024,
    acknowledgementTimeoutSeconds: Int = 60, receiptTimeoutSeconds: Int = 600, settlementBatch: Int = 64,
    settlementDelayMilliseconds: Int = 250, healthExpirySeconds: UInt32 = 600,
    backoff: ReconnectBackoff.Configuration = ReconnectBackoff.Configuration()
  ) {
    self.confirm = confirm
    self.window = min(max(window, 1), 1000)
    self.messagesPerSecond = min(max(messagesPerSecond, 1), 100_000)
    self.partBytes = min(max(partBytes, 1024), 1 << 24)
    self.acknowledgementTimeoutSeconds = max(acknowledgementTimeoutSeconds, 1)
    self.receiptTimeoutSeconds = max(receiptTimeoutSeconds, 1)
    self.settlementBatch = min(max(settlementBatch, 1), 1024)
    self.settlementDelayMilliseconds = max(settlementDelayMilliseconds, 0)
    self.healthExpirySeconds = healthExpirySeconds
    self.backoff = backoff
  }
}
