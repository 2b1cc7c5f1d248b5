import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport
import Testing
import Trust

/// The way of an answer with the real program, a real broker and a tag at a real reader's line: a capture, the receiver's
/// folder, the clinic's signed answer, and the light at the right tag and no other.
@Suite(.serialized) struct ResultTests {
  private static let root = "tg/v1/test-site/test-device"
  private static let told = "There is an answer for you"
  private static let annsTag: [UInt8] = [0x0D, 0xE0, 0, 0, 1]
  private static let beasTag: [UInt8] = [0x0D, 0xE0, 0, 0, 2]

  /// Broker, keys of the site, and who listens.
  private struct Scene {
    let workspace: Workspace
    let broker: MosquittoBroker
    let site: AnsweringSite

    init() async throws {
      workspace = try Workspace()
      broker = try MosquittoBroker()
      try await broker.start()
      site = try AnsweringSite(workspace)
    }

    func envelope(_ text: ResultText, by key: [UInt8]? = nil) throws -> [UInt8] {
      let signer = try SigningKey(pem: key ?? site.results, digests: OpenSSLDigests())
      return try Envelope(
        Array(text.json.utf8), type: "application/vnd.thermograph.result.v1+json", signedBy: [signer]
      ).encoded()
    }

    func publish(_ payload: [UInt8]) async throws {
      let file = workspace.folder + "/result"
      try Data(payload).write(to: URL(filePath: file))
      let sent = try await Program.run(
        ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-t", "\(ResultTests.root)/dn/result", "-f", file],
        executable: "/usr/bin/mosquitto_pub", in: workspace.folder)
      try #require(sent.status == 0, "\(sent.errors)")
    }

    /// Messages of one kind that the receiver has, by their member `member`.
    func received(_ kind: String) throws -> [[String: Any]] {
      try FileManager.default.subpathsOfDirectory(atPath: workspace.received)
        .filter { $0.contains("/messages/\(kind)-") }.sorted()
        .compactMap { path in
          let data = try Data(contentsOf: URL(filePath: workspace.received + "/" + path))
          return try JSONSerialization.jsonObject(with: data) as? [String: Any]
        }
    }

    func times() throws -> [[String: Any]] {
      try received("event").filter { message in message["kind"] as? String == "times" }
    }

    func reply(to id: RandomIdentifier) throws -> [String] {
      try received("reply").filter { $0["id"] as? String == "\(id)" }.compactMap { $0["state"] as? String }
    }
  }

