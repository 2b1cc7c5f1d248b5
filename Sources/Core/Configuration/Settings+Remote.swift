extension Settings {
  /// What the far side may ask of this device.
  package struct Remote: Sendable, Equatable {
    /// Whether signed commands are taken at all.
    package var commands = true
    /// Public keys of those who may command, in PEM, one or more in one file. `nil`: nobody may.
    package var commandKeysFile: String?

    package init() {}
  }
}
