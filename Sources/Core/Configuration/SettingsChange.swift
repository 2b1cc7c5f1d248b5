/// One key that a reload found changed.
package struct SettingsChange: Sendable, Equatable {
  /// Dotted, as in the file.
  package var key: String
  /// As TOML; `nil`: unset.
  package var old: String?
  package var new: String?
  /// Takes effect at once; otherwise after a restart of the service.
  package var isLive: Bool

  package var table: String { String(key.prefix { $0 != "." }) }
}

extension SettingsChange: CustomStringConvertible {
  package var description: String {
    "\(key): \(old ?? "unset") -> \(new ?? "unset")" + (isLive ? "" : ", after a restart")
  }
}

extension Settings {
  /// What a reload changes.
  /// - Returns: The settings to run on, in which only the keys that can change live have their new value, and every
  ///   changed key. A key that needs a restart stays in the changes of later reloads until the restart.
  /// - Parameter isTakenOver: whether somebody takes a live key's new value over; without, it waits for a restart too.
  package func reloaded(
    with new: Settings, isTakenOver: (SettingKey) -> Bool = { _ in true }
  ) -> (settings: Settings, changes: [SettingsChange]) {
    var settings = self
    var changes: [SettingsChange] = []
    for key in SettingKey.all {
      let before = key.effectiveText(self)
      let after = key.effectiveText(new)
      guard before != after else { continue }
      let isLive = key.isLive && isTakenOver(key)
      changes.append(SettingsChange(key: key.path, old: before, new: after, isLive: isLive))
      if isLive { key.copy(new, &settings) }
    }
    return (settings, changes)
  }
}
