/// One file, as values. Later layers override earlier ones key by key.
package struct ConfigurationLayer: Sendable {
  package enum Role: Sendable, Equatable {
    case boardProfile
    case settings
    /// From afar. Keys in `pinned` stay as the other files have them, and with `isProposed` it is a fault to set one.
    case remote(pinned: Set<String>, isProposed: Bool)
  }

  package var role: Role
  package var file: String
  /// Always a table.
  package var root: LocatedValue
  /// Parts of the file could not be read, so that a key which is not here may still have been written.
  package var isPartial: Bool

  package init(role: Role, file: String, root: LocatedValue, isPartial: Bool) {
    self.role = role
    self.file = file
    self.root = root
    self.isPartial = isPartial
  }
}

extension ConfigurationReading {
  /// Checks the layers and joins them.
  /// - Parameters:
  ///   - layers: In the order of their effect: board profile, main file, what came from afar, drop-ins.
  ///   - mainFile: Named where a required key is missing.
  ///   - syntaxFaults: What was found while the layers were made.
  ///   - retired: Keys of earlier releases that files may still hold.
  ///   - hasSiteRoot: Whether the device of these settings has a site root, whose list names the receivers.
  package init(
    layers: [ConfigurationLayer], mainFile: String, syntaxFaults: [ConfigurationFault] = [],
    retired: [RetiredKey] = RetiredKey.all, hasSiteRoot: (Settings) -> Bool = { _ in false }
  ) {
    self.init(faults: syntaxFaults)
    files = layers.map(\.file)
    for key in SettingKey.all { origins[key.path] = .builtIn }
    var faulty: Set<String> = []
    for layer in layers { faulty.formUnion(read(layer, mainFile: mainFile, retired: retired)) }
    deriveDefaults()
    let isPartial = layers.contains(where: \.isPartial)
    if !isPartial {
      requireKeys(mainFile: mainFile, layers: layers, faulty: faulty)
      let hasSiteRoot = hasSiteRoot(settings)
      for rule in SettingsRule.all where !(hasSiteRoot && rule.endsWithSiteRoot) {
        faults += rule.faults(in: settings, origins, faulty: faulty)
      }
      notices += SettingsRule.notices(
        in: settings, origins, faulty: faulty, mainFile: mainFile, hasSiteRoot: hasSiteRoot)
    }
    // As a person reads the files: by layer, then by line. Rules and missing keys thereby join their lines.
    let order = Dictionary(files.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    faults = faults.enumerated().sorted { left, right in
      let a = left.element.place
      let b = right.element.place
      return (order[a.file] ?? Int.max, a.line ?? 0, a.column ?? 0, left.offset)
        < (order[b.file] ?? Int.max, b.line ?? 0, b.column ?? 0, right.offset)
    }.map(\.element)
  }

  /// - Returns: The known keys whose value is wrong.
  private mutating func read(_ layer: ConfigurationLayer, mainFile: String, retired: [RetiredKey]) -> Set<String> {
    guard case .table(let entries) = layer.root.content else { return [] }
    var reader = LayerReader(role: layer.role, retired: retired)
    for entry in entries { reader.readTopLevel(entry, into: &self) }
    // Without a version a later program could not tell what an old file meant.
    if layer.file == mainFile, !reader.hasSchema, !layer.isPartial {
      faults.append(
        ConfigurationFault(
          at: SourcePlace(file: layer.file, line: 1, column: 1), "schema is missing",
          expected: "schema = \(Settings.schemaVersion) above the first table"))
    }
    return reader.faulty
  }

  /// Keys that follow the state directory unless a file sets them.
  private mutating func deriveDefaults() {
    let keys = settings.paths.stateDirectory + "/keys/"
    if origins["patients.site_key_file"] == .builtIn { settings.patients.siteKeyFile = .file(keys + "site.key") }
    if origins["outbox.key_file"] == .builtIn { settings.outbox.keyFile = .file(keys + "outbox.key") }
  }

  private mutating func requireKeys(mainFile: String, layers: [ConfigurationLayer], faulty: Set<String>) {
    for key in SettingKey.all where key.isRequired && origins[key.path] == .builtIn && !faulty.contains(key.path) {
      let table = layers.filter { $0.role == .settings }.compactMap { $0.root.place(ofTable: key.table) }.first
      faults.append(
        ConfigurationFault(
          at: table ?? SourcePlace(file: mainFile), "\(key.path) is missing",
          expected: "\(key.name) = ... in [\(key.table)]: \(key.shape.expectation)"))
    }
  }
}

extension LocatedValue {
  fileprivate func place(ofTable name: String) -> SourcePlace? {
    guard case .table(let entries) = content else { return nil }
    return entries.first { $0.key == name }?.keyPlace
  }
}

/// Reads one layer's tables by the table of keys.
private struct LayerReader {
  let role: ConfigurationLayer.Role
  let retired: [RetiredKey]
  var hasSchema = false
  var faulty: Set<String> = []

