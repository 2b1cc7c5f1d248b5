import Foundation
import Provenance
import TestSupport
import Testing

/// The audit log of the real service, judged by the device's own program and by one that shares no code with it.
@Suite(.serialized) struct AuditTests {
  private static let verifier = Workspace.repository + "/Gateway/thermograph_gateway/audit_verifier.py"

  private struct Scene {
    let workspace: Workspace
    let broker: MosquittoBroker
    let configuration: String
    let sender: CommandSender
    let topics = "tg/v1/test-site/test-device"

    init(captures: Int, more: [String: String] = [:]) async throws {
      workspace = try Workspace()
      broker = try MosquittoBroker()
      try await broker.start()
      sender = try CommandSender(site: "test-site", device: "test-device")
      try sender.publicKey.write(toFile: workspace.folder + "/commanders.pem", atomically: true, encoding: .utf8)
      let made = try await Program.run(
        ["receive", "--make-key", workspace.folder + "/receiver.key"], in: workspace.folder)
      try made.output.write(toFile: workspace.folder + "/receivers.pem", atomically: true, encoding: .utf8)
      var tables = [
        "remote": "command_keys_file = \"\(workspace.folder)/commanders.pem\"",
        "delivery": "receiver_keys_file = \"\(workspace.folder)/receivers.pem\"",
        "simulation": "seed = 7\ncaptures = \(captures)\ntag_interval_milliseconds = 500",
      ]
      tables.merge(more) { $1 }
      configuration = try workspace.configure(port: broker.port, captures: captures, more: tables)
    }

    func device() throws -> Program {
      try Program(Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    }

    func receiver(until: Int) throws -> Program {
      try Program(
        Program.thermograph,
        [
          "receive", "--broker", "127.0.0.1:\(broker.port)", "--output", workspace.received, "--signing-key",
          workspace.folder + "/receiver.key", "--until", "\(until)",
        ], in: workspace.folder)
    }

    func audit(_ arguments: String...) async throws -> (status: Int32, output: String, errors: String) {
      try await Program.run(["audit"] + arguments + ["--config", configuration], in: workspace.folder)
    }

    /// The entries of the device's own log.
    func entries() async throws -> [[String: Any]] {
      let shown = try await audit("show", "--json")
      try #require(shown.status == 0, "\(shown.errors)")
      return try shown.output.split(separator: "\n").map { line in
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      }
    }

    /// Exports the log into a new folder, with the key beside it and the heads that received records carry.
    func export(_ name: String) async throws -> String {
      let folder = workspace.folder + "/" + name
      let exported = try await audit("export", folder)
      try #require(exported.status == 0, "\(exported.errors)")
      let key = try await audit("key")
      try #require(key.status == 0, "\(key.errors)")
      try key.output.write(toFile: workspace.folder + "/audit.pem", atomically: true, encoding: .utf8)
      let anchors = try workspace.receivedRecords().compactMap { record -> String? in
        guard let head = record["audit"] as? [String: Any], let size = head["size"], let digest = head["head"] else {
          return nil
        }
        return #"{"size":\#(size),"head":"\#(digest)","source":"record \#(record["sequence"] ?? 0)"}"#
      }
      try anchors.map { $0 + "\n" }.joined().write(
        toFile: workspace.folder + "/anchors.jsonl", atomically: true, encoding: .utf8)
      return folder
    }

    /// What both verifiers say: exit status of ours, and of the independent one.
    func judged(_ folder: String, key: String = "audit.pem") async throws -> [Int32] {
      let others = [
        "--vkey", workspace.folder + "/" + key, "--anchors", workspace.folder + "/anchors.jsonl", "--witness",
        folder + "/witness", "--witness-key", workspace.folder + "/receivers.pem",
      ]
      let ours = try await Program.run(["audit", "verify", folder] + others, in: workspace.folder)
      let theirs = try await Program.run(
        [AuditTests.verifier, folder] + others, executable: "/usr/bin/python3", in: workspace.folder)
      if ours.status == 2 || theirs.status == 2 { Issue.record("\(ours.errors)\n\(theirs.errors)") }
      return [ours.status, theirs.status]
    }
  }

