import Provenance

/// What is known of one waiting message without opening its payload. Small, so that a window of them is cheap.
package struct OutboxItem: Sendable, Equatable, Identifiable {
  /// The name under which a capture's record is receipted, beside its images' names.
  package static let recordName = "record.json"
  /// The largest payload in the clear; the views of a capture have some 100 KB.
  package static let maximumBytes = 16 << 20
  /// No id and no sequence number is greater: 2^53 - 1, beyond which JSON readers lose digits.
  package static let largestNumber: Int64 = (1 << 53) - 1

  /// Order of arrival, over all classes; never used twice within an outbox.
  package let id: Int64
  package let deliveryClass: DeliveryClass
  /// The topic below `.../up/`, e.g. `capture` or `image/{capture_id}.master.png`.
  package let topicSuffix: String
  package let contentType: String
  /// The capture to which it belongs: records and images.
  package let captureID: RandomIdentifier?
  /// The capture's gapless number within the outbox: records and images.
  package let sequence: Int64?
  /// `recordName`, the image's name, or `CorrectionMessage.name`; nil for everything else.
  package let name: String?
  /// Length of the payload in the clear.
  package let byteCount: Int
  /// SHA-256 of the payload in the clear, 32 bytes.
  package let sha256: [UInt8]
  package let created: Timestamp
  /// Attempts that ended in a refusal.
  package let attempts: Int

  package init(
    id: Int64, deliveryClass: DeliveryClass, topicSuffix: String, contentType: String, captureID: RandomIdentifier?,
    sequence: Int64?, name: String?, byteCount: Int, sha256: [UInt8], created: Timestamp, attempts: Int
  ) {
    self.id = id
    self.deliveryClass = deliveryClass
    self.topicSuffix = topicSuffix
    self.contentType = contentType
    self.captureID = captureID
    self.sequence = sequence
    self.name = name
    self.byteCount = byteCount
    self.sha256 = sha256
    self.created = created
    self.attempts = attempts
  }

  /// The same message after another number of attempts.
  package func with(attempts: Int) -> OutboxItem {
    OutboxItem(
      id: id, deliveryClass: deliveryClass, topicSuffix: topicSuffix, contentType: contentType, captureID: captureID,
      sequence: sequence, name: name, byteCount: byteCount, sha256: sha256, created: created, attempts: attempts)
  }
}
