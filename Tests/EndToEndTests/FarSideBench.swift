import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport
import Testing
import Trust

/// Somebody on a broker beside a device: hears what it says, and says what a test wants.
struct FarSideBench {
  static let root = "tg/v1/test-site/test-device"

  let broker: MosquittoBroker
  let workspace: Workspace
  private let listener: Program

  init(_ workspace: Workspace) async throws {
    self.workspace = workspace
    broker = try MosquittoBroker()
    try await broker.start()
    listener = try Program(
      "/usr/bin/mosquitto_sub",
      ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-i", "far-side", "-t", "\(Self.root)/up/#"],
      in: workspace.folder)
    try await eventually("somebody listens", context: { broker.log }) {
      broker.log.contains("Sending SUBACK to far-side")
    }
  }

  var output: String { listener.output }

  func publish(_ payload: [UInt8], on topic: String, retained: Bool = false) async throws {
    let file = workspace.folder + "/message-" + UUID().uuidString
    try Data(payload).write(to: URL(fileURLWithPath: file))
    let sent = try await Program.run(
      ["-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-t", "\(Self.root)/dn/\(topic)", "-f", file]
        + (retained ? ["-r"] : []), executable: "/usr/bin/mosquitto_pub", in: workspace.folder)
    try #require(sent.status == 0, "\(sent.errors)")
  }

  /// Messages of a schema, e.g. `reply`.
  func heard(_ schema: String) -> [[String: Any]] {
    listener.outputBytes.split(separator: 0x0A)
      .compactMap { try? JSONSerialization.jsonObject(with: Data($0)) as? [String: Any] }
      .filter { $0["schema"] as? String == "thermograph.\(schema).v1" }
  }

  func reply(_ id: RandomIdentifier) -> [String: Any]? { heard("reply").last { $0["id"] as? String == "\(id)" } }
  func state(_ id: RandomIdentifier) -> String? { reply(id)?["state"] as? String }

  var challenge: String? { heard("status").compactMap { $0["challenge"] as? String }.last }

  /// A signed command of now for this start.
  func command(
    _ sender: CommandSender, _ name: String, _ arguments: String = "{}", id: RandomIdentifier
  ) throws -> [UInt8] {
    let now = Int64(Date().timeIntervalSince1970)
    return try sender.envelope(
      sender.statement(
        name, arguments, id: id, issued: Self.time(now), expires: Self.time(now + 3600), challenge: challenge ?? ""))
  }

  private static func time(_ seconds: Int64) -> String {
    let stamp = Timestamp(
      utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: true)
    return String(stamp.rfc3339.prefix(19)) + "Z"
  }
}

/// A repository that a site or a vendor signs.
struct SignedSite {
  var metadata: TestRepository
  private(set) var list: [UInt8] = []
  let root: TrustRoot

  init(_ root: TrustRoot = .site, expires: String = "2040-01-01T00:00:00Z") throws {
    self.root = root
    metadata = try TestRepository()
    metadata.expires = expires
    try metadata.publish()
  }

  /// Lists one key for commands, in the next version of everything.
  mutating func list(_ pem: String) throws {
    list = TestRepository.object([
      ("schema", .string("thermograph.online-keys.v1")),
      ("keys", .array([TestRepository.object([("role", .string("command")), ("key", .string(ExactText(pem)))])])),
    ]).encoded()
    metadata.targets = [("online-keys.json", TestRepository.target(list))]
    metadata.raise("targets", "snapshot", "timestamp")
    try metadata.publish()
  }

  /// What is sent on `dn/trust`.
  func message(_ id: RandomIdentifier? = nil) -> [UInt8] {
    func table(_ files: [(String, [UInt8])]) -> JSONValue {
      TestRepository.object(
        files.sorted { $0.0 < $1.0 }.map { ($0.0, .string(ExactText(Data($0.1).base64EncodedString()))) })
    }
    let digest = Hexadecimal.text(of: TestRepository.digests.sha256(list))
    var members: TestRepository.Members = [
      ("schema", .string("thermograph.trust.v1")), ("root", .string(ExactText(root.rawValue))),
      ("metadata", table(metadata.files.map { ($0.key, $0.value) })),
      ("targets", table(list.isEmpty ? [] : [("\(digest).online-keys.json", list)])),
    ]
    if let id { members.append(("id", .string(ExactText("\(id)")))) }
    return TestRepository.object(members).encoded()
  }

  /// On a device as `enroll --install` leaves it, with its metadata taken at a time of the past.
  func install(in stateDirectory: String, takenAt seconds: Int64? = nil) throws {
    let store = TrustStore(root, stateDirectory: stateDirectory, verifier: OpenSSLVerifier())
    _ = try store.install(root: try #require(metadata.files["1.root.json"]), isReplacing: true)
    guard let seconds else { return }
    _ = try store.update(
      from: try MetadataBundle(reading: message()), clock: ExpiryClock(seconds: seconds, isProven: true))
  }
}
