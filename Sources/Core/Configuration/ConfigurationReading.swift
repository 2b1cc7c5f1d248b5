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
  package func json(effective: Bool, files fileFaults: [ConfigurationFault]? = nil) -> JSONTree {
    var members: [String: JSONTree] = [
      "usable": .boolean(isUsable), "files": .strings(files), "faults": .array(faults.map(\.json)),
      "notices": .array(notices.map(\.json)),
    ]
    members["file_faults"] = fileFaults.map { .array($0.map(\.json)) }
    if effective {
      var values: [String: JSONTree] = [:]
      for key in SettingKey.all {
        guard let value = key.effectiveJSON(settings) else { continue }
        var setting = ["value": value]
        setting["origin"] = origins[key.path].map { .string("\($0)") }
        values[key.path] = .object(setting)
      }
      members["settings"] = .object(values)
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
    case .remote(let place): "from afar, \(place)"
    }
  }
}

extension ConfigurationFault {
  package var json: JSONTree {
    var members: [String: JSONTree] = ["file": .string(place.file), "what": .string(what)]
    members["line"] = place.line.map { .integer($0) }
    members["column"] = place.column.map { .integer($0) }
    members["expected"] = expected.map { .string($0) }
    members["suggestion"] = suggestion.map { .string($0) }
    return .object(members)
  }
}
