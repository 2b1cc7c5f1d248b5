import CSQLite
import Forwarding
import Foundation
import Provenance
import Remote
import TestSupport
import Testing

@testable import Storage

/// Notes of captures and answers on disk: they outlive the captures, share their commits, and nothing that is damaged or
/// moved is believed.
@Suite struct ResultStorageTests {
  private let scratch: ScratchFolder
  private let clock = ManualClock()
  private let key: SealingKey

  init() throws {
    scratch = try ScratchFolder(inMemory: true)
    key = try makeKey(4)
  }

  private func configuration(_ keys: KeyRing? = nil) -> OutboxConfiguration {
    OutboxConfiguration(
      path: scratch.file("outbox.sqlite"), keys: keys ?? KeyRing(current: key), retentionSeconds: 0,
      quota: OutboxQuota(ballastBytes: 0))
  }

  private func identifier(_ seed: UInt64) -> RandomIdentifier {
    var generator = SeededGenerator(seed: seed)
    return RandomIdentifier(using: &generator)
  }

  private func store(_ capture: UInt64, in outbox: Outbox, isNoted: Bool = true) async throws -> [UInt8] {
    let (id, session, now) = (identifier(capture), identifier(capture + 1000), clock.now())
    var new = NewCapture(captureID: id, created: now, images: []) { number in
      try CanonicalJSON.bytes(of: HistoryTests.record(id, number, session: session, patient: "ann", at: now))
    }
    if isNoted { new.belonging = .init(sessionID: session, patientRef: "ann") }
    clock.advance(seconds: 1)
    let stored = try await outbox.enqueue(new)
    return try await outbox.payload(of: stored.itemIDs[0])
  }

  private func statement(
    _ capture: UInt64, id: UInt64 = 77, record: [UInt8], cloud: String = "2026-03-01T09:30:04.250Z"
  ) throws -> ResultStatement {
    var text = ResultText(id: identifier(id), captureID: identifier(capture))
    text.recordSHA256 = Hexadecimal.text(of: OpenSSLDigests().sha256(record))
    text.cloudDone = cloud
    return try ResultStatement(reading: Array(text.json.utf8))
  }

  @discardableResult
  private func keep(_ statement: ResultStatement, in outbox: Outbox) async throws -> ResultDesk.Decision {
    var desk = ResultDesk()
    let now = clock.now()
    let decision = try desk.decide(
      statement, digest: OpenSSLDigests().sha256(Array("\(statement.id)".utf8)), try await outbox.view(of: statement),
      isClockProven: true, at: now)
    if case .keep(let answer, let capture, let reply) = decision {
      let times = capture.course.timesToAnswer(
        at: now, cloud: statement.cloudDoneMilliseconds - statement.receivedMilliseconds)
      try await outbox.keep(answer, of: capture, times: times, reply: .reply(reply, created: now))
    }
    return decision
  }

  private func receipt(_ capture: UInt64, _ record: [UInt8], times: (String, String)?) -> Receipt {
    var receipt = Receipt(
      receiver: "r",
      entries: [
        .init(
          captureID: identifier(capture), name: OutboxItem.recordName,
          sha256: Hexadecimal.text(of: OpenSSLDigests().sha256(record)), receivedAt: times?.0, storedAt: times?.1)
      ])
    receipt.arrivedAt = clock.now()
    return receipt
  }

  private func acknowledge(_ outbox: Outbox) async throws {
    var settlement = Settlement()
    settlement.awaitingReceipt = try await outbox.pending(.capture, after: 0, limit: 100).map(\.id)
    try await outbox.settle(settlement)
  }

  private func events(_ outbox: Outbox) async throws -> [[String: Any]] {
    var found: [[String: Any]] = []
    for stored in try await outbox.list() where stored.item.topicSuffix == "event" {
      let payload = Data(try await outbox.payload(of: stored.item.id))
      if let object = try JSONSerialization.jsonObject(with: payload) as? [String: Any],
        object["schema"] as? String == TimesMessage.schema
      {
        found.append(object)
      }
    }
    return found
  }

