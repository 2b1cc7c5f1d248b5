import Foundation
import Provenance
import Storage
import TestSupport
import Testing

/// The one walk that everybody takes part in, each as a program of its own: the device takes a capture at a tag, the worker
/// stores it, a reader reads and answers at the gateway's page, the device shows it at the next tag of the same patient, and
/// a verifier that shares no code proves by files alone what the device did.
///
/// `make test` makes the gateway's environment and names it in `THERMOGRAPH_GATEWAY_PYTHON`.
@Suite(
  .enabled(
    if: ProcessInfo.processInfo.environment["THERMOGRAPH_GATEWAY_PYTHON"] != nil,
    "THERMOGRAPH_GATEWAY_PYTHON names no Python of the gateway's environment (Scripts/gateway-environment)"))
struct WholeWayTests {
  private static let told = "There is an answer for you"
  private static let annsTag: [UInt8] = [0x0D, 0xE0, 0, 0, 1]
  private static let beasTag: [UInt8] = [0x0D, 0xE0, 0, 0, 2]

  /// Broker, database, worker, page.
  private struct FarSide {
    let workspace: Workspace
    let site: AnsweringSite
    let database: TestDatabase
    let broker: MosquittoBroker
    let worker: Program
    let page: Program
    let address: String

    private static var python: String {
      get throws { try #require(ProcessInfo.processInfo.environment["THERMOGRAPH_GATEWAY_PYTHON"]) }
    }
    var masterKey: String { workspace.folder + "/master.key" }
    private var password: String { workspace.folder + "/password" }

    init(_ workspace: Workspace) async throws {
      self.workspace = workspace
      site = try AnsweringSite(workspace)
      database = try PostgresServer.start().makeDatabase()
      broker = try MosquittoBroker()
      try await broker.start()
      var generator = SystemRandomNumberGenerator()
      let masterKey = workspace.folder + "/master.key"
      _ = try KeyFile.create(path: masterKey, digests: OpenSSLDigests(), using: &generator)
      let words = (0..<4).map { _ in String(UInt32.random(in: 0 ... .max, using: &generator), radix: 36) }
      let password = workspace.folder + "/password"
      try words.joined(separator: " ").write(toFile: password, atomically: true, encoding: .utf8)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: password)

      let migrated = try await Program.run(
        ["--migrate", "--database", database.connection], executable: Program.worker, in: workspace.folder)
      try #require(migrated.status == 0, "\(migrated.errors)")
      _ = try database.query("CREATE ROLE thermograph_gateway LOGIN")
      try await Self.gateway(["migrate", "--database", database.connection], in: workspace)
      worker = try Program(
        Program.worker,
        [
          "--database", database.connection, "--master-key-file", masterKey, "--name", "worker", "--broker",
          "127.0.0.1:\(broker.port)", "--signing-key", site.receiptKey,
        ], in: workspace.folder)
      try await worker.waitForErrors(containing: "receiving from")
      let reader = database.connection.replacingOccurrences(of: "user=postgres", with: "user=thermograph_gateway")
      let common = ["--database", reader, "--master-key-file", masterKey]
      try await Self.gateway(
        ["user", "add", "reader-1", "--password-file", password, "--database", reader], in: workspace)
      let port = try FreePort.take()
      address = "http://127.0.0.1:\(port)"
      page = try Program(
        Self.python,
        [
          "-m", "thermograph_gateway", "serve", "--port", "\(port)", "--result-key", site.resultKey, "--online-keys",
          site.onlineKeys,
        ] + common, in: workspace.folder)
      try await page.waitForErrors(containing: "\(address)/")
    }

    @discardableResult
    private static func gateway(_ arguments: [String], in workspace: Workspace) async throws -> String {
      let done = try await Program.run(
        ["-m", "thermograph_gateway"] + arguments, executable: python, in: workspace.folder)
      try #require(done.status == 0, "\(arguments): \(done.output)\(done.errors)")
      return done.output
    }

    /// What the reader's script prints.
    func reader(_ more: String...) async throws -> String {
      let done = try await Program.run(
        [Workspace.repository + "/Tests/EndToEndTests/Fixtures/reader.py", address, password] + more,
        executable: Self.python,
        in: workspace.folder)
      try #require(done.status == 0, "\(done.errors)\n\(page.errors)")
      return done.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The heads that the worker saw of the device's log.
    func writeAnchors(to path: String) async throws {
      try await Self.gateway(
        [
          "witness", "--site", "test-site", "--device", "test-device", "--anchors", path, "--database",
          database.connection, "--master-key-file", masterKey,
        ], in: workspace)
    }

    /// What the independent verifier says; it is given files alone.
    func judge(_ log: String) async throws -> (status: Int32, words: String) {
      let judged = try await Program.run(
        [
          Workspace.repository + "/Gateway/thermograph_gateway/audit_verifier.py", log, "--vkey",
          workspace.folder + "/audit.pem", "--anchors", workspace.folder + "/anchors.jsonl", "--witness",
          log + "/witness", "--witness-key", workspace.folder + "/receipts-public.pem",
        ], executable: "/usr/bin/python3", in: workspace.folder)
      return (judged.status, judged.output + judged.errors)
    }

    func end() async throws {
      for program in [page, worker] {
        program.send(SIGTERM)
        _ = try await program.waitForExit(seconds: 30)
      }
    }
  }

