import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport
import Testing
import Trust

/// The real device hears newer metadata over a real broker: its site's, an older one, a stranger's, a retained one; and
/// believes commands by what it trusts now.
@Suite(.serialized) struct TrustFromAfarTests {
  private static let root = "tg/v1/test-site/test-device"

  private struct Site {
    var metadata: TestRepository
    var list: [UInt8] = []

    init() throws {
      metadata = try TestRepository()
      metadata.expires = "2040-01-01T00:00:00Z"
      try metadata.publish()
    }

    mutating func list(_ pem: String) throws {
      list = TestRepository.object([
        ("schema", .string("thermograph.online-keys.v1")),
        (
          "keys", .array([TestRepository.object([("role", .string("command")), ("key", .string(ExactText(pem)))])])
        ),
      ]).encoded()
      metadata.targets = [("online-keys.json", TestRepository.target(list))]
      metadata.raise("targets", "snapshot", "timestamp")
      try metadata.publish()
    }

    func message(_ id: RandomIdentifier?) -> [UInt8] {
      func table(_ files: [(String, [UInt8])]) -> JSONValue {
        TestRepository.object(
          files.sorted { $0.0 < $1.0 }.map { ($0.0, .string(ExactText(Data($0.1).base64EncodedString()))) })
      }
      let digest = Hexadecimal.text(of: TestRepository.digests.sha256(list))
      var members: TestRepository.Members = [
        ("schema", .string("thermograph.trust.v1")), ("root", .string("site")),
        ("metadata", table(metadata.files.map { ($0.key, $0.value) })),
        ("targets", table([("\(digest).online-keys.json", list)])),
      ]
      if let id { members.append(("id", .string("\(id)"))) }
      return TestRepository.object(members).encoded()
    }
  }

  private func lines(_ listener: Program) -> [[String: Any]] {
    listener.outputBytes.split(separator: 0x0A).compactMap {
      try? JSONSerialization.jsonObject(with: Data($0)) as? [String: Any]
    }
  }

  @Test func newerMetadataIsTakenOverTheLineAndNothingElse() async throws {
    let workspace = try Workspace()
    let broker = try MosquittoBroker()
    try await broker.start()
    var site = try Site()
    _ = try TrustStore(.site, stateDirectory: workspace.folder + "/state", verifier: OpenSSLVerifier()).install(
      root: try #require(site.metadata.files["1.root.json"]), isReplacing: false)
    let configuration = try workspace.configure(port: broker.port, captures: 0)
    func publish(_ payload: [UInt8], _ topic: String = "trust", retained: Bool = false) async throws {
      let file = workspace.folder + "/message"
      try Data(payload).write(to: URL(fileURLWithPath: file))
      let sent = try await Program.run(
        ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-t", "\(Self.root)/dn/\(topic)", "-f", file]
          + (retained ? ["-r"] : []), executable: "/usr/bin/mosquitto_pub", in: workspace.folder)
      try #require(sent.status == 0, "\(sent.errors)")
    }
    let listener = try Program(
      "/usr/bin/mosquitto_sub",
      ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-i", "far-side", "-t", "\(Self.root)/up/#"],
      in: workspace.folder)
    try await eventually("somebody listens", context: { broker.log }) {
      broker.log.contains("Sending SUBACK to far-side")
    }
    func heard(_ schema: String) -> [[String: Any]] {
      lines(listener).filter { $0["schema"] as? String == "thermograph.\(schema).v1" }
    }
    func reply(_ id: RandomIdentifier) -> String? {
      heard("reply").last { $0["id"] as? String == "\(id)" }?["state"] as? String
    }
    let sender = try CommandSender(site: "test-site", device: "test-device")
    let thief = try CommandSender(site: "test-site", device: "test-device")
    var generator = SystemRandomNumberGenerator()
    func next() -> RandomIdentifier { RandomIdentifier(using: &generator) }
    // What a broker keeps is not even read.
    var retained = site
    try retained.list(thief.publicKey)
    try await publish(retained.message(next()), retained: true)

    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await eventually("it is born, and says what it trusts", context: { listener.output + device.errors }) {
      heard("status").contains { ($0["trust"] as? [String: [String: Int]])?["site"] == ["root": 1] }
    }
    try await eventually("it hears metadata", context: { broker.log }) {
      broker.log.contains("\(Self.root)/dn/trust (QoS 1)")
    }
    let old = site
    try site.list(sender.publicKey)
    let (first, second) = (next(), next())
    try await publish(site.message(first))
    try await eventually("it is answered", context: { listener.output + device.errors }) { reply(first) == "done" }
    try await eventually("the birth says so", context: { listener.output }) {
      (heard("status").last?["trust"] as? [String: [String: Int]])?["site"]
        == ["root": 1, "timestamp": 2, "snapshot": 2, "targets": 2]
    }
    let challenge = try #require(heard("status").last?["challenge"] as? String)
    let now = Int64(Date().timeIntervalSince1970)
    func command(_ sender: CommandSender, _ id: RandomIdentifier) throws -> [UInt8] {
      try sender.envelope(
        sender.statement(
          "status", id: id, issued: Self.time(now), expires: Self.time(now + 3600), challenge: challenge))
    }
    try await publish(try command(sender, second), "command")
    try await eventually("the listed key commands", context: { listener.output + device.errors }) {
      reply(second) == "done"
    }
    // An older set, another site's, rubbish: told once, and the list stays.
    var stranger = try Site()
    try stranger.list(thief.publicKey)
    for payload in [old.message(next()), stranger.message(next()), Array("{}".utf8)] { try await publish(payload) }
    let (third, fourth) = (next(), next())
    try await publish(try command(thief, third), "command")
    try await publish(try command(sender, fourth), "command")
    try await eventually("the listed key still commands", context: { listener.output + device.errors }) {
      reply(fourth) == "done"
    }
    #expect(reply(third) == nil)
    try await eventually("it is told", context: { listener.output + device.errors }) {
      heard("alert").count { $0["code"] as? String == "trust-refused" } == 1
    }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
  }

  private static func time(_ seconds: Int64) -> String {
    let stamp = Timestamp(
      utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: true)
    return String(stamp.rfc3339.prefix(19)) + "Z"
  }
}
