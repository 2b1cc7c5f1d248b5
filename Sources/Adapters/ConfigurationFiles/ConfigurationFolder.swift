import Configuration

/// The configuration files of a device: the main file, the drop-ins beside it and the board profile they name.
package struct ConfigurationFolder: Sendable {
  /// `conf.d/*.toml` in the same folder are drop-ins, read after it in the byte order of their names.
  package var mainFile: String
  /// `$CREDENTIALS_DIRECTORY`, for secrets given as `credential:NAME`.
  package var credentialsDirectory: String?

  package static let installedMainFile = "/etc/thermograph/thermograph.toml"

  package init(mainFile: String = Self.installedMainFile, credentialsDirectory: String? = nil) {
    self.mainFile = mainFile
    self.credentialsDirectory = credentialsDirectory
  }

  /// Reads and checks every file. Does not fail: what is wrong is in `faults`.
  package func read() -> ConfigurationReading {
    ConfigurationReading(faults: [
      ConfigurationFault(at: SourcePlace(file: mainFile), "not read")
    ])
  }
}
