import Foundation
import Provenance
import Remote
import TestSupport
import Testing

/// The real device hears configurations over a real broker: one that holds, one that cuts the line and is taken back by
/// time, one by a second start; and the tools at the device, killed at every write.
@Suite(.serialized) struct ConfigurationFromAfarTests {
  private static let root = "tg/v1/test-site/test-device"
  private let workspace: Workspace
  private let sender: CommandSender

  init() throws {
    workspace = try Workspace()
    sender = try CommandSender(site: "test-site", device: "test-device")
    try sender.publicKey.write(toFile: keys, atomically: true, encoding: .utf8)
  }

  private var keys: String { workspace.folder + "/configurers.pem" }

  private static func time(_ seconds: Int64) -> String {
    let stamp = Timestamp(
      utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: true)
    return String(stamp.rfc3339.prefix(19)) + "Z"
  }

  private func envelope(
    _ toml: String, version: Int64, challenge: String? = nil, minutes: Int64 = 2
  ) throws -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    let now = Int64(Date().timeIntervalSince1970)
    let json = sender.configuration(
      toml, version: version, id: RandomIdentifier(using: &generator), issued: Self.time(now),
      expires: Self.time(now + 3600), challenge: challenge, minutes: minutes)
    return try sender.envelope(json, type: ConfigurationStatement.payloadType)
  }

  private func lines(_ listener: Program) -> [[String: Any]] {
    listener.outputBytes.split(separator: 0x0A).compactMap {
      try? JSONSerialization.jsonObject(with: Data($0)) as? [String: Any]
    }
  }

  private func listen(_ topic: String, on broker: MosquittoBroker) async throws -> Program {
    let listener = try Program(
      "/usr/bin/mosquitto_sub",
      ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-i", topic, "-t", "\(Self.root)/up/\(topic)"],
      in: workspace.folder)
    try await eventually("\(topic) is listened to", context: { broker.log }) {
      broker.log.contains("Sending SUBACK to \(topic)")
    }
    return listener
  }

  private func publish(_ payload: [UInt8], on broker: MosquittoBroker) async throws {
    let file = workspace.folder + "/statement"
    try Data(payload).write(to: URL(fileURLWithPath: file))
    let sent = try await Program.run(
      ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-t", "\(Self.root)/dn/config", "-f", file],
      executable: "/usr/bin/mosquitto_pub", in: workspace.folder)
    try #require(sent.status == 0, "\(sent.errors)")
  }

  @Test func whatHoldsStaysAndWhatCutsTheLineIsTakenBack() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let configuration = try workspace.configure(
      port: broker.port, captures: 0, more: ["remote": "configuration_keys_file = \"\(keys)\""])
    let replies = try await listen("reply", on: broker)
    let statuses = try await listen("status", on: broker)
    func start() throws -> Program {
      try Program(Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    }
    func births() -> [[String: Any]] { lines(statuses).filter { $0["challenge"] != nil } }
    func challenge(after count: Int) async throws -> String {
      try await eventually("a birth names its start", context: { statuses.output }) { births().count > count }
      return try #require(births().last?["challenge"] as? String)
    }
    func states() -> [String] { lines(replies).map { "\($0["version"] ?? "") \($0["state"] ?? "")" } }
    func status() async throws -> String {
      try await Program.run(["status", "--config", configuration], in: workspace.folder).output
    }

    // One that takes a restart and holds.
    var device = try start()
    var named = try await challenge(after: 0)
    try await publish(try envelope("[health]\ninterval_seconds = 77\n", version: 1, challenge: named), on: broker)
    #expect(try await device.waitForExit(seconds: 30) == 0, "\(device.errors)")
    var count = births().count
    device = try start()
    try await eventually("version 1 is confirmed", context: { replies.output + device.errors }) {
      states().contains("1 done")
    }
    #expect(states().contains("1 trying"))
    #expect(try await status().contains("version 1 in force"))
    let effective = try await Program.run(["check", "--config", configuration, "--effective"], in: workspace.folder)
    #expect(effective.output.contains("# from afar, \(workspace.folder)/state/remote/config/active.toml:2:1"))

    // One that is wrong names every place.
    named = try await challenge(after: count)
    try await publish(
      try envelope("[broker]\nport = 99999\nca_file = \"/x\"\n", version: 2, challenge: named), on: broker)
    try await eventually("version 2 is refused", context: { replies.output }) { states().contains("2 refused") }
    let details = lines(replies).last { $0["state"] as? String == "refused" }?["details"] as? [String]
    #expect(details?.map { $0.prefix { $0 != " " } } == ["configuration:2:8:", "configuration:3:1:"])

    // One that cuts the line, and the power fails before the time is over.
    let reserved = try PortReservation()
    let wrong = reserved.port
    count = births().count
    try await publish(
      try envelope("[broker]\nport = \(wrong)\n", version: 3, challenge: named, minutes: 60), on: broker)
    #expect(try await device.waitForExit(seconds: 30) == 0, "\(device.errors)")
    device = try start()
    try await device.waitForErrors(containing: "no connection", seconds: 30)
    #expect(try await status().contains("version 3 in force, tried"))
    device.send(SIGKILL)
    try await device.waitForExit()
    device = try start()
    try await eventually("version 3 is taken back", context: { replies.output + device.errors }) {
      states().contains("3 rolled-back")
    }
    #expect(try await status().contains("version 1 in force; version 3 was taken back"))

    // And one that is left alone: time takes it back.
    named = try await challenge(after: count)
    let began = Date()
    try await publish(
      try envelope("[broker]\nport = \(wrong)\n", version: 4, challenge: named, minutes: 2), on: broker)
    #expect(try await device.waitForExit(seconds: 30) == 0, "\(device.errors)")
    device = try start()
    #expect(try await device.waitForExit(seconds: 180) == 0, "\(device.errors)")
    device = try start()
    try await eventually("version 4 is taken back", seconds: 30, context: { replies.output + device.errors }) {
      states().contains("4 rolled-back")
    }
    let seconds = Date().timeIntervalSince(began)
    #expect(seconds >= 120 && seconds <= 180, "\(seconds) s")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
  }

  /// The tool is killed at each of its calls that change the disk, one after another: the old text or the new one is in force
  /// then, whole, and the next attempt goes through.
  @Test func aKillAtAnyWriteLeavesTheOldOrTheNew() async throws {
    let configuration = try workspace.configure(
      port: 1883, captures: 0, more: ["remote": "configuration_keys_file = \"\(keys)\""])
    func tool(_ words: [String]) async throws -> (status: Int32, output: String, errors: String) {
      try await Program.run(["config"] + words + ["--config", configuration, "--owner", "root"], in: workspace.folder)
    }
    func force() async throws -> String {
      let shown = try await tool(["show", "--toml"])
      try #require(shown.status == 0, "\(shown.errors)")
      return shown.output
    }
    var version: Int64 = 0
    var kills = 0
    func file(_ level: Int) throws -> (path: String, text: String) {
      version += 1
      let path = workspace.folder + "/stick"
      let text = "[health]\ninterval_seconds = \(level)\n"
      try Data(try envelope(text, version: version)).write(to: URL(fileURLWithPath: path))
      return (path, text)
    }
    for call in ["write", "fsync", "?rename,?renameat,?renameat2", "?unlink,?unlinkat", "?mkdir,?mkdirat"] {
      for number in 1...40 {
        let before = try await force()
        let isImport = number % 3 != 0
        let (path, text) = try file(100 + number)
        let words = isImport ? ["import", path] : ["rollback"]
        let killed = try await Program.run(
          [
            "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e", "inject=\(call):signal=KILL:when=\(number)",
            Program.thermograph, "config",
          ] + words + ["--config", configuration, "--owner", "root"], executable: "/usr/bin/strace",
          in: workspace.folder)
        let after = try await force()
        if isImport { #expect(after == before || after == text, "\(call) \(number)") }
        #expect(after.isEmpty || after.hasPrefix("[health]\ninterval_seconds = 1") || after.hasPrefix("#"), "\(after)")
        let check = try await Program.run(["check", "--config", configuration], in: workspace.folder)
        #expect(check.status == 0 || check.status == 1, "\(check.errors)")
        #expect(!check.errors.contains("no effect"), "\(call) \(number): \(check.errors)")
        // The next one goes through and leaves nothing behind.
        let (next, wanted) = try file(1000 + number)
        let imported = try await tool(["import", next])
        #expect(imported.status == 0, "\(imported.errors)")
        #expect(try await force() == wanted)
        let names = try FileManager.default.contentsOfDirectory(atPath: workspace.folder + "/state/remote/config")
        #expect(
          Set(names).isSubset(of: ["active.toml", "previous.toml", "record.json", "lock"]),
          "\(call) \(number): \(names)")
        if killed.status == 0 || killed.status == 1 { break }
        kills += 1
      }
    }
    #expect(kills >= 15, "\(kills)")
  }
}
