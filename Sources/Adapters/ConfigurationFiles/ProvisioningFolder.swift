import Configuration
import LocalFiles

/// A folder that a technician prepared on any PC, on the boot partition or a stick: configuration, certificates, site
/// key, roster. Reading it twice changes nothing the second time.
///
/// Whoever had the stick may have prepared it to harm: no link in it is followed, nothing but a file is read, and nothing is
/// installed that was not understood.
package struct ProvisioningFolder: Sendable {
  package static let reportName = "import-report.txt"
  private static let maximumFileBytes = 1_048_576
  private static let maximumNames = 256

  /// Where the files come from.
  package var source: String
  /// `/etc/thermograph`.
  package var configurationDirectory: String
  /// What is wrong with the content of a file; the configuration is judged as a whole instead.
  package var examine: @Sendable (Kind, [UInt8]) -> Examination
  /// Runs the writes below the state directory as the user that owns it. Root must not write there itself: the service
  /// could have laid a link in its way.
  package var asOwner: @Sendable (() throws(FileError) -> Void) throws(FileError) -> Void

  /// What waits for delivery on this device under its present configuration.
  package enum Backlog: Sendable, Equatable {
    case none
    case captures(Int)
    /// It cannot be looked at: to be treated as if captures waited.
    case unknown(String)
  }

  /// Asked only when the folder changes where captures go or who is believed.
  package var backlog: @Sendable (Settings) -> Backlog = { _ in .none }
  /// Why these files, by name, are not signed by the site; nil when they are. Asked where `import.require_signature` says so
  /// (`isDemanded`), and where the installed configuration can no longer say whether it does.
  package var unsigned:
    @Sendable (_ present: Settings, _ files: [(name: String, bytes: [UInt8])], _ isDemanded: Bool) -> String? = {
      $2 ? "nothing here can check a signature" : nil
    }
  /// A technician at the device has seen what changes.
  package var isConfirmed = false

  package init(
    source: String, configurationDirectory: String, examine: @escaping @Sendable (Kind, [UInt8]) -> Examination,
    asOwner: @escaping @Sendable (() throws(FileError) -> Void) throws(FileError) -> Void = {
      (body) throws(FileError) in try body()
    }
  ) {
    self.source = source
    self.configurationDirectory = configurationDirectory
    self.examine = examine
    self.asOwner = asOwner
  }

  /// What a file is for.
  package enum Kind: Sendable {
    case configuration, certificate, receiverKeys, siteKey, roster
  }

  /// What a look at a file's content found.
  package struct Examination: Sendable, Equatable {
    /// Why it must not be installed; nil when it may be.
    package var fault: String?
    /// What a person should know of it all the same.
    package var notes: [String]

    package init(fault: String? = nil, notes: [String] = []) {
      self.fault = fault
      self.notes = notes
    }
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
    /// Of the content of other files, each with the file's name.
    package var notes: [String] = []

    package var isSuccess: Bool {
      faults.isEmpty && outcomes.allSatisfy { if case .refused = $0.result { false } else { true } }
    }

    /// For people at a PC: lines end with CR LF.
    package var text: String {
      var lines = [
        isSuccess ? "Thermograph import: everything is in place." : "Thermograph import: NOT everything is in place."
      ]
      lines += faults.map { "mistake: \($0)" } + notices.map { "note: \($0)" } + notes.map { "note: \($0)" }
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
    var name: String
    var kind: Kind
    var bytes: [UInt8]
    var destination: String
  }

  /// Checks everything first. With a mistake in the configuration, or a file whose content cannot be read or is not what
  /// its name says, nothing is installed: the files of a folder belong together.
  package func install() throws(FileError) -> Report {
    var report = Report()
    var (items, spoilt) = try collect(&report)
    for item in items {
      let examination = examine(item.kind, item.bytes)
      report.notes += examination.notes.map { "\(item.name): \($0)" }
      guard let fault = examination.fault else { continue }
      report.outcomes.append(Outcome(name: item.name, result: .refused(fault)))
      spoilt.append(item.name)
    }
    items.removeAll { spoilt.contains($0.name) }
    guard spoilt.isEmpty else {
      let reason = "nothing is installed while there is a fault in \(spoilt.joined(separator: ", "))"
      report.outcomes += items.map { Outcome(name: $0.name, result: .refused(reason)) }
      return report
    }
    var folder = ConfigurationFolder(mainFile: configurationDirectory + "/thermograph.toml")
    for item in items where item.kind == .configuration { folder.overlay[item.destination] = item.bytes }
    let reading = folder.read()
    report.notices = reading.notices.map(asInSource)
    guard reading.isUsable else {
      report.faults = reading.faults.map(asInSource)
      report.outcomes += items.map { Outcome(name: $0.name, result: .refused("the configuration has a mistake")) }
      return report
    }
    if let reason = reasonOfSignature(items) ?? reasonToWait(items, reading.settings) {
      report.outcomes += items.map { Outcome(name: $0.name, result: .refused(reason)) }
      return report
    }
    for index in items.indices {
      switch items[index].kind {
      case .siteKey: items[index].destination = filePath(reading.settings.patients.siteKeyFile) ?? ""
      case .roster: items[index].destination = reading.settings.patients.rosterFile ?? ""
      case .configuration, .certificate, .receiverKeys: break
      }
    }
    // The main file last: until then the device has its old configuration, whole.
    let order: (Item) -> Int = { $0.destination.hasSuffix("/thermograph.toml") ? 1 : 0 }
    for item in items.sorted(by: { (order($0), $0.name) < (order($1), $1.name) }) {
      report.outcomes.append(Outcome(name: item.name, result: put(item)))
    }
    return report
  }

  /// What is installed decides whether a signature is needed, not the folder.
  private func reasonOfSignature(_ items: [Item]) -> String? {
    let present = ConfigurationFolder(mainFile: configurationDirectory + "/thermograph.toml").read()
    let isDemanded = present.settings.imports.requireSignature
    guard isDemanded || !present.isUsable, !items.isEmpty else { return nil }
    guard let reason = unsigned(present.settings, items.map { ($0.name, $0.bytes) }, isDemanded) else { return nil }
    return "import.require_signature: \(reason); what waits for delivery stays"
  }

  /// Whoever may write a boot partition could send what waits on the card to a broker of their own. So a folder that changes
  /// broker, authority, receivers or key is taken only when nothing waits, or when somebody at the device says so.
  private func reasonToWait(_ items: [Item], _ wanted: Settings) -> String? {
    let present = ConfigurationFolder(mainFile: configurationDirectory + "/thermograph.toml").read()
    guard !isConfirmed, present.isUsable, present.settings.broker.host != nil else { return nil }
    var changes = Self.changesOfTrust(from: present.settings, to: wanted)
    for item in items where item.kind == .certificate || item.kind == .receiverKeys {
      let isSame: Bool
      do { isSame = try current(item.destination) == item.bytes } catch { isSame = false }
      let files = [
        present.settings.broker.caFile, present.settings.broker.certificateFile, present.settings.receipts.keysFile,
      ]
      if !isSame, files.contains(item.destination) { changes.append(item.name) }
    }
    guard !changes.isEmpty else { return nil }
    let what = "it changes \(changes.joined(separator: ", "))"
    let remedy = "deliver or export them first, or run 'thermograph import \(source) --confirm' on the device"
    switch backlog(present.settings) {
    case .none: return nil
    case .captures(let count): return "\(what) while \(count) captures wait for delivery; \(remedy)"
    case .unknown(let reason): return "\(what), and what waits cannot be looked at (\(reason)); \(remedy)"
    }
  }

  private static func changesOfTrust(from old: Settings, to new: Settings) -> [String] {
    let (before, after) = (old.broker, new.broker)
    let pairs: [(String, Bool)] = [
      ("broker.host", before.host != after.host), ("broker.port", before.effectivePort != after.effectivePort),
      ("broker.allow_plaintext", before.allowPlaintext != after.allowPlaintext),
      ("broker.ca_file", before.caFile != after.caFile),
      ("broker.certificate_file", before.certificateFile != after.certificateFile),
      ("broker.key_file", before.keyFile != after.keyFile), ("broker.user_name", before.userName != after.userName),
      ("broker.password_file", before.passwordFile != after.passwordFile),
      ("broker.topics", before.topics != after.topics),
      ("broker.confirm", before.delivery.confirm != after.delivery.confirm),
      ("delivery.receiver_keys_file", old.receipts.keysFile != new.receipts.keysFile),
      ("delivery.require_signed_receipts", old.receipts.needSignatures != new.receipts.needSignatures),
      ("remote.command_keys_file", old.remote.commandKeysFile != new.remote.commandKeysFile),
      ("remote.configuration_keys_file", old.remote.configurationKeysFile != new.remote.configurationKeysFile),
      ("device.id", old.device.id != new.device.id), ("device.site", old.device.site != new.device.site),
      ("outbox.key_file", old.outbox.keyFile != new.outbox.keyFile),
      ("patients.site_key_file", old.patients.siteKeyFile != new.patients.siteKeyFile),
    ]
    return pairs.filter(\.1).map(\.0)
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
  /// The files that an import knows, and the names of those that it knows and cannot read.
  private func collect(_ report: inout Report) throws(FileError) -> (items: [Item], spoilt: [String]) {
    var items: [Item] = []
    var spoilt: [String] = []
    let folder = try OpenFolder(withoutLinks: source)
    for name in try folder.names(maximumNames: Self.maximumNames) {
      // Traces of other systems, and the last report.
      if name.hasPrefix(".") || name == "System Volume Information" || name == Self.reportName { continue }
      // The site's signatures, which are looked at on their own.
      if ["metadata", "targets", "trust.json", "site-root.json"].contains(name) { continue }
      if name == "conf.d" {
        guard let dropIns = try folder.folder(name) else { continue }
        for inner in try dropIns.names(maximumNames: Self.maximumNames) where !inner.hasPrefix(".") {
          let kind: Kind? = inner.hasSuffix(".toml") ? .configuration : nil
          collect(inner, in: dropIns, as: "conf.d/" + inner, kind, &items, &spoilt, &report)
        }
      } else {
        collect(name, in: folder, as: name, Self.kind(of: name), &items, &spoilt, &report)
      }
    }
    return (items, spoilt)
  }

  private static func kind(of name: String) -> Kind? {
    switch name {
    case "thermograph.toml": .configuration
    case "site.key": .siteKey
    case "receivers.pem": .receiverKeys
    case "roster.csv": .roster
    default: name.hasSuffix(".pem") ? .certificate : nil
    }
  }

  /// Names that are installed as they are: others could move a terminal's cursor or mislead a person.
  private static func isPlain(_ name: String) -> Bool {
    name.utf8.count <= 100
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }

  private func collect(
    _ name: String, in folder: borrowing OpenFolder, as shown: String, _ kind: Kind?, _ items: inout [Item],
    _ spoilt: inout [String], _ report: inout Report
  ) {
    guard Self.isPlain(name) else {
      let safe = String(decoding: shown.utf8.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
      return report.outcomes.append(
        Outcome(name: safe, result: .refused("its name has other characters than A-Z, a-z, 0-9, '.', '_' and '-'")))
    }
    func refuse(_ reason: String) { report.outcomes.append(Outcome(name: shown, result: .refused(reason))) }
    guard let kind else {
      return refuse("not a file that an import knows: thermograph.toml, conf.d/*.toml, *.pem, site.key, roster.csv")
    }
    do throws(FileError) {
      let bytes = try folder.read(name, maximumBytes: Self.maximumFileBytes)
      if kind == .certificate || kind == .receiverKeys, String(decoding: bytes, as: UTF8.self).contains("PRIVATE KEY") {
        return refuse("holds a private key; a device makes its own and never gets one")
      }
      items.append(Item(name: shown, kind: kind, bytes: bytes, destination: configurationDirectory + "/" + shown))
    } catch {
      refuse(error.reason)
      spoilt.append(shown)
    }
  }

  /// Leaves the report in the folder.
  package func leave(_ report: Report) throws(FileError) {
    try OpenFolder(withoutLinks: source).replace(Self.reportName, with: Array(report.text.utf8), mode: 0o644)
  }
}

// MARK: - Writing

extension ProvisioningFolder {
  private func put(_ item: Item) -> Outcome.Result {
    do throws(FileError) {
      switch item.kind {
      case .configuration, .certificate, .receiverKeys:
        return try replace(item, mode: 0o644)
      case .siteKey:
        guard !item.destination.isEmpty else {
          return .refused("patients.site_key_file is a credential of systemd, which an import does not set")
        }
        // Asked as the owner too: the folder's own configuration may name a file that is closed to it.
        var old: [UInt8]?
        try asOwner { () throws(FileError) in old = try current(item.destination) }
        if let old, old != item.bytes {
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
    try BoundedFile.readIfThere(path, maximumBytes: Self.maximumFileBytes)
  }

  private func replace(_ item: Item, mode: UInt32) throws(FileError) -> Outcome.Result {
    if try current(item.destination) == item.bytes { return .unchanged }
    if item.name.hasPrefix("conf.d/") { try Folder.make(configurationDirectory + "/conf.d", mode: 0o755) }
    // The service reads it, whatever the mask of who imports.
    try BoundedFile.replace(item.destination, with: item.bytes, mode: mode, isModeExact: true)
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
