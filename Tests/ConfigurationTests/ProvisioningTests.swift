import Configuration
import ConfigurationFiles
import Foundation
import LocalFiles
import Synchronization
import Testing

@Suite struct ProvisioningTests {
  /// A prepared folder `stick`, an empty `etc`, and a state folder.
  private static func prepare() throws -> Scratch {
    let scratch = try Scratch()
    for folder in ["etc", "state"] {
      try FileManager.default.createDirectory(atPath: scratch.folder + "/" + folder, withIntermediateDirectories: true)
    }
    try scratch.write(
      identity + "[paths]\nstate_directory = \"\(scratch.folder)/state\"\n"
        + "[patients]\nroster_file = \"\(scratch.folder)/state/roster.csv\"\n", to: "stick/thermograph.toml")
    try scratch.write("[log]\nlevel = \"debug\"\n", to: "stick/conf.d/10-log.toml")
    try scratch.write("a certificate\n", to: "stick/ca.pem")
    try scratch.write([UInt8](repeating: 7, count: 32), to: "stick/site.key")
    try scratch.write("tag,id\n", to: "stick/roster.csv")
    try scratch.write("", to: "stick/.DS_Store")
    return scratch
  }

  private static func install(_ scratch: Scratch) throws -> ProvisioningFolder.Report {
    try ProvisioningFolder(
      source: scratch.folder + "/stick", configurationDirectory: scratch.folder + "/etc", examine: Self.examine
    ).install()
  }

  /// The program's own reads certificates, keys and rosters; here it is a whole file of one word: a part of a file may
  /// be a random path, and that may hold any word of the letters a to f.
  @Sendable private static func examine(
    _ kind: ProvisioningFolder.Kind, _ content: [UInt8]
  ) -> ProvisioningFolder.Examination {
    let text = String(decoding: content, as: UTF8.self)
    return ProvisioningFolder.Examination(
      fault: text == "bad" ? "is bad" : nil, notes: text == "odd" ? ["is odd"] : [])
  }

  private static func content(_ scratch: Scratch, _ name: String) -> Data? {
    FileManager.default.contents(atPath: scratch.folder + "/" + name)
  }

  private static func names(_ report: ProvisioningFolder.Report, _ result: ProvisioningFolder.Outcome.Result)
    -> [String]
  {
    report.outcomes.filter { $0.result == result }.map(\.name)
  }

  @Test func everythingArrivesOnce() throws {
    let scratch = try Self.prepare()
    let first = try Self.install(scratch)
    let all = ["ca.pem", "conf.d/10-log.toml", "roster.csv", "site.key", "thermograph.toml"]
    #expect(first.isSuccess && Self.names(first, .installed) == all, "\(first.text)")
    for (source, destination) in [
      ("thermograph.toml", "etc/thermograph.toml"), ("conf.d/10-log.toml", "etc/conf.d/10-log.toml"),
      ("ca.pem", "etc/ca.pem"), ("site.key", "state/keys/site.key"), ("roster.csv", "state/roster.csv"),
    ] {
      let arrived = try #require(Self.content(scratch, destination))
      #expect(arrived == Self.content(scratch, "stick/" + source))
    }
    for secret in ["keys/site.key", "roster.csv"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: scratch.folder + "/state/" + secret)
      #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
    #expect(ConfigurationFolder(mainFile: scratch.folder + "/etc/thermograph.toml").read().settings.log.level == .debug)

    let second = try Self.install(scratch)
    #expect(second.isSuccess && Self.names(second, .unchanged) == all, "\(second.text)")
  }