  static let byPath = Dictionary(uniqueKeysWithValues: SettingKey.all.map { ($0.path, $0) })
  static let tables = SettingKey.all.reduce(into: [String]()) { names, key in
    if !names.contains(key.table) { names.append(key.table) }
  }

  mutating func readTopLevel(_ entry: LocatedValue.Entry, into reading: inout ConfigurationReading) {
    switch entry.key {
    case "schema":
      hasSchema = true
      readSchema(entry, into: &reading)
    case "profile" where role == .boardProfile:
      // Description for people and for `doctor`: texts that set nothing.
      break
    case let name where Self.tables.contains(name) || retired.contains { $0.table == name }:
      guard case .table(let entries) = entry.value.content else {
        reading.faults.append(
          ConfigurationFault(
            at: entry.value.place, "\(quoted(name)) is \(entry.value.summary)", expected: "a table: [\(name)]"))
        return
      }
      for inner in entries { readKey(inner, table: name, into: &reading) }
    default:
      reading.faults.append(unknown(entry, table: nil))
    }
  }

  private func readSchema(_ entry: LocatedValue.Entry, into reading: inout ConfigurationReading) {
    guard case .integer(Int64(Settings.schemaVersion)) = entry.value.content else {
      reading.faults.append(
        ConfigurationFault(
          at: entry.value.place, "schema is \(entry.value.summary)",
          expected: "\(Settings.schemaVersion), the version of the file format that this program reads"))
      return
    }
  }

  private mutating func readKey(_ entry: LocatedValue.Entry, table: String, into reading: inout ConfigurationReading) {
    var path = table + "." + entry.key
    if let old = retired.first(where: { $0.path == path }) {
      guard let successor = takeOver(old, entry, into: &reading) else { return }
      path = successor
    }
    guard let key = Self.byPath[path] else {
      reading.faults.append(unknown(entry, table: table))
      return
    }
    guard allows(key, entry, into: &reading) else { return }
    do throws(Mismatch) {
      try key.assign(entry.value, &reading.settings)
      switch role {
      case .settings:
        if case .remote(let place) = reading.origins[path] {
          reading.notices.append(
            ConfigurationFault(at: entry.keyPlace, "\(path) stands here, so that \(place) has no effect"))
        }
        reading.origins[path] = .file(entry.keyPlace)
      case .boardProfile: reading.origins[path] = .boardProfile(entry.keyPlace)
      case .remote: reading.origins[path] = .remote(entry.keyPlace)
      }
    } catch {
      faulty.insert(path)
      reading.faults.append(
        ConfigurationFault(
          at: error.place ?? entry.keyPlace, "\(path) \(error.what)", expected: error.expected,
          suggestion: error.suggestion))
    }
  }

