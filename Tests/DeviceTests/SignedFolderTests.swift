import ConfigurationFiles
import Cryptography
import Foundation
import Logging
import Provenance
import Storage
import TestSupport
import Testing
import Trust

@testable import Device

/// Prepared folders where `import.require_signature` is set: what the site has not signed changes nothing.
@Suite struct SignedFolderTests {
  private let scratch: ScratchFolder
  private let clock = ManualClock(
    Timestamp(
      utcNanoseconds: 1_800_000_000 * 1_000_000_000, bootID: "b", monotonicNanoseconds: 1_000_000_000,
      synchronised: true))

  init() throws { scratch = try ScratchFolder(inMemory: true) }

  private func write(_ text: String, to name: String) throws {
    let url = URL(filePath: scratch.file(name))
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try text.write(to: url, atomically: true, encoding: .utf8)
  }

  private func configuration(port: Int, more: String = "") -> String {
    """
    schema = 1
    [device]
    id = "unit-1"
    site = "clinic-a"
    [paths]
    state_directory = "\(scratch.file("state"))"
    [broker]
    host = "127.0.0.1"
    port = \(port)
    \(more)
    """
  }

  private func folder() -> ProvisioningFolder {
    var folder = ProvisioningFolder(
      source: scratch.file("stick"), configurationDirectory: scratch.file("etc"), examine: { _, _ in .init() })
    // A technician's word does not take the place of a signature.
    folder.isConfirmed = true
    folder.unsigned = { [clock, scratch] settings, files, isDemanded in
      ProvisioningFolder.reasonUnsigned(
        files, in: scratch.file("stick"), trust: RepositoryTrust(.site, settings, time: clock),
        device: settings.device.id, isDemanded: isDemanded)
    }
    return folder
  }

  /// A site that signs these files, on the stick; its root is installed.
  private func sign(_ names: [(String, String)]) throws {
    var repository = try TestRepository()
    repository.targets = names.map { ($0.0, TestRepository.target(Array($0.1.utf8))) }
    repository.expires = "2032-01-01T00:00:00Z"
    try repository.publish()
    for (name, bytes) in repository.files {
      try write(String(decoding: bytes, as: UTF8.self), to: "stick/metadata/\(name)")
    }
    let store = TrustStore(.site, stateDirectory: scratch.file("state"), verifier: OpenSSLVerifier())
    _ = try store.install(root: try #require(repository.files["1.root.json"]), isReplacing: true)
  }

  private var installed: String {
    (try? String(contentsOfFile: scratch.file("etc/thermograph.toml"), encoding: .utf8)) ?? ""
  }

  private func refusal() throws -> String? {
    for outcome in try folder().install().outcomes {
      if case .refused(let reason) = outcome.result { return reason }
    }
    return nil
  }

  @Test func anUnsignedFolderIsRefusedWhereTheSiteSigns() throws {
    let present = configuration(port: 1883, more: "[import]\nrequire_signature = true\n")
    let wanted = configuration(port: 1884)
    try write(present, to: "etc/thermograph.toml")
    try write(wanted, to: "stick/thermograph.toml")
    try FileManager.default.createDirectory(atPath: scratch.file("state"), withIntermediateDirectories: true)
    #expect(try refusal()?.contains("no site root is installed") == true)
    try sign([])
    #expect(try refusal()?.contains("thermograph.toml is not signed by the site") == true)
    // For another device, and another content under the right name.
    try sign([("provisioning/unit-2/thermograph.toml", wanted)])
    #expect(try refusal()?.contains("thermograph.toml is not signed by the site") == true)
    try sign([("provisioning/unit-1/thermograph.toml", wanted + " ")])
    #expect(try refusal()?.contains("thermograph.toml: \(wanted.utf8.count) bytes; expected") == true)
    #expect(installed == present)
    // One of two files signed is not enough.
    try sign([("provisioning/unit-1/thermograph.toml", wanted)])
    try write("[log]\nlevel = \"info\"\n", to: "stick/conf.d/10-log.toml")
    #expect(try refusal()?.contains("conf.d/10-log.toml is not signed by the site") == true)
    #expect(installed == present)
    try sign([
      ("provisioning/unit-1/thermograph.toml", wanted),
      ("provisioning/conf.d/10-log.toml", "[log]\nlevel = \"info\"\n"),
    ])
    #expect(try refusal() == nil)
    #expect(installed == wanted)
  }

  /// Whoever breaks the installed configuration does not get rid of the demand where the site has a root.
  @Test func aBrokenConfigurationTakesNoUnsignedFolderEither() throws {
    try write("this is no TOML [", to: "etc/thermograph.toml")
    try write(configuration(port: 1884), to: "stick/thermograph.toml")
    var folder = folder()
    var asked: [Bool] = []
    let answers = AskedDemands()
    folder.unsigned = { _, _, isDemanded in
      answers.add(isDemanded)
      return "not signed"
    }
    let report = try folder.install()
    asked = answers.all
    #expect(asked == [false])
    #expect(!report.isSuccess)
    #expect(installed == "this is no TOML [")
  }
}

/// What was asked, from a closure that may run anywhere.
private final class AskedDemands: @unchecked Sendable {
  // Used by one thread at a time: the import runs to its end before it is read.
  private(set) var all: [Bool] = []

  func add(_ isDemanded: Bool) { all.append(isDemanded) }
}