  @Test func anAnswerComesBackToTheRightTagAndToNoOther() async throws {
    let scene = try await Scene()
    let workspace = scene.workspace
    let board = try await FieldBoard(workspace)
    let configuration = try workspace.configure(
      port: scene.broker.port, captures: 0,
      more: [
        "reader": board.readerTable, "log": "level = \"info\"",
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0\nretakes_per_view = 0",
      ])
    let receiver = try Program(
      Program.thermograph,
      [
        "receive", "--broker", "127.0.0.1:\(scene.broker.port)", "--output", workspace.received, "--signing-key",
        scene.site.receiptKey,
      ], in: workspace.folder)
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration], in: workspace.folder, environment: board.environment)
    try await eventually("the device hears answers", context: { scene.broker.log + device.errors }) {
      scene.broker.log.contains("\(Self.root)/dn/result (QoS 1)")
    }
    func ends() -> Int { device.errors.split(separator: "\n").count { $0.contains("session complete") } }
    func tap(_ tag: [UInt8], until count: Int) async throws {
      await board.reader.tap(tag)
      try await eventually("session \(count) is complete", context: { device.errors }) { ends() == count }
    }
    try await tap(Self.annsTag, until: 1)
    try await eventually("the capture is received", context: { receiver.errors + device.errors }) {
      try scene.times().count == 1
    }
    let record = try #require(try workspace.receivedRecords().first)
    let times = try #require(try scene.times().first)
    let terms: [Int] = ["edge_ms", "queue_ms", "cloud_ms", "response_ms"].compactMap { times[$0] as? Int }
    let total = try #require(times["total_ms"] as? Int, "\(times)")
    #expect(terms.count == 4 && terms.reduce(0, +) == total, "\(times)")

    var generator = SystemRandomNumberGenerator()
    func text() throws -> ResultText {
      let named = try #require(record["capture_id"] as? String)
      let capture = try #require(RandomIdentifier(named))
      var text = ResultText(id: RandomIdentifier(using: &generator), captureID: capture)
      (text.site, text.device) = ("test-site", "test-device")
      text.patientRef = try #require(record["patient_ref"] as? String)
      let bytes = try Data(contentsOf: URL(filePath: try workspace.receivedFile(named: "record.json")))
      text.recordSHA256 = Hexadecimal.text(of: OpenSSLDigests().sha256([UInt8](bytes)))
      return text
    }
    let good = try text()
    var unknown = try text()
    unknown.captureID = RandomIdentifier(using: &generator)
    var otherDevice = try text()
    otherDevice.device = "another"
    var changed = good
    changed.state = "repeat-requested"
    // Somebody without the key, the receiver with its own, another device's, and one about nothing that was taken here.
    try await scene.publish(try scene.envelope(try text(), by: SigningKey.make()))
    try await scene.publish(
      try scene.envelope(try text(), by: [UInt8](Data(contentsOf: URL(filePath: scene.site.receiptKey)))))
    try await scene.publish(try scene.envelope(otherDevice))
    try await scene.publish(try scene.envelope(unknown))
    try await scene.publish(try scene.envelope(good))
    try await scene.publish(try scene.envelope(good))
    try await scene.publish(try scene.envelope(changed))
    try await eventually("all that get an answer have it", context: { device.errors }) {
      try scene.reply(to: good.id).count == 3 && scene.reply(to: unknown.id).count == 1
    }
    #expect(try scene.reply(to: good.id).sorted() == ["done", "done", "refused"])
    #expect(try scene.reply(to: unknown.id) == ["refused"])
    #expect(try scene.received("reply").count == 4, "nobody who is not believed is answered")
    try await eventually("both are alerted", context: { device.errors }) {
      Set(try scene.received("alert").compactMap { $0["code"] as? String })
        .isSuperset(of: ["result-unknown-capture", "result-id-twice"])
    }
    #expect(!device.errors.contains(Self.told), "nothing is shown before the tag")

    // Somebody else's tag shows nothing: a session begins as ever.
    try await tap(Self.beasTag, until: 2)
    #expect(!device.errors.contains(Self.told), "\(device.errors)")
    let waiting = try await Program.run(
      ["results", "list", "--config", configuration, "--json"], in: workspace.folder)
    #expect(waiting.output.contains("\"state\":\"waiting\""), "\(waiting.output)\(waiting.errors)")

    await board.reader.tap(Self.annsTag)
    try await eventually("it is told", context: { device.errors }) { device.errors.contains(Self.told) }
    #expect(ends() == 2, "it takes the place of a session")
    try await eventually("it is noted") {
      let list = try await Program.run(
        ["results", "list", "--config", configuration, "--json"], in: workspace.folder)
      return list.output.contains("\"state\":\"shown\"")
    }
    let shown = try await Program.run(
      ["results", "show", "\(good.id)", "--config", configuration], in: workspace.folder)
    #expect(shown.status == 0 && shown.output.contains("answered by reader.1"), "\(shown.output)\(shown.errors)")

    // The next tap begins a session. A replay brings nothing back.
    try await scene.publish(try scene.envelope(good))
    try await eventually("the replay is answered", context: { device.errors }) {
      try scene.reply(to: good.id).count == 4
    }
    try await Task.sleep(for: .seconds(3))  // The tag has to be away for a while before it counts again.
    try await tap(Self.annsTag, until: 3)
    #expect(device.errors.split(separator: "\n").count { $0.contains(Self.told) } == 1)
    let status = try await Program.run(["status", "--config", configuration, "--json"], in: workspace.folder)
    #expect(status.output.contains("\"response\":{\"known\":"), "\(status.output)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    receiver.send(SIGTERM)
    _ = try await receiver.waitForExit(seconds: 20)
    try workspace.expectNoTraceOfTheTag(Self.annsTag)
  }
}
