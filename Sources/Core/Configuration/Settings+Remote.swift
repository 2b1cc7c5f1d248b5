extension Settings {
  /// What the far side may ask of this device.
  package struct Remote: Sendable, Equatable {
    /// Whether signed commands are taken at all.
    package var commands = true
    /// Public keys of those who may command, in PEM, one or more in one file. `nil`: nobody may.
    package var commandKeysFile: String?
    /// Whether signed configurations are taken at all.
    package var configuration = true
    /// Public keys of those who may configure, in PEM, one or more in one file. `nil`: nobody may.
    package var configurationKeysFile: String?
    /// What stays as the device's own files say.
    package var pinned: [RemoteKey]?

    package init() {}
  }
}

/// The name of a key that a configuration from afar may set.
package struct RemoteKey: Sendable, Hashable, CaseIterable {
  package let path: String

  package static let allCases: [RemoteKey] = SettingKey.fromAfar.map { RemoteKey(path: $0) }
}