  @Test func fromTheTagToTheReaderAndBackToTheTagWithAProof() async throws {
    let workspace = try Workspace()
    let far = try await FarSide(workspace)
    let board = try await FieldBoard(workspace)
    let configuration = try workspace.configure(
      port: far.broker.port, captures: 0,
      more: [
        "reader": board.readerTable, "log": "level = \"info\"",
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0\nretakes_per_view = 0",
      ])
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration], in: workspace.folder, environment: board.environment)
    func tool(_ arguments: String...) async throws -> String {
      let done = try await Program.run(arguments + ["--config", configuration], in: workspace.folder)
      try #require(done.status == 0, "\(arguments): \(done.errors)")
      return done.output
    }
    func ends() -> Int { device.errors.split(separator: "\n").count { $0.contains("session complete") } }
    try await device.waitForErrors(containing: "ready")

    // The patient's tag, the capture, its receipt.
    await board.reader.tap(Self.annsTag)
    try await eventually("a session is complete", context: { device.errors }) { ends() == 1 }
    try await eventually("the worker has the capture", context: { far.worker.errors + device.errors }) {
      try far.database.number("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") == 1
    }
    #expect(try await tool("results", "list") == "", "nobody has answered yet")

    // The reader at the page; the device says that it has the answer, and the page shows it.
    let capture = try await far.reader()
    #expect(try far.database.query("SELECT capture_id FROM capture") == [[capture]])
    try await eventually("the page shows that the device has it", withinSeconds: 60) {
      try await far.reader("--progress") == "has it"
    }
    #expect(try far.database.query("SELECT state FROM downlink") == [["answered"]])
    #expect(!device.errors.contains(Self.told), "nothing is shown before the tag")

    // Another patient sees nothing; the tag of the right one shows it, once.
    await board.reader.tap(Self.beasTag)
    try await eventually("the other session is complete", context: { device.errors }) { ends() == 2 }
    #expect(!device.errors.contains(Self.told))
    await board.reader.tap(Self.annsTag)
    try await eventually("it is told", context: { device.errors }) { device.errors.contains(Self.told) }
    try await eventually("it is noted") { try await tool("results", "list", "--json").contains(#""state":"shown""#) }
    // The other patient's record carries the head behind the answer to the far side.
    try await eventually("the worker has both captures", context: { device.errors }) {
      try far.database.number("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") == 2
    }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 30) == 0, "\(device.errors)")

    // The proof, by files alone.
    let log = workspace.folder + "/log"
    _ = try await tool("audit", "export", log)
    try await tool("audit", "key").write(toFile: workspace.folder + "/audit.pem", atomically: true, encoding: .utf8)
    try far.site.receiptPublicKey.write(
      toFile: workspace.folder + "/receipts-public.pem", atomically: true, encoding: .utf8)
    try await far.writeAnchors(to: workspace.folder + "/anchors.jsonl")
    try await far.end()
    let judged = try await far.judge(log)
    #expect(judged.status == 0, "\(judged.words)")
    let text = try String(contentsOfFile: log + "/entries.jsonl", encoding: .utf8)
    let lines = text.split(separator: "\n").map(String.init)
    let story: [String] = try lines.compactMap { line -> String? in
      let entry = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      let what = try #require(entry["what"] as? [String: Any])
      guard let kind = entry["kind"] as? String else { return nil }
      switch kind {
      case "session-start", "session-end": return kind
      case "result":
        #expect(what["capture_id"] as? String == (what["step"] as? String == "accepted" ? capture : nil))
        return "result \(what["step"] ?? "")"
      default: return nil
      }
    }
    #expect(
      story == [
        "session-start", "session-end", "result accepted", "session-start", "session-end", "result shown",
      ])
    #expect(!text.contains("\"answered\""), "which answer it is stands in no log")

    // Somebody who would rather not have shown it.
    let bent = workspace.folder + "/bent"
    try FileManager.default.copyItem(atPath: log, toPath: bent)
    try lines.filter { !$0.contains(#""step":"accepted""#) }.map { $0 + "\n" }.joined()
      .write(toFile: bent + "/entries.jsonl", atomically: true, encoding: .utf8)
    #expect(try await far.judge(bent).status == 1)
    try workspace.expectNoTraceOfTheTag(Self.annsTag)
    for written in [device.errors, far.worker.errors, far.broker.log, text] { #expect(!written.contains("canary")) }
  }
}
