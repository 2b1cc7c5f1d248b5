extension Settings {
  /// What prepared folders must be to be taken.
  package struct Import: Sendable, Equatable {
    /// Only folders whose files the site has signed are taken; needs a site root.
    package var requireSignature = false

    package init() {}
  }
}
