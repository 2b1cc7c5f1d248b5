import Configuration
import LocalFiles

/// A folder that a technician prepared on any PC, on the boot partition or a stick: configuration, certificates, site
/// key, roster. Reading it twice changes nothing the second time.
package struct ProvisioningFolder: Sendable {
  package static let reportName = "import-report.txt"
  private static let maximumFileBytes = 1_048_576
  private static let maximumNames = 256

  /// Where the files come from.
  package var source: String
  /// `/etc/thermograph`.
  package var configurationDirectory: String
  /// Runs the writes below the state directory as the user that owns it. Root must not write there itself: the service
  /// could have laid a link in its way.
  package var asOwner: @Sendable (() throws(FileError) -> Void) throws(FileError) -> Void

  package init(
    source: String, configurationDirectory: String,
    asOwner: @escaping @Sendable (() throws(FileError) -> Void) throws(FileError) -> Void = {
      (body) throws(FileError) in try body()
    }
  ) {
    self.source = source
    self.configurationDirectory = configurationDirectory
    self.asOwner = asOwner
  }

  /// What became of one file of the folder.
  package struct Outcome: Sendable, Equatable {
    package enum Result: Sendable, Equatable {
      case installed
      case unchanged
      /// Nothing of the folder has been installed, or not this file; the text says why and what to do.
      case refused(String)
    }

    /// Relative to the folder.
    package var name: String
    package var result: Result
  }

  package struct Report: Sendable, Equatable {
    package var outcomes: [Outcome] = []
    /// Mistakes of the configuration as it would be. With any, nothing was installed.
    package var faults: [ConfigurationFault] = []
    package var notices: [ConfigurationFault] = []

    package var isSuccess: Bool {
      faults.isEmpty && outcomes.allSatisfy { if case .refused = $0.result { false } else { true } }
    }

    /// For people at a PC: lines end with CR LF.
    package var text: String {
      var lines = [
        isSuccess ? "Thermograph import: everything is in place." : "Thermograph import: NOT everything is in place."
      ]
      lines += faults.map { "mistake: \($0)" } + notices.map { "note: \($0)" }
      for outcome in outcomes {
        switch outcome.result {
        case .installed: lines.append("\(outcome.name): installed")
        case .unchanged: lines.append("\(outcome.name): in place already")
        case .refused(let reason): lines.append("\(outcome.name): REFUSED, \(reason)")
        }
        if outcome.name == "site.key" {
          lines.append("  delete site.key from this folder: whoever has it can link tags to pseudonyms")
        }
      }
      return lines.map { $0 + "\r\n" }.joined()
    }
  }

  /// One file and where it goes.
  private struct Item {
    enum Kind {
      case configuration, certificate, siteKey, roster
    }

    var name: String
    var kind: Kind
    var bytes: [UInt8]
    var destination: String
  }

  /// Checks everything first; with a mistake in the configuration nothing is installed.
  package func install() throws(FileError) -> Report {
    var report = Report()
    var items = try collect(&report)
    var folder = ConfigurationFolder(mainFile: configurationDirectory + "/thermograph.toml")
    for item in items where item.kind == .configuration { folder.overlay[item.destination] = item.bytes }
    let reading = folder.read()
    report.notices = reading.notices.map(asInSource)
    guard reading.isUsable else {
      report.faults = reading.faults.map(asInSource)
      report.outcomes += items.map { Outcome(name: $0.name, result: .refused("the configuration has a mistake")) }
      return report
    }
    for index in items.indices {
      switch items[index].kind {
      case .siteKey: items[index].destination = filePath(reading.settings.patients.siteKeyFile) ?? ""
      case .roster: items[index].destination = reading.settings.patients.rosterFile ?? ""
      case .configuration, .certificate: break
      }
    }
    // The main file last: until then the device has its old configuration, whole.
    let order: (Item) -> Int = { $0.destination.hasSuffix("/thermograph.toml") ? 1 : 0 }
    for item in items.sorted(by: { (order($0), $0.name) < (order($1), $1.name) }) {
      report.outcomes.append(Outcome(name: item.name, result: put(item)))
    }
    return report
  }

  private func filePath(_ reference: SecretReference) -> String? {
    if case .file(let path) = reference { path } else { nil }
  }

  /// Faults name the place where the file would be; the technician looks at the folder.
  private func asInSource(_ fault: ConfigurationFault) -> ConfigurationFault {
    var fault = fault
    if fault.place.file.hasPrefix(configurationDirectory + "/") {
      fault.place.file = String(fault.place.file.dropFirst(configurationDirectory.count + 1))
    }
    return fault
  }
}

