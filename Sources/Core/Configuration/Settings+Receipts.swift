extension Settings {
  /// Whose word frees what was delivered.
  package struct Receipts: Sendable, Equatable {
    /// Public keys of the receivers in PEM, one or more in one file. `nil`: none is known.
    package var keysFile: String?
    /// Whether a receipt must be signed by one of them. `nil`: as soon as there are keys.
    package var requireSignatures: Bool?

    package init() {}

    package var needSignatures: Bool { requireSignatures ?? (keysFile != nil) }
  }

  /// Whoever may write to `dn/receipt` frees what was published: a receiver's signature is not asked for.
  package var takesUnsignedReceipts: Bool {
    broker.host != nil && broker.delivery.confirm == .receipt && !receipts.needSignatures
  }
}