  /// Whether this layer may set a key.
  private mutating func allows(
    _ key: SettingKey, _ entry: LocatedValue.Entry, into reading: inout ConfigurationReading
  ) -> Bool {
    switch role {
    case .settings: return true
    case .boardProfile:
      guard !key.isOfBoard else { return true }
      reading.faults.append(
        ConfigurationFault(
          at: entry.keyPlace, "\(key.path) does not belong into a board profile", expected: "it in thermograph.toml"))
    case .remote(let pinned, let isProposed):
      guard key.isRemote else {
        reading.faults.append(
          ConfigurationFault(
            at: entry.keyPlace, "\(key.path) cannot be set from afar", expected: "it in the device's own files"))
        return false
      }
      guard pinned.contains(key.path) else { return true }
      let note = ConfigurationFault(
        at: entry.keyPlace, "\(key.path) is pinned on this device", expected: "it as the device's own files say")
      if isProposed { reading.faults.append(note) } else { reading.notices.append(note) }
    }
    return false
  }

  private func mayHold(_ key: SettingKey) -> Bool {
    switch role {
    case .settings: true
    case .boardProfile: key.isOfBoard
    case .remote: key.isRemote
    }
  }

  /// Notes a key of an earlier release.
  /// - Returns: the key that its value is for; nil when it has no effect or its successor is set already.
  private func takeOver(
    _ old: RetiredKey, _ entry: LocatedValue.Entry, into reading: inout ConfigurationReading
  ) -> String? {
    guard let successor = old.successor else {
      reading.notices.append(
        ConfigurationFault(at: entry.keyPlace, "\(old.path) has no effect since \(old.since)", expected: "it removed"))
      return nil
    }
    if case .file(let place) = reading.origins[successor], place.file == entry.keyPlace.file {
      reading.faults.append(
        ConfigurationFault(
          at: entry.keyPlace, "\(old.path) is the former name of \(successor), which line \(place.line ?? 0) gives too",
          expected: "\(successor) alone"))
      return nil
    }
    reading.notices.append(
      ConfigurationFault(
        at: entry.keyPlace, "\(old.path) is called \(successor) since \(old.since)", expected: "\(successor)"))
    return successor
  }

  private func unknown(_ entry: LocatedValue.Entry, table: String?) -> ConfigurationFault {
    let isTable = if case .table = entry.value.content { true } else { false }
    let shown = TextForm.label.accepts(entry.key) ? entry.key : quoted(entry.key)
    // The same key in another table: wrongly nested, the mistake that is looked for longest.
    let elsewhere = SettingKey.all.filter { $0.name == entry.key && $0.table != table }
    if !isTable, elsewhere.count == 1 {
      return ConfigurationFault(
        at: entry.keyPlace, table.map { "unknown key \($0).\(shown)" } ?? "key \(shown) stands outside every table",
        expected: "it in [\(elsewhere[0].table)]", suggestion: elsewhere[0].path)
    }
    guard let table else {
      return ConfigurationFault(
        at: entry.keyPlace, isTable ? "unknown table [\(shown)]" : "unknown key \(shown) outside every table",
        expected: isTable ? "one of " + Self.tables.map { "[\($0)]" }.joined(separator: " ") : "only schema there",
        suggestion: nearestName(to: entry.key, among: isTable ? Self.tables : ["schema"])
      ).shortened("a table of this program")
    }
    let names = SettingKey.all.filter { $0.table == table && mayHold($0) }.map(\.name)
    return ConfigurationFault(
      at: entry.keyPlace, "unknown \(isTable ? "table" : "key") \(table).\(shown)",
      expected: "one of " + names.joined(separator: ", "), suggestion: nearestName(to: entry.key, among: names)
    ).shortened("a key of [\(table)]")
  }
}

extension ConfigurationFault {
  /// With a suggestion the whole list of names is more than anybody reads.
  fileprivate func shortened(_ expected: String) -> Self {
    guard suggestion != nil else { return self }
    var fault = self
    fault.expected = expected
    return fault
  }
}