// MARK: - Reading the folder

extension ProvisioningFolder {
  private func collect(_ report: inout Report) throws(FileError) -> [Item] {
    var items: [Item] = []
    for name in try Folder.names(in: source, maximumNames: Self.maximumNames) {
      // Traces of other systems, and the last report.
      if name.hasPrefix(".") || name == "System Volume Information" || name == Self.reportName { continue }
      if name == "conf.d" {
        for inner in try Folder.names(in: source + "/conf.d", maximumNames: Self.maximumNames)
        where !inner.hasPrefix(".") {
          collect("conf.d/" + inner, isConfiguration: inner.hasSuffix(".toml"), &items, &report)
        }
      } else {
        collect(name, isConfiguration: name == "thermograph.toml", &items, &report)
      }
    }
    return items
  }

  private func collect(_ name: String, isConfiguration: Bool, _ items: inout [Item], _ report: inout Report) {
    func refuse(_ reason: String) { report.outcomes.append(Outcome(name: name, result: .refused(reason))) }
    let kind: Item.Kind
    switch name {
    case "site.key": kind = .siteKey
    case "roster.csv": kind = .roster
    case _ where isConfiguration: kind = .configuration
    case _ where name.hasSuffix(".pem"): kind = .certificate
    default:
      return refuse("not a file that an import knows: thermograph.toml, conf.d/*.toml, *.pem, site.key, roster.csv")
    }
    do throws(FileError) {
      let bytes = try BoundedFile.read(source + "/" + name, maximumBytes: Self.maximumFileBytes)
      if kind == .certificate, String(decoding: bytes, as: UTF8.self).contains("PRIVATE KEY") {
        return refuse("holds a private key; a device makes its own and never gets one")
      }
      items.append(Item(name: name, kind: kind, bytes: bytes, destination: configurationDirectory + "/" + name))
    } catch {
      refuse(error.reason)
    }
  }
}

// MARK: - Writing

extension ProvisioningFolder {
  private func put(_ item: Item) -> Outcome.Result {
    do throws(FileError) {
      switch item.kind {
      case .configuration, .certificate:
        return try replace(item, mode: 0o644)
      case .siteKey:
        guard !item.destination.isEmpty else {
          return .refused("patients.site_key_file is a credential of systemd, which an import does not set")
        }
        if let old = try current(item.destination), old != item.bytes {
          return .refused("another key is in use and every pseudonym would change; remove \(item.destination) first")
        }
        return try replacePrivately(item)
      case .roster:
        guard !item.destination.isEmpty else { return .refused("patients.roster_file is not set") }
        return try replacePrivately(item)
      }
    } catch {
      return .refused("\(error)")
    }
  }

  private func current(_ path: String) throws(FileError) -> [UInt8]? {
    do throws(FileError) {
      return try BoundedFile.read(path, maximumBytes: Self.maximumFileBytes)
    } catch {
      if error.isMissing { return nil }
      throw error
    }
  }

  private func replace(_ item: Item, mode: UInt32) throws(FileError) -> Outcome.Result {
    if try current(item.destination) == item.bytes { return .unchanged }
    if item.name.hasPrefix("conf.d/") { try Folder.make(configurationDirectory + "/conf.d", mode: 0o755) }
    try BoundedFile.replace(item.destination, with: item.bytes, mode: mode)
    return .installed
  }

  private func replacePrivately(_ item: Item) throws(FileError) -> Outcome.Result {
    var result = Outcome.Result.unchanged
    try asOwner { () throws(FileError) in
      if let slash = item.destination.lastIndex(of: "/") {
        try Folder.make(String(item.destination[..<slash]), mode: 0o700)
      }
      result = try replace(item, mode: 0o600)
    }
    return result
  }
}
