import Foundation
import Provenance
import TestSupport
import Testing

/// A patient moves to another device of the site, and nobody can bring a stick: the earlier sessions come by signed commands,
/// sealed by the site's key.
@Suite(.serialized) struct PatientRestoreTests {
  private func objects(_ text: String) -> [[String: Any]] {
    text.split(separator: "\n").compactMap {
      try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }
  }

  @Test func earlierSessionsComeBackOverTheLine() async throws {
    let old = try Workspace()
    let oldPath = try old.configure(
      port: 1883, captures: 2, more: ["broker": "", "session": "acclimatisation_seconds = 0\nposition_seconds = 0"])
    let first = try Program(Program.thermograph, ["run", "--config", oldPath, "--simulate"], in: old.folder)
    try await eventually("two captures are saved", context: { first.errors }) {
      first.errors.components(separatedBy: "capture saved").count == 3
    }
    first.send(SIGTERM)
    #expect(try await first.waitForExit(seconds: 20) == 0, "\(first.errors)")
    let exported = try await Program.run(
      ["patient", "export", old.folder + "/moves", "--pieces", "--config", oldPath], in: old.folder)
    #expect(exported.status == 0 && exported.errors.contains("2 patients in 2 pieces"), "\(exported.errors)")

    let new = try Workspace()
    let site = new.folder + "/state/keys/site.key"
    try FileManager.default.removeItem(atPath: site)
    try FileManager.default.copyItem(atPath: old.folder + "/state/keys/site.key", toPath: site)
    let bench = try await FarSideBench(new)
    let sender = try CommandSender(site: "test-site", device: "test-device")
    let keys = new.folder + "/commanders.pem"
    try sender.publicKey.write(toFile: keys, atomically: true, encoding: .utf8)
    let path = try new.configure(
      port: bench.broker.port, captures: 0, more: ["remote": "command_keys_file = \"\(keys)\""])
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: new.folder)
    try await eventually("it hears commands", context: { bench.broker.log + device.errors }) {
      bench.broker.log.contains("\(FarSideBench.root)/dn/command (QoS 1)") && bench.challenge != nil
    }
    var generator = SystemRandomNumberGenerator()
    func restore(_ piece: [UInt8]) async throws -> String? {
      let id = RandomIdentifier(using: &generator)
      let arguments = #"{"transfer":"\#(Data(piece).base64EncodedString())"}"#
      try await bench.publish(try bench.command(sender, "patient-restore", arguments, id: id), on: "command")
      try await eventually("it is answered", context: { bench.output + device.errors }) { bench.state(id) != nil }
      return bench.state(id)
    }
    for number in 1...2 {
      let piece = [UInt8](try Data(contentsOf: URL(filePath: "\(old.folder)/moves.00\(number)")))
      #expect(try await restore(piece) == "done")
      // Damaged on its way to whoever signed it.
      var spoilt = piece
      spoilt[piece.count / 2] ^= 1
      #expect(try await restore(spoilt) == "refused")
    }
    func patients(_ path: String, _ workspace: Workspace) async throws -> [[String: Any]] {
      let listed = try await Program.run(["patient", "list", "--json", "--config", path], in: workspace.folder)
      return objects(listed.output)
    }
    let (here, there) = (try await patients(oldPath, old), try await patients(path, new))
    #expect(here.count == 2 && here as NSArray == there as NSArray)
    #expect(!bench.output.contains(try #require(here.first?["patient_ref"] as? String)))
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
  }
}
