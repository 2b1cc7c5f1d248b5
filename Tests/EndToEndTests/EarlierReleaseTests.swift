import Foundation
import TestSupport
import Testing

/// What release 0.1.0 left on disks, sticks and in files, given to this program. See `Fixtures/release-0.1.0/README.md`.
@Suite(.serialized) struct EarlierReleaseTests {
  static let folder = Workspace.repository + "/Tests/EndToEndTests/Fixtures/release-0.1.0"
  private let workspace: Workspace

  init() throws { workspace = try Workspace() }

  private static func captures() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder + "/stick").filter { $0 != "messages" }.sorted()
  }

  /// The state directory as that release left it, with the key of the fixture; this device has its name.
  private func takeOver(port: UInt16, journal: Bool = false) throws -> String {
    let state = workspace.folder + "/state"
    let files = ["outbox.sqlite", "outbox.sqlite-wal", "outbox.sqlite.numbers"] + (journal ? ["session.json"] : [])
    for file in files {
      try FileManager.default.copyItem(atPath: Self.folder + "/state/" + file, toPath: state + "/" + file)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: state + "/" + file)
    }
    for (key, bytes) in [("outbox", (0..<32).map { UInt8($0) }), ("site", (0..<32).reversed().map { UInt8($0) })] {
      try Data(bytes).write(to: URL(fileURLWithPath: state + "/keys/\(key).key"))
      try FileManager.default.setAttributes(
        [.posixPermissions: 0o600], ofItemAtPath: state + "/keys/\(key).key")
    }
    return try workspace.configure(port: port, captures: 0, more: ["device": "id = \"golden\"\nsite = \"fixture\""])
  }

  private func run(_ arguments: [String]) async throws -> (status: Int32, output: String, errors: String) {
    try await Program.run(arguments, in: workspace.folder)
  }

  private func expectSameCapture(_ capture: String, at path: String) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder + "/stick/" + capture) {
      #expect(
        FileManager.default.contents(atPath: path + "/" + name)
          == FileManager.default.contents(atPath: Self.folder + "/stick/\(capture)/\(name)"), "\(capture)/\(name)")
    }
  }

  // MARK: - Outbox

  /// Its own tools see the 14 messages, every seal opens, and an export has the bytes that the release itself exported.
  @Test func theOutboxIsReadWhole() async throws {
    let configuration = try takeOver(port: 1883)
    let list = try await run(["outbox", "list", "--config", configuration])
    let items = list.output.split(separator: "\n").count { $0.first?.isNumber == true }
    #expect(list.status == 0 && items == 14, "\(list.output)\(list.errors)")
    let verified = try await run(["outbox", "verify", "--config", configuration])
    #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
    let stick = workspace.folder + "/stick"
    try FileManager.default.createDirectory(atPath: stick, withIntermediateDirectories: true)
    let exported = try await run(["outbox", "export", "--clear", "--config", configuration, stick])
    #expect(exported.status == 0, "\(exported.errors)")
    let captures = try Self.captures()
    #expect(captures.count == 2)
    for capture in captures { try expectSameCapture(capture, at: stick + "/" + capture) }
  }

  /// The device goes on with it: what waited is delivered, and numbers go on behind those that were given.
  @Test func whatWaitedIsDelivered() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let configuration = try takeOver(port: broker.port)
    let receiver = try workspace.startReceiver(port: broker.port, until: 2)
    try await receiver.waitForErrors(containing: "127.0.0.1")
    let device = try Program(
      Program.thermograph, ["run", "--simulate", "--config", configuration], in: workspace.folder)
    #expect(try await receiver.waitForExit(seconds: 120) == 0, "\(receiver.errors)\(device.errors)")
    let records = try workspace.receivedRecords()
    #expect(records.compactMap { $0["sequence"] as? Int } == [1, 2])
    for capture in try Self.captures() {
      let record = try #require(
        try FileManager.default.subpathsOfDirectory(atPath: workspace.received).first {
          $0.hasSuffix("\(capture)/record.json")
        })
      try expectSameCapture(
        capture, at: workspace.received + "/" + record.replacingOccurrences(of: "/record.json", with: ""))
    }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  /// A session that a power cut interrupted under that release is closed as incomplete, and nobody else goes on with it.
  @Test func theInterruptedSessionIsClosed() async throws {
    let configuration = try takeOver(port: 1883, journal: true)
    let device = try Program(
      Program.thermograph, ["run", "--simulate", "--config", configuration], in: workspace.folder)
    try await device.waitForErrors(containing: "a session was interrupted by a restart")
    try await device.waitForErrors(containing: "notice: ready")
    #expect(!device.errors.contains("cannot be taken up"), "\(device.errors)")
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0)
  }

  // MARK: - Stick and records

  @Test func theStickIsReceived() async throws {
    let stick = workspace.folder + "/stick"
    try FileManager.default.copyItem(atPath: Self.folder + "/stick", toPath: stick)
    let result = try await run(["receive", "--stick", stick, "--output", workspace.received])
    #expect(try workspace.receivedRecords().compactMap { $0["sequence"] as? Int } == [1, 2], "\(result)")
    for record in try workspace.receivedRecords() { #expect(record["schema"] as? String == "thermograph.capture.v1") }
    for capture in try Self.captures() {
      let record = try #require(
        try FileManager.default.subpathsOfDirectory(atPath: workspace.received).first {
          $0.hasSuffix("\(capture)/record.json")
        })
      try expectSameCapture(
        capture, at: workspace.received + "/" + record.replacingOccurrences(of: "/record.json", with: ""))
    }
  }

  // MARK: - Configuration

  @Test func theConfigurationIsTaken() async throws {
    for name in ["example.toml", "thermograph.toml"] {
      let result = try await run(["check", "--no-files", "--config", Self.folder + "/" + name])
      #expect(result.status == 0, "\(name): \(result.errors)")
    }
  }

  /// Every key that the release knew is known, in the same table.
  @Test func everyKeyIsStillKnown() async throws {
    let now = try await run(["check", "--schema"])
    let keys = try Self.keys(Data(now.output.utf8))
    let then = try Self.keys(
      try #require(FileManager.default.contents(atPath: Self.folder + "/configuration.schema.json")))
    #expect(then.count > 120)
    #expect(then.subtracting(keys).sorted() == [])
  }

  private static func keys(_ schema: Data) throws -> Set<String> {
    let root = try #require(try JSONSerialization.jsonObject(with: schema) as? [String: Any])
    var found: Set<String> = []
    func collect(_ properties: [String: Any], _ path: String) {
      for (name, value) in properties {
        let inner = value as? [String: Any]
        if let deeper = inner?["properties"] as? [String: Any] {
          collect(deeper, path + name + ".")
        } else {
          found.insert(path + name)
        }
      }
    }
    collect(try #require(root["properties"] as? [String: Any]), "")
    return found
  }
}
