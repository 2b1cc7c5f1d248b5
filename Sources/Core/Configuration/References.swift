/// Where a secret is. Configuration never holds the secret itself.
package enum SecretReference: Sendable, Equatable {
  /// Absolute path; only its owner may read it.
  case file(String)
  /// `credential:NAME` in the file: NAME below `$CREDENTIALS_DIRECTORY`, which systemd makes for the service.
  case credential(String)

  private static let credentialPrefix = "credential:"

  /// - Returns: `nil` when `text` is neither an absolute path nor `credential:` and a name of letters, digits, `.`,
  ///   `_` and `-` that does not start with a dot.
  package init?(_ text: String) {
    if text.hasPrefix(Self.credentialPrefix) {
      let name = text.dropFirst(Self.credentialPrefix.count)
      let allowed = name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
      guard !name.isEmpty, name.utf8.count <= 128, !name.hasPrefix("."), allowed else { return nil }
      self = .credential(String(name))
    } else {
      guard text.hasPrefix("/"), !text.utf8.contains(0) else { return nil }
      self = .file(text)
    }
  }

  /// The text that the configuration file would hold.
  package var configurationText: String {
    switch self {
    case .file(let path): path
    case .credential(let name): Self.credentialPrefix + name
    }
  }

  /// The file to open.
  /// - Parameter credentialsDirectory: `$CREDENTIALS_DIRECTORY`.
  /// - Returns: `nil` for a credential when systemd passed none.
  package func path(credentialsDirectory: String?) -> String? {
    switch self {
    case .file(let path): path
    case .credential(let name): credentialsDirectory.map { "\($0)/\(name)" }
    }
  }
}

/// One GPIO line of a chip.
package enum PinReference: Sendable, Equatable {
  /// As the device tree names it, `GPIO17`.
  case name(String)
  case offset(Int)

  package static let offsets = 0...511
}
