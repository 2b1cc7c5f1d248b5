import Foundation
import Provenance
import TestSupport
import Testing

/// A patient moves to another device of the site, and nobody can bring a stick: the earlier sessions come by signed commands,
/// sealed by the site's key.
@Suite(.serialized) struct PatientRestoreTests {
  private static let root = "tg/v1/test-site/test-device"

  private func objects(_ bytes: [UInt8]) -> [[String: Any]] {
    bytes.split(separator: 0x0A).compactMap { try? JSONSerialization.jsonObject(with: Data($0)) as? [String: Any] }
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
    let broker = try MosquittoBroker()
    try await broker.start()
    let sender = try CommandSender(site: "test-site", device: "test-device")
    let keys = new.folder + "/commanders.pem"
    try sender.publicKey.write(toFile: keys, atomically: true, encoding: .utf8)
    let path = try new.configure(
      port: broker.port, captures: 0, more: ["remote": "command_keys_file = \"\(keys)\""])
    let listener = try Program(
      "/usr/bin/mosquitto_sub",
      ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-i", "far-side", "-t", "\(Self.root)/up/#"],
      in: new.folder)
    try await eventually("somebody listens", context: { broker.log }) {
      broker.log.contains("Sending SUBACK to far-side")
    }
    let device = try Program(Program.thermograph, ["run", "--config", path, "--simulate"], in: new.folder)
    try await eventually("it hears commands", context: { broker.log + device.errors }) {
      broker.log.contains("\(Self.root)/dn/command (QoS 1)")
        && objects(listener.outputBytes).contains { $0["challenge"] is String }
    }
    let challenge = try #require(objects(listener.outputBytes).compactMap { $0["challenge"] as? String }.last)
    var generator = SystemRandomNumberGenerator()
    func restore(_ piece: [UInt8]) async throws -> [String: Any] {
      let id = RandomIdentifier(using: &generator)
      let now = Int64(Date().timeIntervalSince1970)
      let arguments = #"{"transfer":"\#(Data(piece).base64EncodedString())"}"#
      let payload = try sender.envelope(
        sender.statement(
          "patient-restore", arguments, id: id, issued: Self.time(now), expires: Self.time(now + 3600),
          challenge: challenge))
      let file = new.folder + "/command"
      try Data(payload).write(to: URL(fileURLWithPath: file))
      let sent = try await Program.run(
        ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-t", "\(Self.root)/dn/command", "-f", file],
        executable: "/usr/bin/mosquitto_pub", in: new.folder)
      try #require(sent.status == 0, "\(sent.errors)")
      func reply() -> [String: Any]? { objects(listener.outputBytes).last { $0["id"] as? String == "\(id)" } }
      try await eventually("it is answered", context: { listener.output + device.errors }) { reply() != nil }
      return try #require(reply())
    }
    for number in 1...2 {
      let piece = [UInt8](try Data(contentsOf: URL(filePath: "\(old.folder)/moves.00\(number)")))
      #expect(try await restore(piece)["state"] as? String == "done")
      // Damaged on its way to whoever signed it.
      var spoilt = piece
      spoilt[piece.count / 2] ^= 1
      #expect(try await restore(spoilt)["state"] as? String == "refused")
    }
    func patients(_ path: String, _ workspace: Workspace) async throws -> [[String: Any]] {
      let listed = try await Program.run(["patient", "list", "--json", "--config", path], in: workspace.folder)
      return objects([UInt8](listed.output.utf8))
    }
    let (here, there) = (try await patients(oldPath, old), try await patients(path, new))
    #expect(here.count == 2 && here as NSArray == there as NSArray)
    #expect(!listener.output.contains(try #require(here.first?["patient_ref"] as? String)))
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
  }

  private static func time(_ seconds: Int64) -> String {
    let stamp = Timestamp(
      utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: true)
    return String(stamp.rfc3339.prefix(19)) + "Z"
  }
}
