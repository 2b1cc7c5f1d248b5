import Foundation
import Provenance
import TestSupport
import Testing

/// The real device hears commands over a real broker: its own, a stranger's, a retained one, and one of an earlier start.
@Suite(.serialized) struct CommandTests {
  private static let root = "tg/v1/test-site/test-device"

  private struct Line {
    let broker: MosquittoBroker
    let workspace: Workspace

    func publish(_ payload: [UInt8], retained: Bool = false) async throws {
      let file = workspace.folder + "/command"
      try Data(payload).write(to: URL(fileURLWithPath: file))
      let sent = try await Program.run(
        ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-t", "\(CommandTests.root)/dn/command", "-f", file]
          + (retained ? ["-r"] : []), executable: "/usr/bin/mosquitto_pub", in: workspace.folder)
      try #require(sent.status == 0, "\(sent.errors)")
    }

    func listen(_ topic: String, as name: String) async throws -> Program {
      let listener = try Program(
        "/usr/bin/mosquitto_sub",
        ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-i", name, "-t", "\(CommandTests.root)/up/\(topic)"],
        in: workspace.folder)
      try await eventually("\(name) listens", context: { broker.log }) {
        broker.log.contains("Sending SUBACK to \(name)")
      }
      return listener
    }
  }

  private func lines(_ listener: Program) -> [[String: Any]] {
    listener.outputBytes.split(separator: 0x0A).compactMap {
      try? JSONSerialization.jsonObject(with: Data($0)) as? [String: Any]
    }
  }

  private func challenge(_ statuses: Program, after count: Int = 0) async throws -> String {
    try await eventually("the birth names its start", context: { statuses.output }) {
      lines(statuses).compactMap { $0["challenge"] as? String }.count > count
    }
    return try #require(lines(statuses).compactMap { $0["challenge"] as? String }.last)
  }

  @Test func aCommandIsDoneAnsweredAndNeverDoneAgain() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    let line = Line(broker: broker, workspace: workspace)
    let sender = try CommandSender(site: "test-site", device: "test-device")
    let keys = workspace.folder + "/commanders.pem"
    try sender.publicKey.write(toFile: keys, atomically: true, encoding: .utf8)
    let configuration = try workspace.configure(
      port: broker.port, captures: 0, more: ["remote": "command_keys_file = \"\(keys)\""])
    let replies = try await line.listen("reply", as: "replies")
    let statuses = try await line.listen("status", as: "statuses")
    var generator = SystemRandomNumberGenerator()
    let now = Int64(Date().timeIntervalSince1970)
    func command(_ name: String, _ arguments: String = "{}", challenge: String) throws -> [UInt8] {
      try sender.envelope(
        sender.statement(
          name, arguments, id: RandomIdentifier(using: &generator), issued: Self.time(now),
          expires: Self.time(now + 3600), challenge: challenge))
    }
    // What a broker keeps is not even asked for, at this start and the next.
    try await line.publish(try command("restart", challenge: ""), retained: true)
    var device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    let first = try await challenge(statuses)
    try await eventually("the device hears commands", context: { broker.log }) {
      broker.log.contains("\(Self.root)/dn/command (QoS 1)")
    }

    func states() -> [String] {
      lines(replies).map { "\($0["name"] ?? "") \($0["state"] ?? "")" }
    }

    let stranger = try CommandSender(site: "test-site", device: "test-device")
    try await line.publish(
      try stranger.envelope(
        stranger.statement("restart", id: RandomIdentifier(using: &generator), challenge: first)))
    try await line.publish(try command("doctor", #"{"parts":["camera"]}"#, challenge: first))
    try await line.publish(try command("hold-images", #"{"seconds":5}"#, challenge: "of another start"))
    let restart = try command("restart", challenge: first)
    try await line.publish(restart)
    #expect(try await device.waitForExit(seconds: 30) == 0, "\(device.errors)")
    // The reply may be on disk and not on the line: the next start sends it. It is not done again.
    let births = lines(statuses).compactMap { $0["challenge"] as? String }.count
    device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    let second = try await challenge(statuses, after: births)
    #expect(second != first)
    try await line.publish(restart)
    try await line.publish(try command("status", challenge: second))
    try await eventually("all are answered", context: { replies.output + device.errors }) {
      states().contains("status done") && states().filter { $0 == "restart done" }.count >= 2
    }
    #expect(device.isRunning)
    #expect(Set(states()) == ["doctor done", "hold-images refused", "restart done", "status done"], "\(states())")
    let findings = lines(replies).first { $0["name"] as? String == "doctor" }?["details"] as? [String] ?? []
    #expect(findings.count == 1 && findings.first?.contains("camera") == true, "\(findings)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
  }

  private static func time(_ seconds: Int64) -> String {
    let stamp = Timestamp(
      utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: true)
    return String(stamp.rfc3339.prefix(19)) + "Z"
  }
}
