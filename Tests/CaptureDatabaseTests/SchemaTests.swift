import CaptureDatabase
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

@Suite(.enabled(if: hasPostgres, "needs postgresql-15"), .serialized)
struct SchemaTests {
  @Test func isMadeOnceAndChecked() async throws {
    let database = try PostgresServer.start().makeDatabase()
    let target = try DatabaseTarget(database.connection)
    let missing = #expect(throws: DatabaseError.self) { try DatabaseSchema.check(target) }
    #expect(missing?.description == "database: it has no schema yet; run thermograph-receiver --migrate")
    // Two at the same moment take turns.
    let steps = try await withThrowingTaskGroup(of: [String].self) { group in
      for _ in 0..<3 { group.addTask { try DatabaseSchema.migrate(target) } }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(
      steps == [
        "1: captures", "2: messages and devices", "3: downlink", "4: views that stay", "5: metadata and parts",
        "6: audit heads",
      ])
    try DatabaseSchema.check(target)
    _ = try database.query("DELETE FROM schema_step WHERE number = 6")
    #expect(throws: DatabaseError.self) { try DatabaseSchema.check(target) }
    _ = try database.query("INSERT INTO schema_step VALUES (6, 'audit heads'), (7, 'from the future')")
    let newer = #expect(throws: DatabaseError.self) { try DatabaseSchema.check(target) }
    #expect(newer?.description.contains("install the newer program") == true)
    #expect(throws: DatabaseError.self) { try DatabaseSchema.migrate(target) }
  }

  @Test func aPasswordInTheArgumentsIsRefused() {
    for text in ["postgresql://u:secret@h/d", "host=h password=secret"] {
      let error = #expect(throws: DatabaseError.self) { try DatabaseTarget(text) }
      #expect(error?.description.contains("passfile=PATH") == true)
      #expect(error?.description.contains("secret") == false)
    }
    let error = #expect(throws: DatabaseError.self) { try DatabaseTarget("postgresql://u:secret@[::") }
    #expect(error?.description.contains("secret") == false)
  }

  /// A commit that brings a warning was not replicated: no receipt. Here a trigger warns, as the server does when
  /// somebody cancels the wait for the standby.
  @Test func aWarningOfACommitIsAFailure() throws {
    let bench = try DatabaseBench()
    _ = try bench.database.query(
      """
      CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE WARNING 'canceling wait for synchronous replication due to user request'; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON image DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        EXECUTE FUNCTION warn()
      """)
    let capture = try bench.capture(1, images: ["master.png": 10])
    let receiver = try bench.receiver()
    let error = #expect(throws: ReceiverError.self) { try receiver.take(capture.messages) }
    #expect(error?.description.contains("not confirmed by a standby") == true)
    _ = try bench.database.query("DROP TRIGGER warns ON image")
    #expect(try receiver.take(capture.messages).entries == capture.entries)
  }

  /// The server dies, is back, and freezes: no receipt meanwhile, all of it afterwards, noticed within the limit.
  @Test func aServerThatIsGoneIsNoticedAndComesBack() throws {
    let bench = try DatabaseBench(on: PostgresServer())
    var target = try bench.target()
    #expect(target.statementSeconds < 15, "a dead primary is noticed within so long")
    target.statementSeconds = 2
    let store = try DatabaseStore(target, masters: bench.masters, digests: OpenSSLDigests())
    let receiver = try bench.receiver(store)
    let captures = try (1...3).map { try bench.capture($0) }
    #expect(try receiver.take(captures[0].messages).entries == captures[0].entries)
    let server = bench.database.server
    try server.kill()
    #expect(throws: ReceiverError.self) { try receiver.take(captures[1].messages) }
    #expect(throws: ReceiverError.self) { try receiver.take(captures[1].messages) }
    try server.boot()
    #expect(try receiver.take(captures[1].messages).entries == captures[1].entries)
    try server.freeze(true)
    let begin = ContinuousClock.now
    let late = #expect(throws: ReceiverError.self) { try receiver.take(captures[2].messages) }
    #expect(late?.description.contains("no answer within 2 s") == true)
    #expect(ContinuousClock.now - begin < .seconds(10))
    try server.freeze(false)
    #expect(try receiver.take(captures[2].messages).entries == captures[2].entries)
    #expect(try bench.database.number("SELECT count(*) FROM capture") == 3)
  }

  @Test func downlinksAreTakenOnceAndUntilTheyAreAnswered() throws {
    let bench = try DatabaseBench()
    let store = try bench.store()
    _ = try bench.database.query(
      """
      INSERT INTO downlink (id, site, device, topic, envelope, not_after) VALUES
        ('c-1', 'clinic', 'unit-1', 'command', 'one', now() + interval '1 day'),
        ('c-2', 'clinic', 'unit-2', 'result', 'two', now() + interval '1 day'),
        ('c-3', 'clinic', 'unit-1', 'command', 'old', now() - interval '1 day')
      """)
    #expect(try store.newDownlinks().map(\.id).sorted() == ["c-1", "c-2"])
    // Another worker leaves alone what somebody has taken a moment ago.
    #expect(try bench.store().newDownlinks().isEmpty)
    try store.notePublished(["c-1"])
    let open = try store.openDownlinks(of: [bench.topics])
    #expect(open.map(\.id) == ["c-1"])
    #expect(open.first?.message.topic == "tg/v1/clinic/unit-1/dn/command")
    #expect(open.first?.message.retain == false)
    // Somebody else's reply answers nothing.
    let foreign = TopicSchema(site: bench.topics.site, device: try TopicIdentifier("unit-2"))
    let reply = Array(#"{"id":"c-1","state":"done"}"#.utf8)
    _ = try bench.receiver().take(IncomingMessage(topic: foreign.up("reply"), payload: reply))
    #expect(try store.openDownlinks(of: [bench.topics]).count == 1)
    // A device that is busy did nothing, one that tries a configuration has not ended with it: both are offered it again.
    for state in ["busy", "trying"] {
      let interim = Array("{\"id\":\"c-1\",\"state\":\"\(state)\"}".utf8)
      _ = try bench.receiver().take(IncomingMessage(topic: bench.topics.up("reply"), payload: interim))
      #expect(try store.openDownlinks(of: [bench.topics]).count == 1)
    }
    _ = try bench.receiver().take(IncomingMessage(topic: bench.topics.up("reply"), payload: reply))
    #expect(try store.openDownlinks(of: [bench.topics]).isEmpty)
    #expect(
      try bench.database.query("SELECT id, state FROM downlink ORDER BY id")
        == [["c-1", "answered"], ["c-2", "waiting"], ["c-3", "expired"]])
  }

  /// Metadata is offered until it is answered; a part once, and its row goes. A topic that no device has is refused.
  @Test func metadataAndPartsGoDownToo() throws {
    let bench = try DatabaseBench()
    let store = try bench.store()
    let part = "model/\(String(repeating: "a", count: 64))/1-of-12"
    _ = try bench.database.query(
      """
      INSERT INTO downlink (id, site, device, topic, envelope, not_after) VALUES
        ('t-1', 'clinic', 'unit-1', 'trust', '{}', now() + interval '1 day'),
        ('p-1', 'clinic', 'unit-1', '\(part)', 'bytes', now() + interval '1 day'),
        ('p-2', 'clinic', 'unit-1', '\(part)', 'bytes', now() - interval '1 minute')
      """)
    let new = try store.newDownlinks()
    #expect(Set(new.map(\.message.topic)) == ["tg/v1/clinic/unit-1/dn/trust", "tg/v1/clinic/unit-1/dn/\(part)"])
    #expect(Set(new.map(\.message.contentType)) == ["application/json", "application/octet-stream"])
    #expect(new.allSatisfy { !$0.message.retain })
    #expect(try store.openDownlinks(of: [bench.topics]).map(\.id) == ["t-1"])
    try store.notePublished(["t-1", "p-1"])
    #expect(try bench.database.query("SELECT id, state FROM downlink") == [["t-1", "published"]])
    for topic in ["model", "receipt", "model/\(String(repeating: "a", count: 63))/1-of-2", part + "/x", "../up/status"]
    {
      #expect(throws: (any Error).self, "\(topic)") {
        _ = try bench.database.query(
          """
          INSERT INTO downlink (id, site, device, topic, envelope, not_after)
          VALUES ('x', 'clinic', 'unit-1', '\(topic)', 'x', now() + interval '1 day')
          """)
      }
    }
  }