  private func sql(_ text: String) throws {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(configuration().path, &handle) == SQLITE_OK)
    try #require(sqlite3_exec(handle, text, nil, nil, nil) == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
  }

  private func count(_ table: String) throws -> Int64 {
    var handle: OpaquePointer?
    var row: OpaquePointer?
    defer {
      sqlite3_finalize(row)
      sqlite3_close(handle)
    }
    try #require(sqlite3_open(configuration().path, &handle) == SQLITE_OK)
    try #require(sqlite3_prepare_v2(handle, "SELECT count(*) FROM \(table)", -1, &row, nil) == SQLITE_OK)
    try #require(sqlite3_step(row) == SQLITE_ROW)
    return sqlite3_column_int64(row, 0)
  }

  @Test func aCaptureIsKnownAfterItIsGoneAndAfterAStart() async throws {
    var outbox = try Outbox(configuration(), time: clock)
    let record = try await store(1, in: outbox)
    try await acknowledge(outbox)
    _ = try await outbox.apply(receipt(1, record, times: nil))
    #expect(try await outbox.list().isEmpty, "the capture has left the outbox")
    await outbox.close()
    outbox = try Outbox(configuration(), time: clock)
    guard case .keep = try await keep(try statement(1, record: record), in: outbox) else {
      Issue.record("the answer to a capture that is gone is not taken")
      return
    }
    await outbox.close()
    outbox = try Outbox(configuration(), time: clock)
    #expect(try await outbox.openAnswers() == 0)
    let next = try #require(try await outbox.waitingAnswers().next(for: ["ann"]))
    try await outbox.noteShown(next.ids, at: clock.now())
    await outbox.close()
    outbox = try Outbox(configuration(), time: clock)
    #expect(try await outbox.waitingAnswers().next(for: ["ann"]) == nil)
    // A repetition is answered as before.
    let again = try await outbox.view(of: try statement(1, record: record))
    guard case .found(let known) = again.known else {
      Issue.record("it is forgotten")
      return
    }
    #expect(known.shownAt != nil && known.reply.contains("done"))
    // A capture that was never taken here.
    #expect(try await outbox.view(of: try statement(2, record: record)).taken == .none)
  }

  /// What an earlier program took has no note; its record answers for it.
  @Test func aCaptureOfAnEarlierProgramIsKnownByItsRecord() async throws {
    let outbox = try Outbox(configuration(), time: clock)
    let record = try await store(1, in: outbox, isNoted: false)
    guard case .keep(let answer, _, _) = try await keep(try statement(1, record: record), in: outbox) else {
      Issue.record("it is not taken")
      return
    }
    #expect(answer.sessionID == identifier(1001) && answer.patientRef == "ann")
  }

  /// 100,000 captures are remembered and no more; the oldest go, and a note costs no commit of its own.
  @Test func theLedgerIsBounded() async throws {
    var outbox = try Outbox(configuration(), time: clock)
    let record = try await store(1, in: outbox)
    await outbox.close()
    try sql(
      """
      WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < \(TakenCapture.most))
      INSERT INTO taken SELECT randomblob(16), i, 0, zeroblob(200) FROM n
      """)
    outbox = try Outbox(configuration(), time: clock)
    #expect(try await outbox.view(of: try statement(1, record: record)).taken != .none, "the oldest of 100,000")
    let commits = await outbox.commits
    _ = try await store(2, in: outbox)
    #expect(await outbox.commits == commits + 1)
    #expect(try count("taken") == TakenCapture.most)
    try await acknowledge(outbox)
    _ = try await outbox.apply(receipt(1, record, times: nil))
    #expect(try await outbox.view(of: try statement(1, record: record)).taken == .none, "one too many")
    #expect(try await outbox.view(of: try statement(2, record: record)).taken != .none)
  }

  @Test func nothingThatIsDamagedOrMovedIsBelieved() async throws {
    var outbox = try Outbox(configuration(), time: clock)
    let (first, second) = (try await store(1, in: outbox), try await store(2, in: outbox))
    try await keep(try statement(1, id: 71, record: first), in: outbox)
    try await keep(try statement(2, id: 72, record: second), in: outbox)
    try await outbox.noteShown([identifier(71)], at: clock.now())
    await outbox.close()
    // The cache says the contrary of both rows.
    try sql("UPDATE answer SET shown = 1 - shown")
    outbox = try Outbox(configuration(), time: clock)
    #expect(try await outbox.openAnswers() == 0)
    #expect(try await outbox.waitingAnswers().next(for: ["ann"])?.ids == [identifier(72)])
    await outbox.close()
    // One answer is put in the place of another, and one note in the place of another's.
    try sql(
      """
      UPDATE answer SET sealed = (SELECT sealed FROM answer WHERE shown = 1) WHERE shown = 0;
      UPDATE taken SET sealed = (SELECT sealed FROM taken WHERE number = 1) WHERE number = 2;
      """)
    outbox = try Outbox(configuration(), time: clock)
    #expect(try await outbox.openAnswers() == 1)
    #expect(try await outbox.waitingAnswers().next(for: ["ann"]) == nil)
    #expect(try await outbox.view(of: try statement(2, record: second)).taken == .illegible)
    guard case .answer(let reply, let alert) = try await keep(try statement(2, id: 73, record: second), in: outbox)
    else {
      Issue.record("an answer to a capture that nothing proves is taken")
      return
    }
    #expect(reply.state == .refused && alert != nil)
  }

  @Test func aNewKeyTakesThemAlong() async throws {
    var outbox = try Outbox(configuration(), time: clock)
    let record = try await store(1, in: outbox)
    try await keep(try statement(1, record: record), in: outbox)
    await outbox.close()
    let fresh = try makeKey(5)
    outbox = try Outbox(configuration(KeyRing(current: fresh, older: [key])), time: clock)
    while try await outbox.reseal(limit: 1) > 0 {}
    await outbox.close()
    outbox = try Outbox(configuration(KeyRing(current: fresh)), time: clock)
    #expect(try await outbox.openAnswers() == 0)
    #expect(try await outbox.waitingAnswers().next(for: ["ann"])?.ids == [identifier(77)])
    guard case .found = try await outbox.view(of: try statement(1, record: record)).taken else {
      Issue.record("the note is under the old key")
      return
    }
  }

  /// A correction at the far side sends the same answer for another patient: the one before is shown to nobody, also when
  /// the newer one has been shown.
  @Test func aNewerAnswerTakesTheOlderOneAway() async throws {
    let outbox = try Outbox(configuration(), time: clock)
    let record = try await store(1, in: outbox)
    try await keep(try statement(1, id: 71, record: record), in: outbox)
    var text = ResultText(id: identifier(72), captureID: identifier(1))
    text.recordSHA256 = Hexadecimal.text(of: OpenSSLDigests().sha256(record))
    (text.patientRef, text.reviewed) = ("bea", "2026-03-01T10:30:00.001Z")
    try await keep(try ResultStatement(reading: Array(text.json.utf8)), in: outbox)
    #expect(try await outbox.waitingAnswers().next(for: ["ann"]) == nil)
    #expect(try await outbox.waitingAnswers().next(for: ["bea"])?.ids == [identifier(72)])
    try await outbox.noteShown([identifier(71), identifier(72)], at: clock.now())
    #expect(try await outbox.waitingAnswers().next(for: ["ann"]) == nil)
    await outbox.close()
    let tool = try OutboxTool(configuration(), time: clock)
    let answers = try tool.answers().answers
    #expect(answers.map(\.isOverruled) == [true, nil] && answers[0].shownAt == nil && answers[1].shownAt != nil)
  }

  // MARK: - Times

  @Test func theReceiptAndThenTheAnswerCloseTheTimes() async throws {
    let outbox = try Outbox(configuration(), time: clock)
    let record = try await store(1, in: outbox)
    try await acknowledge(outbox)
    clock.advance(seconds: 10)
    // The wall clock jumps a year ahead; within one boot nobody looks at it.
    clock.change { $0.utcNanoseconds += 365 * 86_400 * 1_000_000_000 }
    let times = ("2026-03-01T09:30:00.000Z", "2026-03-01T09:30:02.500Z")
    _ = try await outbox.apply(receipt(1, record, times: times))
    _ = try await outbox.apply(receipt(1, record, times: times))
    var told = try await events(outbox)
    #expect(told.count == 1, "a receipt that comes again tells nothing")
    #expect(told[0]["total_ms"] as? Int == 11_000 && told[0]["edge_ms"] as? Int == 1000)
    #expect(told[0]["queue_ms"] as? Int == 7500 && told[0]["cloud_ms"] as? Int == 2500)
    #expect(told[0]["response_ms"] as? Int == 0)
    clock.advance(seconds: 100)
    try await keep(try statement(1, record: record), in: outbox)
    told = try await events(outbox)
    #expect(told.count == 2)
    #expect(told[1]["total_ms"] as? Int == 111_000 && told[1]["queue_ms"] as? Int == 7500)
    #expect(told[1]["cloud_ms"] as? Int == 4250 && told[1]["response_ms"] as? Int == 111_000 - 1000 - 7500 - 4250)
    let figures = try await outbox.figures().times.figures(.response)
    #expect(figures.medianMilliseconds == 98_250 && figures.unknown == 0)
    await outbox.close()
    // The next run remembers them.
    let next = try Outbox(configuration(), time: clock)
    #expect(try await next.figures().times.figures(.response) == figures)
  }

  @Test func anOldReceiverTellsNothingAndAnotherBootProvesNothing() async throws {
    let outbox = try Outbox(configuration(), time: clock)
    let (first, second) = (try await store(1, in: outbox), try await store(2, in: outbox))
    try await acknowledge(outbox)
    _ = try await outbox.apply(receipt(1, first, times: nil))
    #expect(try await events(outbox).isEmpty)
    clock.change { $0.synchronised = false }
    clock.reboot("boot-b")
    _ = try await outbox.apply(
      receipt(2, second, times: ("2026-03-01T09:30:00.000Z", "2026-03-01T09:30:00.100Z")))
    let told = try #require(try await events(outbox).first)
    #expect(told["total_ms"] is NSNull && told["queue_ms"] is NSNull && told["response_ms"] is NSNull)
    #expect(told["edge_ms"] as? Int == 1000)
  }
}
