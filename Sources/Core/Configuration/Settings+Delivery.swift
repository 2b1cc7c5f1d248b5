extension Settings {
  /// Whose word frees what was delivered.
  package struct Delivery: Sendable, Equatable {
    /// Public keys of the receivers in PEM, one or more in one file. `nil`: none is known.
    package var receiverKeysFile: String?
    /// Whether a receipt must be signed by one of them. `nil`: as soon as there are keys.
    package var requireSignedReceipts: Bool?

    package init() {}

    package var requiresSignedReceipts: Bool { requireSignedReceipts ?? (receiverKeysFile != nil) }
  }
}
