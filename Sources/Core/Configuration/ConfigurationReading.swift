/// What `thermograph check` prints.
extension ConfigurationReading {
  /// The effective values as a TOML file, each with the place it comes from. It reads back as the same settings.
  package func effectiveListing() -> String {
    var lines = ["schema = \(Settings.schemaVersion)"]
    var table = ""
    for key in SettingKey.all {
      if key.table != table {
        table = key.table
        lines += ["", "[\(table)]"]
      }
      let setting = key.effectiveText(settings).map { "\(key.name) = \($0)" } ?? "# \(key.name) is not set"
      let comment = origins[key.path].map { "# \($0)" } ?? ""
      let padding = String(repeating: " ", count: max(1, 56 - setting.unicodeScalars.count))
      lines.append(key.effectiveText(settings) == nil ? setting : setting + padding + comment)
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// - Parameters:
  ///   - effective: Adds the values and their origins.
  ///   - files: what is wrong with the files that the settings name; nil where nobody looked.
  package func json(effective: Bool, files fileFaults: [ConfigurationFault]? = nil) -> JSONText {
    var members: [(String, JSONText)] = [
      ("usable", .boolean(isUsable)),
      ("files", .array(files.map { .string($0) })),
      ("faults", .array(faults.map(\.json))),
      ("notices", .array(notices.map(\.json))),
    ]
    if let fileFaults { members.append(("file_faults", .array(fileFaults.map(\.json)))) }
    if effective {
      let values = SettingKey.all.compactMap { key -> (String, JSONText)? in
        guard let value = key.effectiveJSON(settings) else { return nil }
        let origin = origins[key.path].map { JSONText.string("\($0)") }
        return (key.path, .object([("value", value)] + (origin.map { [("origin", $0)] } ?? [])))
      }
      members.append(("settings", .object(values)))
    }
    return .object(members)
  }

  /// The effective values alone, in a fixed order: what the hash in a record is taken of, so that two devices with the
  /// same behaviour have the same hash whichever files they were set up from.
  package var canonicalText: String {
    SettingKey.all.compactMap { key in key.effectiveText(settings).map { "\(key.path) = \($0)\n" } }.joined()
  }
}

extension SettingOrigin: CustomStringConvertible {
  package var description: String {
    switch self {
    case .builtIn: "built in"
    case .boardProfile(let place), .file(let place): "\(place)"
    }
  }
}

extension ConfigurationFault {
  package var json: JSONText {
    var members: [(String, JSONText)] = [("file", .string(place.file))]
    if let line = place.line { members.append(("line", .integer(line))) }
    if let column = place.column { members.append(("column", .integer(column))) }
    members.append(("what", .string(what)))
    if let expected { members.append(("expected", .string(expected))) }
    if let suggestion { members.append(("suggestion", .string(suggestion))) }
    return .object(members)
  }
}
