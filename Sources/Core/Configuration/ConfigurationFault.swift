/// A place in a configuration file. Lines and columns count from 1; a column counts Unicode scalars.
package struct SourcePlace: Sendable, Hashable {
  package var file: String
  /// `nil` when the fault is of the whole file: missing, unreadable, too large.
  package var line: Int?
  package var column: Int?

  package init(file: String, line: Int? = nil, column: Int? = nil) {
    self.file = file
    self.line = line
    self.column = column
  }
}

extension SourcePlace: CustomStringConvertible {
  package var description: String {
    var text = file
    if let line { text += ":\(line)" }
    if line != nil, let column { text += ":\(column)" }
    return text
  }
}

/// One mistake in the configuration, for the person who repairs it.
package struct ConfigurationFault: Error, Sendable, Hashable {
  package var place: SourcePlace
  /// What is wrong: the key and the value that was found.
  package var what: String
  /// What would be right.
  package var expected: String?
  /// The known name that was probably meant.
  package var suggestion: String?

  package init(at place: SourcePlace, _ what: String, expected: String? = nil, suggestion: String? = nil) {
    self.place = place
    self.what = what
    self.expected = expected
    self.suggestion = suggestion
  }
}

extension ConfigurationFault: CustomStringConvertible {
  /// `file:line:column: what; expected what; did you mean "name"?`
  package var description: String {
    var text = "\(place): \(what)"
    if let expected { text += "; expected \(expected)" }
    if let suggestion { text += "; did you mean \"\(suggestion)\"?" }
    return text
  }
}

extension ConfigurationFault {
  package static func unknownBoard(
    _ board: String, known: [String], directory: String, at place: SourcePlace
  ) -> ConfigurationFault {
    ConfigurationFault(
      at: place, "device.board is \(quoted(board)), and \(directory) has no such profile",
      expected: known.isEmpty ? "a profile there" : alternatives(known.map(quoted)),
      suggestion: nearestName(to: board, among: known))
  }
}

/// Where an effective value comes from.
package enum SettingOrigin: Sendable, Hashable {
  case builtIn
  case boardProfile(SourcePlace)
  case file(SourcePlace)
  /// The configuration that came from afar.
  case remote(SourcePlace)

  /// Where it stands; nil: in no file.
  package var place: SourcePlace? {
    switch self {
    case .builtIn: nil
    case .boardProfile(let place), .file(let place), .remote(let place): place
    }
  }
}

/// What the files of a device say.
package struct ConfigurationReading: Sendable {
  /// Meaningful as a whole only when `faults` is empty. Otherwise a faulty key holds its default, which is enough for
  /// safe mode: log level, paths and the device's identity as far as they could be read.
  package var settings: Settings
  /// In the order of files and lines. Any fault makes the configuration unusable.
  package var faults: [ConfigurationFault]
  /// Worth a look, but usable.
  package var notices: [ConfigurationFault]
  /// By dotted key, for every known key.
  package var origins: [String: SettingOrigin]
  /// Files that were read, in the order of their effect.
  package var files: [String]

  package init(
    settings: Settings = Settings(), faults: [ConfigurationFault] = [], notices: [ConfigurationFault] = [],
    origins: [String: SettingOrigin] = [:], files: [String] = []
  ) {
    self.settings = settings
    self.faults = faults
    self.notices = notices
    self.origins = origins
    self.files = files
  }

  package var isUsable: Bool { faults.isEmpty }
}
