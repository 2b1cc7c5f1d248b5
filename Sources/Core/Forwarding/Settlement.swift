/// What the delivery logic wants written down, as one transaction. Losing it only costs a second delivery.
package struct Settlement: Sendable, Equatable {
  /// At their goal: may be freed.
  package var delivered: [Int64] = []
  /// With the broker: kept until the receipt.
  package var awaitingReceipt: [Int64] = []
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
    delivered.isEmpty && awaitingReceipt.isEmpty && refused.isEmpty && quarantined.isEmpty
  }

  package var count: Int { delivered.count + awaitingReceipt.count + refused.count + quarantined.count }
}
