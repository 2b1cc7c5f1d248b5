import Provenance

/// What the delivery logic wants written down, as one transaction. Losing it only costs a second delivery.
package struct Settlement: Sendable, Equatable {
  /// At their goal: may be freed.
  package var delivered: [Int64] = []
  /// With the broker: kept until the receipt.
  package var awaitingReceipt: [Int64] = []
  /// Acknowledged by the broker, which had nobody to give them to: they wait on, and what a receiver says of them counts.
  package var unheard: [Int64] = []
  /// Refused by the broker, one more attempt each.
  package var refused: [Int64] = []
  /// Cannot be delivered.
  package var quarantined: [Quarantined] = []

  package struct Quarantined: Sendable, Equatable {
    package let id: Int64
    package let reason: String

    package init(id: Int64, reason: String) {
      self.id = id
      self.reason = reason
    }
  }

  package init() {}

  package var isEmpty: Bool {
    count == 0
  }

  package var count: Int {
    delivered.count + awaitingReceipt.count + unheard.count + refused.count + quarantined.count
  }
}

/// What receipts brought about in the outbox.
package struct ReceiptOutcome: Sendable, Equatable {
  /// Messages that are now delivered.
  package var delivered: [Int64] = []
  /// Entries whose hash is not that of our copy: the receiver holds something else, or the receipt is forged.
  package var mismatched: [Receipt.Entry] = []
  /// Entries for which nothing waits: a repeated receipt.
  package var unknown = 0
  /// Captures that a receiver will never take; they are set aside.
  package var refused: [RandomIdentifier] = []
  /// Entries and refusals of what this device has not published and had acknowledged, nor exported: nobody can have it.
  package var unfounded = UnfoundedWords()

  package init() {}

  package mutating func add(_ other: ReceiptOutcome) {
    delivered += other.delivered
    mismatched += other.mismatched
    unknown += other.unknown
    refused += other.refused
    unfounded.entries += other.unfounded.entries
    unfounded.refused += other.unfounded.refused
  }
}

/// What receipts say of messages that have not left this device.
package struct UnfoundedWords: Sendable, Equatable {
  package var entries: [Receipt.Entry] = []
  package var refused: [Receipt.Refusal] = []

  package init() {}
}