  /// The id of a message on `dn/trust` is not signed. Whoever may write there sends a good set under the id of somebody's
  /// command: the command stays open, and its own reply answers it.
  @Test func aReplyToMetadataAnswersNoCommand() throws {
    let bench = try DatabaseBench()
    let store = try bench.store()
    _ = try bench.database.query(
      """
      INSERT INTO downlink (id, site, device, topic, envelope, not_after) VALUES
        ('c-1', 'clinic', 'unit-1', 'command', 'one', now() + interval '1 day'),
        ('t-1', 'clinic', 'unit-1', 'trust', '{}', now() + interval '1 day')
      """)
    func reply(_ id: String, _ name: String) throws -> [String] {
      let text = #"{"id":"\#(id)","name":"\#(name)","state":"done"}"#
      _ = try bench.receiver().take(IncomingMessage(topic: bench.topics.up("reply"), payload: Array(text.utf8)))
      return try store.openDownlinks(of: [bench.topics]).map(\.id)
    }
    #expect(try reply("c-1", "trust") == ["c-1", "t-1"])
    #expect(try reply("t-1", "restart") == ["c-1", "t-1"])
    #expect(try reply("t-1", "trust") == ["c-1"])
    #expect(try reply("c-1", "restart").isEmpty)
  }

  @Test func theFleetInWords() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    _ = try receiver.take(bench.capture(1).messages + [bench.capture(2).recordMessage()])
    let alert = IncomingMessage(
      topic: bench.topics.up("alert"), payload: Array(#"{"code":"outbox-filling","severity":"warning"}"#.utf8))
    _ = try receiver.take(alert)
    let status = StatusMessage(
      state: .online, site: "clinic", device: "unit-1", connectCounter: 1, firmware: "1.0", models: [],
      configurationSHA256: "", outboxID: bench.outboxID, accounts: nil,
      line: StatusMessage.Line(protection: "TLSv1.3", certificateDays: 9, plaintextAllowed: false), at: nil)
    _ = try receiver.take(IncomingMessage(topic: bench.topics.status, payload: status.encoded()))
    // One that only ever sent an alert.
    let silent = TopicSchema(site: bench.topics.site, device: try TopicIdentifier("unit-2"))
    _ = try receiver.take(
      IncomingMessage(
        topic: silent.up("alert"), payload: Array(#"{"code":"camera-missing","severity":"critical"}"#.utf8)))
    // A second of this machine's time is no matter here; what lies ahead counts as now.
    for (table, column) in [("device", "seen_at"), ("message", "received_at")] {
      _ = try bench.database.query("UPDATE \(table) SET \(column) = now() + interval '1 hour'")
    }
    let devices = try FleetReport.devices(bench.target())
    #expect(
      devices.map(\.line).dropFirst() == [
        "clinic/unit-2: no status yet, seen 0 s ago, 0 captures here, alerts: camera-missing"
      ])
    let device = try #require(devices.first)
    #expect(
      device.line == "clinic/unit-1: online, seen 0 s ago, 2 captures here, 1 incomplete, certificate for 9 days, "
        + "alerts: outbox-filling")
    let figures = try bench.store().fleetFigures()
    #expect(figures.devices == 1 && figures.online == 1)
    #expect(figures.worst["thermograph_device_certificate_days"]?.map(\.value) == [9])
  }
}
