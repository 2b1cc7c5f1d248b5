/// One key of the configuration: its name, what it accepts and the property it sets.
package struct SettingKey: Sendable {
  /// `table.key`, or `schema`, which stands above the tables.
  package let path: String
  package let shape: ValueShape
  /// One line for people who edit the file.
  package let summary: String
  /// A fault when no file sets it.
  package let isRequired: Bool
  /// A running device takes a new value without a restart.
  package let isLive: Bool
  /// A board profile may set it.
  package let isOfBoard: Bool
  /// A configuration from afar may set it: what describes neither the place nor the hardware, names no file and no key, and
  /// decides over nobody's identity, consent or data.
  package let isRemote: Bool

  /// Sets the property, or says why the value does not fit and leaves it.
  let assign: @Sendable (LocatedValue, inout Settings) throws(Mismatch) -> Void
  /// Takes the property over from the first settings to the second.
  let copy: @Sendable (Settings, inout Settings) -> Void
  /// The effective value as TOML; `nil` when the key has neither a value nor a default.
  package let effectiveText: @Sendable (Settings) -> String?
  /// The same as JSON.
  let effectiveJSON: @Sendable (Settings) -> JSONTree?

  package var table: String { path.contains(".") ? String(path.prefix { $0 != "." }) : "" }
  package var name: String { path.contains(".") ? String(path.drop { $0 != "." }.dropFirst()) : path }
}

/// What a key is besides its value.
struct SettingTraits: OptionSet {
  let rawValue: Int
  static let required = Self(rawValue: 1)
  static let live = Self(rawValue: 2)
  static let ofBoard = Self(rawValue: 4)
  static let remote = Self(rawValue: 8)
}

extension SettingKey {
  /// A key with a default, the property's.
  static func key<Value>(
    _ path: String, _ property: any WritableKeyPath<Settings, Value> & Sendable, _ format: ValueFormat<Value>,
    _ summary: String, _ traits: SettingTraits = []
  ) -> SettingKey {
    SettingKey(
      path: path, shape: format.shape, summary: summary, traits: traits,
      assign: { (value, settings) throws(Mismatch) in settings[keyPath: property] = try format.parse(value) },
      copy: { $1[keyPath: property] = $0[keyPath: property] },
      effectiveText: { format.render($0[keyPath: property]) },
      effectiveJSON: { format.json($0[keyPath: property]) })
  }

  /// A key that may stay unset.
  static func key<Value>(
    _ path: String, _ property: any WritableKeyPath<Settings, Value?> & Sendable, _ format: ValueFormat<Value>,
    _ summary: String, _ traits: SettingTraits = []
  ) -> SettingKey {
    SettingKey(
      path: path, shape: format.shape, summary: summary, traits: traits,
      assign: { (value, settings) throws(Mismatch) in settings[keyPath: property] = try format.parse(value) },
      copy: { $1[keyPath: property] = $0[keyPath: property] },
      effectiveText: { $0[keyPath: property].map(format.render) },
      effectiveJSON: { $0[keyPath: property].map(format.json) })
  }

  init(
    path: String, shape: ValueShape, summary: String, traits: SettingTraits,
    assign: @escaping @Sendable (LocatedValue, inout Settings) throws(Mismatch) -> Void,
    copy: @escaping @Sendable (Settings, inout Settings) -> Void,
    effectiveText: @escaping @Sendable (Settings) -> String?,
    effectiveJSON: @escaping @Sendable (Settings) -> JSONTree?
  ) {
    self.path = path
    self.shape = shape
    self.summary = summary
    self.isRequired = traits.contains(.required)
    self.isLive = traits.contains(.live)
    self.isOfBoard = traits.contains(.ofBoard)
    self.isRemote = traits.contains(.remote)
    self.assign = assign
    self.copy = copy
    self.effectiveText = effectiveText
    self.effectiveJSON = effectiveJSON
  }
}

/// Collects the keys of a table. A builder rather than an array literal: the compiler then checks each key alone.
@resultBuilder enum SettingKeyList {
  static func buildBlock(_ keys: SettingKey...) -> [SettingKey] { keys }
}
