import CaptureDatabase
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

/// The worker's program as an operator and systemd see it.
@Suite(
  .enabled(
    if: FileManager.default.isExecutableFile(atPath: "/usr/lib/postgresql/15/bin/postgres")
      && MosquittoBroker.executable != nil, "needs postgresql-15 and mosquitto"), .serialized)
struct ReceiverProgramTests {
  private let folder: ScratchFolder
  private let database: TestDatabase

  init() throws {
    folder = try ScratchFolder(inMemory: true)
    database = try PostgresServer.start().makeDatabase()
  }

  private func makeKey(_ name: String) throws -> String {
    var generator = SystemRandomNumberGenerator()
    _ = try KeyFile.create(path: folder.file(name), digests: OpenSSLDigests(), using: &generator)
    return folder.file(name)
  }

  private func tool(_ arguments: [String]) throws -> (status: Int32, text: String) {
    let program = try FleetProgram(
      "thermograph-receiver", arguments + ["--database", database.connection], in: folder)
    return (program.wait(), program.text)
  }

  /// 78 is what systemd does not try again.
  @Test func theSchemaIsMadeAndLookedAt() throws {
    let key = try makeKey("master.key")
    let missing = try tool(["--check-schema"])
    #expect(missing.status == 78 && missing.text.contains("run thermograph-receiver --migrate"), "\(missing.text)")
    let worker = try tool(["--broker", "127.0.0.1:1", "--master-key-file", key])
    #expect(worker.status == 78 && worker.text.contains("run thermograph-receiver --migrate"), "\(worker.text)")
    let made = try tool(["--migrate"])
    #expect(made.status == 0 && made.text.hasPrefix("applied 1: captures\n"), "\(made.text)")
    let again = try tool(["--migrate"])
    #expect(again.status == 0 && again.text == "the schema is complete\n")
    let looked = try tool(["--check-schema"])
    #expect(looked.status == 0 && looked.text == "the schema is this program's\n")
    let secret = try FleetProgram(
      "thermograph-receiver", ["--check-schema", "--database", "postgresql://u:hush-hush@h/d"], in: folder)
    #expect(secret.wait() == 64)
    #expect(secret.text.contains("passfile=") && !secret.text.contains("hush-hush"), "\(secret.text)")
  }

  /// One device with a capture and an alert, in words and for programs.
  @Test func theFleetForPeopleAndForPrograms() throws {
    let key = try makeKey("master.key")
    _ = try tool(["--migrate"])
    let empty = try tool(["fleet"])
    #expect(empty.status == 0 && empty.text == "no device has reported yet\n", "\(empty.text)")
    #expect(try tool(["fleet", "--json"]).text == "")
    let store = try DatabaseStore(
      try DatabaseTarget(database.connection),
      masters: KeyRing(current: try KeyFile.load(path: key, digests: OpenSSLDigests())), digests: OpenSSLDigests())
    let receiver = try Receiver(store: store, name: "worker", digests: OpenSSLDigests(), time: ManualClock())
    for unit in ["unit-2", "unit-1"] {
      let topics = TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier(unit))
      var generator = SystemRandomNumberGenerator()
      let birth = try StatusMessage(
        state: .online, site: "clinic", device: unit, connectCounter: 1, firmware: "1", models: [],
        configurationSHA256: "", outboxID: RandomIdentifier(using: &generator), accounts: nil, line: nil, at: nil
      ).encoded()
      _ = try receiver.take(IncomingMessage(topic: topics.status, payload: birth))
      let alert = Array(#"{"code":"outbox-filling","severity":"warning"}"#.utf8)
      _ = try receiver.take(IncomingMessage(topic: topics.up("alert"), payload: alert))
    }
    let words = try tool(["fleet"]).text.split(separator: "\n")
    #expect(words.map { $0.prefix(14) } == ["clinic/unit-1:", "clinic/unit-2:"])
    #expect(words.allSatisfy { $0.hasSuffix("0 captures here, alerts: outbox-filling") }, "\(words)")
    let lines = try tool(["fleet", "--json"]).text.split(separator: "\n")
    #expect(lines.count == 2)
    for (line, unit) in zip(lines, ["unit-1", "unit-2"]) {
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      #expect(object["site"] as? String == "clinic" && object["device"] as? String == unit)
      #expect(object["alerts"] as? [String] == ["outbox-filling"] && object["captures"] as? Int == 0)
      #expect((object["seconds_since_seen"] as? Int ?? .max) < 60)
    }
    // Keys: a new one for the site, and all of them under a new master.
    #expect(try tool(["--rotate-keys", "--master-key-file", key]).text == "a new key for 1 sites\n")
    let new = try makeKey("new.key")
    let wrong = try tool(["--rewrap-keys", "--master-key-file", new])
    #expect(wrong.status == 78 && wrong.text.contains("no key with id"), "\(wrong.text)")
    let rewrapped = try tool(["--rewrap-keys", "--master-key-file", new, "--older-master-key-file", key])
    #expect(rewrapped.status == 0 && rewrapped.text == "2 keys wrapped anew\n", "\(rewrapped.text)")
  }

  @Test func systemdIsToldAndTheWatchdogIsFedUntilTheEnd() async throws {
    let key = try makeKey("master.key")
    _ = try tool(["--migrate"])
    let systemd = try NotifyReceiver(at: folder.file("notify"))
    let broker = try MosquittoBroker(logsEverything: false)
    let worker = try FleetProgram(
      "thermograph-receiver",
      [
        "--database", database.connection, "--master-key-file", key, "--broker", "127.0.0.1:\(broker.port)", "--name",
        "worker",
      ], in: folder, environment: ["NOTIFY_SOCKET": folder.file("notify"), "WATCHDOG_USEC": "900000"])
    try await worker.says("no connection")
    #expect(!systemd.holds("READY=1"), "nobody listens yet")
    try await broker.start()
    try await eventually("READY comes") { systemd.holds("READY=1") }
    try await eventually("the watchdog is fed three times") { systemd.messages.count { $0 == "WATCHDOG=1" } >= 3 }
    #expect(worker.end(SIGTERM) == 0)
    #expect(systemd.holds("STOPPING=1"))
    #expect(worker.text.hasSuffix("stopped\n"), "\(worker.text)")
    withExtendedLifetime(broker) {}
  }
}