  private static func now(plus seconds: TimeInterval = 0) -> String {
    Date().addingTimeInterval(seconds).formatted(.iso8601)
  }

  private static func kinds(_ entries: [[String: Any]]) -> [String] { entries.compactMap { $0["kind"] as? String } }

  /// One session with a command, from the start to the proof; then everything that can be done to the export.
  @Test func aSessionWithACommandStandsInTheLogAndNothingOfItCanBeBent() async throws {
    let scene = try await Scene(captures: 2)
    let statuses = try Program(
      "/usr/bin/mosquitto_sub",
      ["-h", "127.0.0.1", "-p", "\(scene.broker.port)", "-q", "1", "-t", "\(scene.topics)/up/status"],
      in: scene.workspace.folder)
    let receiver = try scene.receiver(until: 2)
    let device = try scene.device()
    #expect(try await receiver.waitForExit(seconds: 120) == 0, "\(receiver.errors)\n\(device.errors)")
    // A command of whoever may command, and one of somebody else.
    let stranger = try CommandSender(site: "test-site", device: "test-device")
    var generator = SystemRandomNumberGenerator()
    try await eventually("the birth names its start", context: { statuses.output }) {
      statuses.output.contains("challenge")
    }
    let births = statuses.output.split(separator: "\n").compactMap {
      (try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])?["challenge"] as? String
    }
    let challenge = try #require(births.last)
    for commander in [stranger, scene.sender] {
      let envelope = try commander.envelope(
        commander.statement(
          "status", id: RandomIdentifier(using: &generator), issued: Self.now(), expires: Self.now(plus: 3600),
          challenge: challenge))
      let file = scene.workspace.folder + "/command"
      try Data(envelope).write(to: URL(filePath: file))
      let sent = try await Program.run(
        ["-h", "127.0.0.1", "-p", "\(scene.broker.port)", "-q", "1", "-t", "\(scene.topics)/dn/command", "-f", file],
        executable: "/usr/bin/mosquitto_pub", in: scene.workspace.folder)
      try #require(sent.status == 0)
    }
    try await eventually("the command stands in the log", seconds: 60, context: { device.errors }) {
      device.errors.contains("a command is carried out") && device.errors.contains("a command is not believed")
    }
    let reload = try await Program.run(["reload", "--config", scene.configuration], in: scene.workspace.folder)
    #expect(reload.status == 0, "\(reload.errors)")
    let status = try await Program.run(
      ["status", "--json", "--config", scene.configuration], in: scene.workspace.folder)
    let report = try JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [String: Any]
    let standing = try #require(report?["audit"] as? [String: Any])
    #expect(standing["cosigned_entries"] as? Int ?? 0 > 0, "\(status.output)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 30) == 0, "\(device.errors)")

    let entries = try await scene.entries()
    let kinds = Self.kinds(entries)
    for kind in [
      "keys", "start", "session-start", "session-end", "command-accepted", "command-refused", "technician",
      "configuration", "stop",
    ] {
      #expect(kinds.contains(kind), "\(kind) of \(kinds)")
    }
    #expect(kinds.last == "stop" && !kinds.contains("unclean-end"))
    // Before what they speak of: the session's start before its end, the acceptance before the reload that followed.
    #expect(try #require(kinds.firstIndex(of: "session-start")) < (try #require(kinds.firstIndex(of: "session-end"))))
    // No tag's number, only pseudonyms.
    let patients = entries.compactMap { ($0["what"] as? [String: Any])?["patient_ref"] as? String }
    #expect(!patients.isEmpty && patients.allSatisfy { $0.utf8.count == 26 })
    // Every record says where the log stood, in the order of the numbers.
    let sizes = try scene.workspace.receivedRecords().compactMap {
      ($0["audit"] as? [String: Any])?["size"] as? Int
    }
    #expect(sizes.count == 2 && sizes == sizes.sorted() && (sizes.first ?? 0) >= 3, "\(sizes)")

    let folder = try await scene.export("export")
    #expect(try await scene.judged(folder) == [0, 0])
    #expect(FileManager.default.fileExists(atPath: folder + "/witness/receipt.json"))
    try await bend(folder, scene, anchored: try #require(sizes.last))
    let own = try await scene.audit("verify")
    #expect(own.status == 0, "\(own.output)\(own.errors)")
  }

