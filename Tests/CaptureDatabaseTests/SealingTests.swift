import CaptureDatabase
import Forwarding
import Foundation
import Provenance
import Receiving
import Storage
import TestSupport
import Testing

/// A8 and keys: what lies in the database can be read by nobody who has only the database.
@Suite(.enabled(if: hasPostgres, "needs postgresql-15"), .serialized)
struct SealingTests {
  @Test func canariesAreNowhere() throws {
    // A server of its own: the files of one that others use come and go while they are listed.
    let bench = try DatabaseBench(on: PostgresServer())
    let receiver = try bench.receiver()
    let canary = "CANARY-\(UUID().uuidString)"
    let capture = SentCapture(
      topics: bench.topics, id: try #require(RandomIdentifier(UUID().uuidString)), outboxID: bench.outboxID,
      sequence: 1,
      images: [
        "master.png": Array((String(repeating: ".", count: 900) + canary).utf8), "view.png": Array(canary.utf8),
      ],
      fields: #""comment":"\#(canary)","patient_ref":"searchable-1","#)
    let parts = capture.partMessages("master.png", size: 700)
    var reactions = try receiver.take([capture.recordMessage(), capture.imageMessage("view.png"), parts[0]])
    #expect(try found(Array(canary.utf8), bench) == [])
    reactions += try receiver.take(Array(parts.dropFirst()))
    #expect(reactions.entries == capture.entries)
    var refused = capture.recordMessage()
    refused.payload += [0x20]
    refused.userProperties = []
    let event = IncomingMessage(topic: bench.topics.up("event"), payload: Array(#"{"text":"\#(canary)"}"#.utf8))
    #expect(try receiver.take([refused, event]).refused.count == 1)
    #expect(try found(Array(canary.utf8), bench) == [])
    // The search would find what is there in the clear.
    #expect(try !found(Array("searchable-1".utf8), bench).isEmpty)
    // The master key is in no file either.
    #expect(try found(Array(Data(contentsOf: bench.keyFile)), bench) == [])
  }

  /// Files of the cluster (WAL included) and the dump in which `bytes` are found.
  private func found(_ bytes: [UInt8], _ bench: DatabaseBench) throws -> [String] {
    _ = try bench.database.query("CHECKPOINT")
    let server = bench.database.server
    let needle = Data(bytes)
    var hits: [String] = []
    for file in try server.files() {
      guard let content = try? Data(contentsOf: URL(filePath: file)) else { continue }
      if content.range(of: needle) != nil { hits.append(file) }
    }
    let dump = try server.dump(bench.database.name)
    #expect(dump.count > 1000)
    // A dump writes bytea as hexadecimal digits.
    if dump.range(of: needle) != nil || dump.range(of: Data(Hexadecimal.text(of: bytes).utf8)) != nil {
      hits.append("dump")
    }
    return hits
  }

  @Test func keysChangeWhileCapturesCome() throws {
    let bench = try DatabaseBench()
    let digests = OpenSSLDigests()
    let first = try bench.capture(1, images: ["view.png": 30_000])
    let receiver = try bench.receiver()
    let parts = first.partMessages("view.png", size: 9000)
    _ = try receiver.take([first.recordMessage(), parts[0]])
    #expect(try KeyRotation.rotate(bench.target(), masters: bench.masters, digests: digests) == 1)
    // Another worker seals under the new key, opens what lies under the old one and puts both together.
    let later = try bench.receiver()
    #expect(try later.take(Array(parts.dropFirst())).entries == first.entries)
    #expect(
      try bench.database.number(
        "SELECT count(DISTINCT key_id) FROM (SELECT key_id FROM capture UNION SELECT key_id FROM image) k") == 2)

    // A new master: the old one is needed once more to wrap anew, then not any more.
    var generator = SystemRandomNumberGenerator()
    let new = try #require(
      SealingKey(bytes: (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }, digests: digests))
    let both = KeyRing(current: new, older: [bench.masters.current])
    let wrong = #expect(throws: DatabaseError.self) {
      try KeyRotation.rewrap(bench.target(), masters: KeyRing(current: new), digests: digests)
    }
    #expect(wrong?.description.contains("no key with id") == true)
    #expect(try KeyRotation.rewrap(bench.target(), masters: both, digests: digests) == 2)
    #expect(try KeyRotation.rewrap(bench.target(), masters: both, digests: digests) == 0)
    let second = try bench.capture(2, images: ["view.png": 30_000])
    let withNew = try bench.receiver(try bench.store(KeyRing(current: new)))
    #expect(try withNew.take(second.messages).entries == second.entries)
    // With the old master alone nothing can be sealed: no receipt, and it is said why.
    let third = try bench.capture(3)
    let error = #expect(throws: ReceiverError.self) { try bench.receiver().take(third.messages) }
    #expect(error?.description.contains("is wrapped by master key") == true)
  }

  @Test func aContentThatIsExchangedDoesNotOpen() throws {
    let bench = try DatabaseBench()
    let receiver = try bench.receiver()
    let captures = try (1...2).map { try bench.capture($0, images: ["view.png": 20_000]) }
    let parts = captures.map { $0.partMessages("view.png", size: 9000) }
    _ = try receiver.take([captures[0].recordMessage(), parts[0][0], parts[1][0]])
    _ = try bench.database.query(
      """
      UPDATE image_part SET sealed = (SELECT sealed FROM image_part WHERE capture_id = '\(captures[1].id)')
      WHERE capture_id = '\(captures[0].id)'
      """)
    let error = #expect(throws: ReceiverError.self) { try receiver.take(Array(parts[0].dropFirst())) }
    #expect(error?.description.contains("the authentication tag does not match") == true)
  }
}
