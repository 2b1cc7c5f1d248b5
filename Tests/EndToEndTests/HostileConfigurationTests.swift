import Foundation
import Provenance
import Remote
import TestSupport
import Testing

/// A stick whose configuration was prepared to harm: nothing of it is in force afterwards, and nobody waits for it.
@Suite(.serialized) struct HostileConfigurationTests {
  @Test func nothingButASignedFileIsTaken() async throws {
    let workspace = try Workspace()
    let sender = try CommandSender(site: "test-site", device: "test-device")
    let keys = workspace.folder + "/configurers.pem"
    try sender.publicKey.write(toFile: keys, atomically: true, encoding: .utf8)
    let path = try workspace.configure(
      port: 1, captures: 0, more: ["remote": "configuration_keys_file = \"\(keys)\""])
    var generator = SystemRandomNumberGenerator()
    let now = Int64(Date().timeIntervalSince1970)
    func time(_ seconds: Int64) -> String {
      let stamp = Timestamp(
        utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: true)
      return String(stamp.rfc3339.prefix(19)) + "Z"
    }
    let statement = sender.configuration(
      "[log]\nlevel = \"debug\"\n", version: 1, id: RandomIdentifier(using: &generator), issued: time(now),
      expires: time(now + 3600))
    let good = try sender.envelope(statement, type: ConfigurationStatement.payloadType)
    let stick = workspace.folder + "/stick"
    try FileManager.default.createDirectory(atPath: stick, withIntermediateDirectories: true)
    let file = stick + "/unit.configuration"
    func put(_ bytes: [UInt8], at path: String) throws { try Data(bytes).write(to: URL(filePath: path)) }
    func refused(_ word: String, _ make: () throws -> Void) async throws {
      try make()
      let result = try await Program.run(
        ["config", "import", file, "--config", path, "--owner", NSUserName()], in: workspace.folder)
      #expect(result.status == 1 && result.errors.contains(word), "\(word): \(result)")
      unlink(file)
      rmdir(file)
      let shown = try await Program.run(["config", "show", "--config", path], in: workspace.folder)
      #expect(shown.output.contains("nothing ever came from afar"), "\(word): \(shown.output)")
    }
    try put(good, at: workspace.folder + "/good")
    try await refused("link") {
      try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: workspace.folder + "/good")
    }
    try await refused("not a regular file") { #expect(mkfifo(file, 0o644) == 0) }
    try await refused("not a regular file") { #expect(mkdir(file, 0o755) == 0) }
    try await refused("at most") { try put([UInt8](repeating: 0x20, count: 20_000), at: file) }
    // A command's envelope by the same key, and a bit that differs.
    try await refused("not believed") { try put(try sender.envelope(statement), at: file) }
    var spoilt = good
    spoilt[good.count / 3] ^= 1
    try await refused("not believed") { try put(spoilt, at: file) }
    try put(good, at: file)
    let taken = try await Program.run(
      ["config", "import", file, "--config", path, "--owner", NSUserName()], in: workspace.folder)
    #expect(taken.status == 0 && taken.output.contains("version 1 is in force"), "\(taken)")
  }
}