  /// Each manipulation on a copy of the export; both verifiers must find each.
  private func bend(_ folder: String, _ scene: Scene, anchored: Int) async throws {
    let lines = try String(contentsOfFile: folder + "/entries.jsonl", encoding: .utf8)
      .split(separator: "\n").map(String.init)
    let victim = anchored - 2
    func forged(_ line: String) -> String { line.replacingOccurrences(of: #""what":{"#, with: #""what":{"forged":1,"#) }
    let manipulations: [(String, [String])] = [
      ("cut", Array(lines.prefix(anchored - 1))),
      ("emptied", []),
      ("changed", lines.enumerated().map { $0.offset == victim ? forged($0.element) : $0.element }),
      ("removed", lines.enumerated().filter { $0.offset != victim }.map(\.element)),
      ("inserted", lines.prefix(victim) + [forged(lines[victim])] + lines.dropFirst(victim)),
      (
        "reordered",
        lines.prefix(victim - 1) + [lines[victim], lines[victim - 1]] + lines.dropFirst(victim + 1)
      ),
    ]
    for (name, entries) in manipulations {
      let copy = scene.workspace.folder + "/" + name
      try FileManager.default.copyItem(atPath: folder, toPath: copy)
      try entries.map { $0 + "\n" }.joined().write(toFile: copy + "/entries.jsonl", atomically: true, encoding: .utf8)
      #expect(try await scene.judged(copy) == [1, 1], "\(name)")
    }
    // Another device's key, and a receipt that a stranger signed.
    let other = try await Program.run(
      ["receive", "--make-key", scene.workspace.folder + "/other.key"], in: scene.workspace.folder)
    try other.output.write(toFile: scene.workspace.folder + "/other.pem", atomically: true, encoding: .utf8)
    #expect(try await scene.judged(folder, key: "other.pem") == [1, 1])
    let foreign = try await Program.run(
      [
        "audit", "verify", folder, "--vkey", scene.workspace.folder + "/audit.pem", "--witness", folder + "/witness",
        "--witness-key", scene.workspace.folder + "/other.pem",
      ], in: scene.workspace.folder)
    #expect(foreign.status == 2 && foreign.errors.contains("cannot judge"), "\(foreign.output)\(foreign.errors)")
  }

  /// Killed again and again in the middle of its work: no entry is lost, and neither verifier finds anything.
  /// `THERMOGRAPH_AUDIT_KILLS` says how often.
  @Test func killsLeaveASoundLog() async throws {
    let scene = try await Scene(captures: 10_000, more: ["session": "acclimatisation_seconds = 0"])
    let kills = ProcessInfo.processInfo.environment["THERMOGRAPH_AUDIT_KILLS"].flatMap { Int($0) } ?? 8
    for round in 0..<kills {
      let device = try scene.device()
      try await eventually("the log has begun", seconds: 60, context: { device.errors }) {
        FileManager.default.fileExists(atPath: scene.workspace.folder + "/state/audit/origin.json")
      }
      // Two at least come when the start is over for certain.
      if round % 4 == 3 { try await device.waitForErrors(containing: "ready") }
      try await Task.sleep(for: .milliseconds(200 + 170 * (round % 8)))
      device.send(SIGKILL)
      try await device.waitForExit()
    }
    let device = try scene.device()
    try await eventually("it runs", seconds: 60, context: { device.errors }) { device.errors.contains("ready") }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 30) == 0, "\(device.errors)")
    let kinds = Self.kinds(try await scene.entries())
    let starts = kinds.count { $0 == "start" }
    // A kill may also come between the two first entries of a run.
    let uncleanEnds = kinds.count { $0 == "unclean-end" }
    #expect(starts >= 2 && uncleanEnds >= starts - 1 && uncleanEnds <= kills, "\(kinds)")
    let folder = try await scene.export("export")
    try FileManager.default.createDirectory(atPath: folder + "/witness", withIntermediateDirectories: true)
    #expect(try await scene.judged(folder) == [0, 0])
  }
}