  @Test func aMistakeInstallsNothing() throws {
    let scratch = try Self.prepare()
    try scratch.write("[log]\nlevel = \"loud\"\n", to: "stick/conf.d/10-log.toml")
    let report = try Self.install(scratch)
    #expect(!report.isSuccess)
    #expect(report.faults.map(\.description).first?.hasPrefix("conf.d/10-log.toml:2:9: log.level is \"loud\"") == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder + "/etc") == [])
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder + "/state") == [])
    #expect(report.text.contains("NOT everything") && report.text.hasSuffix("\r\n"))
  }

  /// The folder is judged together with what is installed already.
  @Test func aDropInAloneIsCheckedAgainstTheInstalledFile() throws {
    let scratch = try Self.prepare()
    _ = try Self.install(scratch)
    for name in ["thermograph.toml", "site.key", "roster.csv", "ca.pem"] {
      try FileManager.default.removeItem(atPath: scratch.folder + "/stick/" + name)
    }
    try scratch.write("[broker]\nhost = \"cloud.example\"\n", to: "stick/conf.d/10-log.toml")
    #expect(try Self.install(scratch).faults.first?.place.file == "conf.d/10-log.toml")
    try scratch.write("[broker]\nhost = \"localhost\"\n", to: "stick/conf.d/10-log.toml")
    #expect(try Self.install(scratch).isSuccess)
    #expect(
      ConfigurationFolder(mainFile: scratch.folder + "/etc/thermograph.toml").read().settings.broker.host == "localhost"
    )
  }

  @Test func anotherSiteKeyIsRefused() throws {
    let scratch = try Self.prepare()
    _ = try Self.install(scratch)
    try scratch.write([UInt8](repeating: 8, count: 32), to: "stick/site.key")
    let report = try Self.install(scratch)
    #expect(!report.isSuccess)
    #expect(report.text.contains("site.key: REFUSED, another key is in use and every pseudonym would change"))
    #expect(Self.content(scratch, "state/keys/site.key") == Data(repeating: 7, count: 32))
  }

  @Test func privateKeysAndUnknownFilesAreRefusedByName() throws {
    let scratch = try Self.prepare()
    try scratch.write("-----BEGIN PRIVATE KEY-----\n", to: "stick/device.pem")
    try scratch.write("", to: "stick/thermograph.toml.txt")
    let report = try Self.install(scratch)
    let refused = report.outcomes.filter { if case .refused = $0.result { true } else { false } }.map(\.name)
    #expect(refused == ["device.pem", "thermograph.toml.txt"])
    #expect(Self.content(scratch, "etc/device.pem") == nil)
    // The rest is in place: a stray file must not keep a device from its configuration.
    #expect(Self.content(scratch, "etc/thermograph.toml") != nil)
  }

  @Test func aFileThatIsNotUnderstoodInstallsNothing() throws {
    for name in ["ca.pem", "site.key", "roster.csv"] {
      let scratch = try Self.prepare()
      try scratch.write("bad", to: "stick/" + name)
      let report = try Self.install(scratch)
      #expect(!report.isSuccess && report.text.contains("\(name): REFUSED, is bad\r\n"), "\(report.text)")
      #expect(report.text.contains("thermograph.toml: REFUSED, nothing is installed while there is a fault in \(name)"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder + "/etc") == [])
      #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder + "/state") == [])
    }
    let scratch = try Self.prepare()
    try scratch.write("odd", to: "stick/roster.csv")
    let report = try Self.install(scratch)
    #expect(report.isSuccess && report.text.contains("note: roster.csv: is odd\r\n"), "\(report.text)")
  }

  /// A stolen card, a prepared boot partition: the backlog must not follow whoever wrote it.
  @Test func afterwardsBrokerAuthorityAndKeyChangeOnlyWithoutABacklogOrByConfirmation() throws {
    func folder(_ scratch: Scratch, _ backlog: ProvisioningFolder.Backlog, confirmed: Bool = false)
      -> ProvisioningFolder
    {
      var folder = ProvisioningFolder(
        source: scratch.folder + "/stick", configurationDirectory: scratch.folder + "/etc", examine: Self.examine)
      folder.backlog = { _ in backlog }
      folder.isConfirmed = confirmed
      return folder
    }
    func broker(_ host: String) -> String {
      "\n[broker]\nhost = \"\(host)\"\nca_file = \"/etc/thermograph/ca.pem\"\n"
        + "certificate_file = \"/etc/thermograph/device.pem\"\nkey_file = \"/etc/thermograph/device.key\"\n"
    }
    let scratch = try Self.prepare()
    let written = try #require(Self.content(scratch, "stick/thermograph.toml"))
    let base = String(decoding: written, as: UTF8.self)
    let ca = scratch.folder + "/etc/ca.pem"
    func write(_ host: String, ca: String) throws {
      let text = base + broker(host).replacingOccurrences(of: "/etc/thermograph/ca.pem", with: ca)
      try scratch.write(text, to: "stick/thermograph.toml")
    }
    try write("broker.clinic.example", ca: ca)
    // The first folder of a new device, whatever waits.
    let first = try folder(scratch, .unknown("no key")).install()
    #expect(first.isSuccess, "\(first.text)")
    let before = Self.content(scratch, "etc/thermograph.toml")
    try write("broker.thief.example", ca: ca)
    for backlog in [ProvisioningFolder.Backlog.captures(3), .unknown("its key is elsewhere")] {
      let report = try folder(scratch, backlog).install()
      #expect(!report.isSuccess && report.text.contains("broker.host") && report.text.contains("--confirm"))
      #expect(Self.content(scratch, "etc/thermograph.toml") == before)
    }
    // The same authority file with another authority in it.
    try write("broker.clinic.example", ca: ca)
    try scratch.write("another certificate\n", to: "stick/ca.pem")
    let report = try folder(scratch, .captures(1)).install()
    #expect(!report.isSuccess && report.text.contains("it changes ca.pem while 1 captures wait"))
    // Another receiver's key: whoever holds it could free what was published.
    try scratch.write("a certificate\n", to: "stick/ca.pem")
    try scratch.write("a key\n", to: "stick/receivers.pem")
    let keys = "[delivery]\nreceiver_keys_file = \"\(scratch.folder)/etc/receivers.pem\"\n"
    try scratch.write(keys, to: "stick/conf.d/20-receipts.toml")
    let told = try folder(scratch, .captures(1)).install()
    #expect(!told.isSuccess && told.text.contains("delivery.receiver_keys_file"), "\(told.text)")
    #expect(try folder(scratch, .none).install().isSuccess)
    #expect(Self.content(scratch, "etc/receivers.pem") == Data("a key\n".utf8))
    try scratch.write("a thief's key\n", to: "stick/receivers.pem")
    let thief = try folder(scratch, .captures(1)).install()
    #expect(!thief.isSuccess && thief.text.contains("it changes receivers.pem while 1 captures wait"))
    try scratch.write("a key\n", to: "stick/receivers.pem")
    // What changes nobody's trust is taken with a backlog too.
    try scratch.write("a certificate\n", to: "stick/ca.pem")
    try scratch.write("[log]\nlevel = \"info\"\n", to: "stick/conf.d/10-log.toml")
    #expect(try folder(scratch, .captures(9)).install().isSuccess)
    try write("broker.other.example", ca: ca)
    #expect(try folder(scratch, .none).install().isSuccess)
    try write("broker.third.example", ca: ca)
    #expect(try folder(scratch, .captures(9), confirmed: true).install().isSuccess)
  }

  /// Only files of the service's own are written as the service.
  @Test func privateFilesAreWrittenAsTheirOwner() throws {
    let scratch = try Self.prepare()
    let count = Mutex(0)
    let folder = ProvisioningFolder(
      source: scratch.folder + "/stick", configurationDirectory: scratch.folder + "/etc", examine: Self.examine,
      asOwner: { (body) throws(FileError) in
        count.withLock { $0 += 1 }
        try body()
      })
    #expect(try folder.install().isSuccess)
    // The key in use is looked at as the owner too.
    #expect(count.withLock { $0 } == 3)
  }

  @Test func aMissingFolderIsAnError() throws {
    let scratch = try Scratch()
    #expect(throws: FileError.self) { _ = try Self.install(scratch) }
  }
}
