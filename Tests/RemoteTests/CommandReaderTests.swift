import Cryptography
import Forwarding
import Provenance
import Remote
import Storage
import TestSupport
import Testing
import Trust

/// Somebody who may write to `dn/command` and has no key of ours, or uses one for what it is not for.
@Suite struct CommandReaderTests {
  private let id: RandomIdentifier
  private let sender: CommandSender

  init() throws {
    id = try #require(RandomIdentifier("0d9f9a1e-1111-4a4a-8b8b-000000000001"))
    sender = try CommandSender()
  }

  private func reading(_ bytes: [UInt8], isRetained: Bool = false) -> CommandReader.Reading {
    var reader = sender.reader
    return reader.read(bytes, isRetained: isRetained, now: 0)
  }

  private func refusal(_ statement: String) throws -> String? {
    guard case .refused(let refusal, _) = reading(try sender.envelope(statement)) else { return nil }
    return "\(refusal)"
  }

  @Test func aSignedCommandIsRead() throws {
    let statement = sender.statement("hold-images", #"{"seconds":60}"#, id: id, challenge: "c")
    guard case .statement(let command, let digest) = reading(try sender.envelope(statement)) else {
      Issue.record("not read")
      return
    }
    #expect(command.id == id && command.name == "hold-images" && command.challenge == "c")
    #expect(command.action == .success(.holdImages(seconds: 60)))
    #expect(command.issuedSeconds == 1_772_357_400 && command.expiresSeconds - command.issuedSeconds == 86_400)
    #expect(digest == OpenSSLDigests().sha256(Array(statement.utf8)))
  }

  @Test func aStrangersSignatureIsNone() throws {
    let statement = sender.statement("restart", id: id)
    let stranger = try CommandSender()
    for bytes in [
      try stranger.envelope(statement), Array(statement.utf8), [], Array("{}".utf8),
      try sender.envelope(statement, type: "application/vnd.thermograph.result.v1+json"),
      Array(String(decoding: try sender.envelope(statement), as: UTF8.self).replacing("sig", with: "gis").utf8),
    ] {
      guard case .refused(.untrusted, false) = reading(bytes) else {
        Issue.record("believed: \(String(decoding: bytes.prefix(80), as: UTF8.self))")
        continue
      }
    }
  }

  /// Every bit of a right envelope's text, turned.
  @Test func noBitMayDiffer() throws {
    let bytes = try sender.envelope(sender.statement("status", id: id))
    guard case .statement(let right, _) = reading(bytes) else {
      Issue.record("not read")
      return
    }
    var reader = sender.reader
    for index in bytes.indices {
      for bit in 0..<8 {
        var bent = bytes
        bent[index] ^= 1 << bit
        // Each attempt at its own time, beyond any pause.
        let reading = reader.read(bent, isRetained: false, now: UInt64(index * 8 + bit) * 1_000_000_000_000)
        // A hint of whose signature it is may be bent: it decides nothing.
        if case .statement(let command, _) = reading { #expect(command == right) }
      }
    }
  }

  @Test func retainedAndMisdirectedAreRefused() throws {
    let right = try sender.envelope(sender.statement("status", id: id))
    #expect(reading(right, isRetained: true) == .refused(.retained, isPause: false))
    for statement in [
      sender.statement("status", id: id, device: "d2"), sender.statement("status", id: id, site: "s2"),
      sender.statement("status", id: id, device: "D1"), sender.statement("status", id: id, device: ""),
    ] { #expect(reading(try sender.envelope(statement)) == .refused(.misdirected, isPause: false)) }
  }

  @Test(arguments: [
    (#""id""#, #""id":"0d9f9a1e-1111-4a4a-8b8b-000000000002","id""#),  // the same key twice
    (#""schema":"thermograph.command.v1""#, #""schema":"thermograph.command.v2""#),
    (#""2026-03-02T09:30:00Z""#, "1e2"), (#""2026-03-02T09:30:00Z""#, #""2026-03-02""#),
    (#""2026-03-02T09:30:00Z""#, #""2026-02-30T09:30:00Z""#), (#""id":"0d9f"#, #""id":"0d9"#),
    (#""arguments":{}"#, #""arguments":[]"#), (#""name":"status""#, #""name":7"#),
    (
      #""arguments":{}"#,
      #""arguments":{"a":\#(String(repeating: "[", count: 40) + String(repeating: "]", count: 40))}"#
    ),
  ])
  func aBentStatementIsRefusedByName(_ from: String, _ to: String) throws {
    let statement = sender.statement("status", id: id).replacing(from, with: to)
    switch reading(try sender.envelope(statement)) {
    case .refused(.malformed, _): break
    case .statement(let command, _):
      // What can be answered is answered.
      guard case .failure = command.action else {
        Issue.record("taken: \(statement)")
        return
      }
    default: Issue.record("taken: \(statement)")
    }
  }

  @Test(arguments: [
    ("status", #"{"x":1}"#), ("doctor", #"{"parts":"camera"}"#), ("doctor", #"{"parts":[1]}"#),
    ("resend", "{}"), ("resend", #"{"capture_ids":[]}"#), ("resend", #"{"capture_ids":["../../etc"]}"#),
    ("hold-images", #"{"seconds":86401}"#), ("hold-images", #"{"seconds":-1}"#), ("hold-images", #"{"seconds":1.0}"#),
    ("log-level", #"{"level":"debug","minutes":61}"#), ("log-level", #"{"level":"loud","minutes":1}"#),
    ("restart", #"{"now":true}"#), ("shell", #"{"line":"id"}"#), ("Status", "{}"), ("st\u{200B}atus", "{}"),
    ("identify", "{}"), ("identify", #"{"seconds":31}"#), ("identify", #"{"seconds":0}"#),
    ("capture-request", "{}"), ("capture-request", #"{"patient_ref":""}"#), ("capture-request", #"{"patient_ref":7}"#),
    ("capture-request", #"{"patient_ref":"ward-7","now":true}"#),
    ("capture-request", #"{"patient_ref":"\#(String(repeating: "a", count: 65))"}"#),
    ("update-install", "{}"), ("update-install", #"{"target":"fold","version":0}"#),
    ("update-install", #"{"target":"fold","version":1e2}"#), ("update-install", #"{"target":"../fold","version":1}"#),
    ("update-install", #"{"target":"fold","version":1,"window":"25:00-26:00"}"#),
    ("update-install", #"{"target":"fold","version":1,"url":"http://x"}"#), ("update-rollback", "{}"),
    ("patient-restore", "{}"), ("patient-restore", #"{"transfer":""}"#), ("patient-restore", #"{"transfer":"!"}"#),
    ("patient-restore", #"{"transfer":"AAAA","path":"/etc"}"#),
    ("patient-restore", #"{"transfer":"\#(String(repeating: "AAAA", count: 2901))"}"#),
    ("update-rollback", #"{"kind":"firmware"}"#), ("update-rollback", #"{"kind":"screening","version":3}"#),
  ])
  func argumentsAreBounded(_ name: String, _ arguments: String) throws {
    guard
      case .statement(let command, _) = reading(
        try sender.envelope(sender.statement(name, arguments, id: id)))
    else {
      // Numbers with a fraction make no JSON of ours.
      #expect(arguments.contains("1.0") || arguments.contains("1e2"))
      return
    }
    guard case .failure(let fault) = command.action else {
      Issue.record("\(name) \(arguments) is taken")
      return
    }
    #expect(!fault.description.isEmpty)
    #expect(CommandAction.names.contains(command.name) || command.name == "unknown")
  }

  @Test func updatesAreNamedByModelVersionAndKind() throws {
    func action(_ name: String, _ arguments: String) throws -> CommandAction? {
      guard case .statement(let command, _) = reading(try sender.envelope(sender.statement(name, arguments, id: id)))
      else { return nil }
      return try command.action.get()
    }
    let target = try #require(UnitTarget(model: "screening-fold", version: 7))
    #expect(
      try action("update-install", #"{"target":"screening-fold","version":7}"#) == .updateInstall(target, window: nil))
    #expect(
      try action("update-install", #"{"target":"screening-fold","version":7,"window":"22:00-05:00"}"#)
        == .updateInstall(target, window: SyncWindow("22:00-05:00")))
    #expect(try action("update-rollback", #"{"kind":"quality"}"#) == .updateRollback(.quality))
    #expect(try action("patient-restore", #"{"transfer":"AAEC"}"#) == .patientRestore(sealed: [0, 1, 2]))
    #expect(try action("sentinel-release", "{}") == .sentinelRelease)
    #expect(throws: ShapeFault.self) { try action("sentinel-release", #"{"kind":"all"}"#) }
  }

  @Test func twentyWrongSignaturesMakeAPause() throws {
    var reader = sender.reader
    let stranger = try CommandSender()
    let wrong = try stranger.envelope(sender.statement("status", id: id))
    let right = try sender.envelope(sender.statement("status", id: id))
    for count in 1...StatementReading.mostUntrusted {
      guard case .refused(_, let isPause) = reader.read(wrong, isRetained: false, now: 5) else {
        Issue.record("not refused")
        return
      }
      #expect(isPause == (count == StatementReading.mostUntrusted))
    }
    #expect(reader.read(right, isRetained: false, now: 5 + StatementReading.pauseNanoseconds - 1) == .ignored)
    guard case .statement = reader.read(right, isRetained: false, now: 5 + StatementReading.pauseNanoseconds) else {
      Issue.record("still paused")
      return
    }
  }

  @Test func thousandsOfSignaturesCostNothing() throws {
    let envelope = String(decoding: try sender.envelope(sender.statement("status", id: id)), as: UTF8.self)
    let many = envelope.replacing("[{", with: "[" + String(repeating: #"{"sig":"AAAA"},"#, count: 100_000) + "{")
    guard case .refused(.untrusted(.malformed), _) = reading(Array(many.utf8)) else {
      Issue.record("read")
      return
    }
  }
}
