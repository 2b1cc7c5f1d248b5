import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

/// Corrections in the outbox: they hold when the call returns, for the tool as for the device, and outlast what they correct.
@Suite struct CorrectionStorageTests {
  private let scratch: ScratchFolder
  private let clock = ManualClock()

  init() throws { scratch = try ScratchFolder(inMemory: true) }

  private func configuration(retentionSeconds: Int = 86_400) throws -> OutboxConfiguration {
    OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: KeyRing(current: try makeKey(4)), retentionSeconds: retentionSeconds,
      quota: OutboxQuota(ballastBytes: 0))
  }

  private func identifier(_ seed: UInt64) -> RandomIdentifier {
    var generator = SeededGenerator(seed: seed)
    return RandomIdentifier(using: &generator)
  }

  @discardableResult
  private func store(_ patient: String, session: RandomIdentifier, in outbox: Outbox) async throws -> StoredCapture {
    var generator = SystemRandomNumberGenerator()
    let id = RandomIdentifier(using: &generator)
    return try await outbox.enqueue(
      NewCapture(captureID: id, created: clock.now(), images: []) { number in
        try CanonicalJSON.bytes(
          of: HistoryTests.record(id, number, session: session, patient: patient, at: self.clock.now()))
      })
  }

  private func refusal(_ body: () async throws -> Void) async -> String {
    do { try await body() } catch { return "\(error)" }
    return "nothing was refused"
  }

  private func refs(_ outbox: Outbox, _ patient: String) async throws -> Set<RandomIdentifier> {
    Set(try await outbox.history(ofPatient: [patient]).records.map(\.sessionID))
  }

  @Test func thePastFollowsReassignmentMergeAndWithdrawalAndTheRecordsStay() async throws {
    let outbox = try Outbox(configuration(), time: clock)
    for (index, patient) in ["anna", "anna", "berta", "clara"].enumerated() {
      try await store(patient, session: identifier(UInt64(index)), in: outbox)
    }
    var before: [(sha256: [UInt8], payload: [UInt8])] = []
    for stored in try await outbox.list() {
      before.append((stored.item.sha256, try await outbox.payload(of: stored.item.id)))
    }
    let wrong = identifier(1)
    let made = try await outbox.correct(CorrectionRequest(.reassign, "\(wrong)", to: "berta", reason: "wrong tag"))
    #expect(made.recordedRef == "anna" && made.outboxID == outbox.outboxID && made.number == 5)
    #expect(try await refs(outbox, "anna") == [identifier(0)])
    #expect(try await refs(outbox, "berta") == [identifier(1), identifier(2)])
    _ = try await outbox.correct(CorrectionRequest(.merge, "clara", to: "berta", reason: "second card"))
    #expect(try await refs(outbox, "berta") == [identifier(1), identifier(2), identifier(3)])
    #expect(try await refs(outbox, "clara") == [identifier(1), identifier(2), identifier(3)])
    _ = try await outbox.correct(CorrectionRequest(.withdraw, "\(identifier(2))", reason: "consent"))
    #expect(try await refs(outbox, "clara") == [identifier(1), identifier(3)])
    _ = try await outbox.correct(CorrectionRequest(.unmerge, "clara", reason: "two persons"))
    #expect(try await refs(outbox, "clara") == [identifier(3)])
    #expect(try await refs(outbox, "berta") == [identifier(1)])
    // What the records say is what they said.
    let history = try await outbox.history(ofPatient: ["berta"])
    #expect(history.records.map(\.patientRef) == ["anna"] && history.unreadable == 0)
    for (index, (sha256, payload)) in before.enumerated() {
      #expect(try await outbox.payload(of: Int64(index + 1)) == payload)
      #expect(OpenSSLDigests().sha256(payload) == sha256)
    }
    let unknown = await refusal {
      _ = try await outbox.correct(CorrectionRequest(.withdraw, "\(identifier(99))", reason: "r"))
    }
    #expect(unknown.contains("nothing is stored of session"), "\(unknown)")
    await outbox.close()
  }

  /// Delivered, and long past the retention: it still says to whom later captures belong. Nothing else is kept so.
  @Test(arguments: [0, 3600]) func aCorrectionIsKeptForGood(retentionSeconds: Int) async throws {
    var outbox = try Outbox(configuration(retentionSeconds: retentionSeconds), time: clock)
    let capture = try await store("anna", session: identifier(1), in: outbox)
    _ = try await outbox.correct(CorrectionRequest(.merge, "anna", to: "berta", reason: "second card"))
    var settlement = Settlement()
    settlement.delivered = capture.itemIDs + [2]
    try await outbox.settle(settlement)
    clock.advance(seconds: 90_000)
    try await outbox.maintain()
    #expect(try await outbox.list().map(\.item.name) == [CorrectionMessage.name])
    await outbox.close()
    outbox = try Outbox(configuration(retentionSeconds: retentionSeconds), time: clock)
    try await store("anna", session: identifier(2), in: outbox)
    #expect(try await refs(outbox, "berta") == [identifier(2)])
    #expect(try await outbox.corrections().messages.count == 1)
    await outbox.close()
  }

  @Test func theToolCorrectsWhatTheDeviceThenKnowsAndSends() async throws {
    let outbox = try Outbox(configuration(), time: clock)
    try await store("anna", session: identifier(1), in: outbox)
    // Beside the running device, which takes the numbers over, and in its place.
    let tool = try OutboxTool(configuration(), time: clock)
    let made = try tool.correct(CorrectionRequest(.reassign, "\(identifier(1))", to: "berta", reason: "wrong tag"))
    #expect(made.number == 2)
    try await store("dora", session: identifier(2), in: outbox)
    #expect(try await outbox.list().map(\.item.id) == [1, 2, 3])
    #expect(try await refs(outbox, "berta") == [identifier(1)])
    #expect(throws: OutboxError.self) {
      try tool.correct(CorrectionRequest(.reassign, "\(identifier(1))", to: "berta", reason: "again"))
    }
    let waiting = try #require(try await outbox.pending(.event, after: 0, limit: 9).first)
    #expect(waiting.topicSuffix == "event")
    #expect(try CorrectionMessage(decoding: await outbox.payload(of: waiting.id)) == made)
    await outbox.close()
    let again = try Outbox(configuration(), time: clock)
    #expect(again.recoveryAtStart == nil)
    #expect(try await refs(again, "berta") == [identifier(1)])
    await again.close()
  }

  /// One that rotted on the disk is not followed in silence: the search says that something could not be read.
  @Test func aDamagedCorrectionIsCounted() async throws {
    let outbox = try Outbox(configuration(), time: clock)
    try await store("anna", session: identifier(1), in: outbox)
    _ = try await outbox.correct(CorrectionRequest(.merge, "anna", to: "berta", reason: "r"))
    await outbox.close()
    let database = try OutboxDatabase(
      configuration(), time: clock, generator: SystemRandomNumberGenerator(), role: .tool)
    try database.transaction { () throws(OutboxError) in
      try database.execute("UPDATE payload SET sealed = \(damaged("sealed", at: "length(sealed)")) WHERE id = 2")
    }
    let log = try database.corrections()
    #expect(log.messages.isEmpty && log.unreadable == 1)
    let again = try Outbox(configuration(), time: clock)
    #expect(try await again.history(ofPatient: ["anna"]).unreadable == 1)
    await again.close()
  }
}
