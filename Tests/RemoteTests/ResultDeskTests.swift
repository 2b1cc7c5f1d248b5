import Cryptography
import Forwarding
import Provenance
import Remote
import Screening
import Storage
import TestSupport
import Testing
import Trust

/// What becomes of an answer: every refusal, every repetition, and to whom it belongs.
@Suite struct ResultDeskTests {
  private let capture: RandomIdentifier
  private let session: RandomIdentifier
  private let now = Timestamp(
    utcNanoseconds: 1_800_000_000 * 1_000_000_000, bootID: "b", monotonicNanoseconds: 1_000_000_000, synchronised: true)

  init() {
    var generator = SystemRandomNumberGenerator()
    (capture, session) = (RandomIdentifier(using: &generator), RandomIdentifier(using: &generator))
  }

  private func text(_ change: (inout ResultText) -> Void = { _ in }) -> ResultText {
    var generator = SystemRandomNumberGenerator()
    var text = ResultText(id: RandomIdentifier(using: &generator), captureID: capture)
    change(&text)
    return text
  }

  private func statement(_ change: (inout ResultText) -> Void = { _ in }) throws -> ResultStatement {
    try ResultStatement(reading: Array(text(change).json.utf8))
  }

  private var taken: TakenCapture {
    TakenCapture(
      captureID: capture, recordSHA256: [UInt8](repeating: 0xAB, count: 32), sessionID: session, patientRef: "ann",
      course: CaptureCourse(ended: now, stored: now))
  }

  private func view(
    taken: ResultDesk.Finding<TakenCapture>, known: ResultDesk.Finding<KeptAnswer> = .none,
    corrections: CorrectionLog = CorrectionLog(), waiting: Int = 0
  ) -> ResultDesk.View {
    .init(known: known, taken: taken, corrections: corrections, waiting: waiting)
  }

  private func digest(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }

  private func decide(
    _ statement: ResultStatement, _ view: ResultDesk.View, digest byte: UInt8 = 1, isProven: Bool = true
  ) throws -> ResultDesk.Decision {
    var desk = ResultDesk()
    return try desk.decide(statement, digest: digest(byte), view, isClockProven: isProven, at: now)
  }

  private func kept(
    _ statement: ResultStatement, _ view: ResultDesk.View? = nil
  ) throws -> (answer: KeptAnswer, capture: TakenCapture) {
    guard case .keep(let answer, let noted, _) = try decide(statement, view ?? self.view(taken: .found(taken))) else {
      throw CancellationError()
    }
    return (answer, noted)
  }

  private func refusal(_ decision: ResultDesk.Decision) -> (reason: String, alert: String?)? {
    guard case .answer(let reply, let alert) = decision, reply.state == .refused else { return nil }
    return (reply.reason ?? "", alert?.code)
  }

  private func log(_ corrections: [(CorrectionRequest, recorded: String?)]) throws -> CorrectionLog {
    var generator = SystemRandomNumberGenerator()
    let outbox = RandomIdentifier(using: &generator)
    var log = CorrectionLog()
    for (index, (request, recorded)) in corrections.enumerated() {
      let message = try log.message(
        for: request, recordedRef: recorded, id: RandomIdentifier(using: &generator), outboxID: outbox,
        number: Int64(index + 1), at: now)
      log = CorrectionLog(log.messages + [message])
    }
    return log
  }

  // MARK: - The statement

  @Test func aStatementIsReadWholeOrNotAtAll() throws {
    let read = try statement()
    #expect(read.word == .answered && read.patientRef == "ann" && read.reviewer == "reader.1")
    #expect(read.cloudDoneMilliseconds - read.receivedMilliseconds == 4250)
    #expect(try statement { $0.state = "repeat-requested" }.word == .repeatRequested)
    let bent: [(inout ResultText) -> Void] = [
      { $0.state = "malignant" }, { $0.state = "" }, { $0.recordSHA256 = "ab" }, { $0.recordSHA256 += "ab" },
      { $0.patientRef = "Ann B" }, { $0.patientRef = "" }, { $0.patientRef = String(repeating: "a", count: 65) },
      { $0.reviewer = "" }, { $0.reviewer = "a reader" }, { $0.reviewer = String(repeating: "r", count: 65) },
      { $0.received = "2026-03-01T09:30:00" }, { $0.received = "yesterday" },
      // The three times in their order.
      { $0.received = "2026-03-01T09:30:05Z" }, { $0.reviewed = "2026-03-01T09:30:04Z" },
      // No word of an answer travels, whatever it is called.
      { $0.more = #","answer":"nothing found""# }, { $0.more = #","diagnosis":"benign""# },
      { $0.more = #","state":"answered""# },
    ]
    for (index, change) in bent.enumerated() {
      #expect(throws: ShapeFault.self, "\(index)") { try statement(change) }
    }
  }

  @Test func onlyTheKeyForResultsAndOnlyThisDevice() throws {
    let sender = try CommandSender()
    let stranger = try CommandSender()
    var reader = StatementReader<ResultStatement>(
      sender.keys, site: "s1", device: "d1", verifier: OpenSSLVerifier(), digests: OpenSSLDigests())
    func read(
      _ by: CommandSender, _ json: String, type: ExactText = ResultStatement.payloadType, retained: Bool = false
    )
      throws -> String
    {
      switch reader.read(try by.envelope(json, type: type), isRetained: retained, now: 1) {
      case .statement: "statement"
      case .refused(let refusal, _): refusal.word
      case .ignored: "ignored"
      }
    }
    #expect(try read(sender, text().json) == "statement")
    #expect(try read(stranger, text().json) == "untrusted")
    // A result that is signed as a command, and a command in the place of a result.
    #expect(try read(sender, text().json, type: Command.payloadType) == "untrusted")
    #expect(try read(sender, text { $0.device = "d2" }.json) == "misdirected")
    #expect(try read(sender, text { $0.site = "s2" }.json) == "misdirected")
    #expect(try read(sender, text().json, retained: true) == "retained")
  }

  // MARK: - Decisions

  @Test func anAnswerIsKeptForItsPatientAndTheReplySaysSo() throws {
    let asked = try statement()
    guard case .keep(let answer, let noted, let reply) = try decide(asked, view(taken: .found(taken))) else {
      Issue.record("it is not kept")
      return
    }
    #expect(answer.patientRef == "ann" && answer.sessionID == session && answer.shownAt == nil)
    #expect(noted.answers.map(\.id) == [asked.id])
    let text = String(decoding: reply, as: UTF8.self)
    #expect(text.contains(#""state":"done""#) && text.contains(#""name":"result""#) && !text.contains("answered"))
    // Its row gives it back.
    #expect(try KeptAnswer(decoding: answer.encoded()) == answer)
  }

  @Test func theSameOnceMoreIsAnsweredAsBeforeAndAnotherUnderItsIdIsRefused() throws {
    let asked = try statement()
    let (answer, noted) = try kept(asked)
    let again = try decide(asked, view(taken: .found(noted), known: .found(answer)))
    #expect(again == .repeatReply(Array(answer.reply.utf8)))
    let forged = try #require(
      refusal(try decide(asked, view(taken: .found(noted), known: .found(answer)), digest: 2)))
    #expect(forged.alert == "result-id-twice")
    // Its row has gone; the capture's note still knows the id.
    guard case .answer(let reply, nil) = try decide(asked, view(taken: .found(noted))) else {
      Issue.record("a repetition is not answered")
      return
    }
    #expect(reply.state == .done)
    #expect(try #require(refusal(try decide(asked, view(taken: .found(noted)), digest: 2))).alert == "result-id-twice")
  }

  @Test func whatIsNotOursIsRefusedAndAlerted() throws {
    let asked = try statement()
    #expect(try #require(refusal(try decide(asked, view(taken: .none)))).alert == "result-unknown-capture")
    #expect(try #require(refusal(try decide(asked, view(taken: .illegible)))).alert == "result-record-differs")
    let other = try statement { $0.recordSHA256 = String(repeating: "cd", count: 32) }
    #expect(try #require(refusal(try decide(other, view(taken: .found(taken))))).alert == "result-record-differs")
    // One whose row was damaged is not taken for new.
    #expect(refusal(try decide(asked, view(taken: .found(taken), known: .illegible))) != nil)
  }

  @Test func nothingGrowsWithoutBound() throws {
    let asked = try statement()
    guard
      case .answer(let busy, nil) = try decide(
        asked, view(taken: .found(taken), waiting: KeptAnswer.mostWaiting))
    else {
      Issue.record("it is not busy")
      return
    }
    #expect(busy.state == .busy)
    var crowded = taken
    for _ in 0..<TakenCapture.mostAnswers {
      crowded = try kept(try statement(), view(taken: .found(crowded))).capture
    }
    #expect(refusal(try decide(asked, view(taken: .found(crowded)))) != nil)
    // Somebody who has a key cannot fill the outbox with replies.
    var desk = ResultDesk()
    var replies = 0
    for _ in 0..<1000 {
      let decision = try desk.decide(
        try statement(), digest: digest(1), view(taken: .none), isClockProven: true, at: now)
      if decision != .silence { replies += 1 }
    }
    #expect(replies == 60)
  }

  @Test func anOlderAnswerDoesNotOverruleANewerOne() throws {
    let (_, noted) = try kept(try statement())
    let older = try statement { $0.reviewed = "2026-03-01T10:29:59Z" }
    #expect(try #require(refusal(try decide(older, view(taken: .found(noted))))).alert == nil)
    let newer = try statement { $0.reviewed = "2026-03-01T10:30:01Z" }
    _ = try kept(newer, view(taken: .found(noted)))
  }

  /// The table of clocks: whatever the clock says, an answer is kept and shown; only a proven one leaves it unmarked.
  @Test func noClockKeepsAnAnswerFromItsPatient() throws {
    for isProven in [true, false] {
      for year in ["1970", "2026", "2999"] {
        let asked = try statement {
          $0.received = "\(year)-03-01T09:30:00Z"
          $0.cloudDone = "\(year)-03-01T09:30:01Z"
          $0.reviewed = "\(year)-03-01T09:30:02Z"
        }
        guard
          case .keep(let answer, _, let reply) = try decide(asked, view(taken: .found(taken)), isProven: isProven)
        else {
          Issue.record("\(year) \(isProven)")
          continue
        }
        #expect(answer.freshness == (isProven ? .clock : .unproven))
        #expect(String(decoding: reply, as: UTF8.self).contains(isProven ? "clock" : "unproven"))
      }
    }
  }

  // MARK: - Whose it is

  @Test func aReassignedSessionTakesItsAnswersAlong() throws {
    let (answer, _) = try kept(try statement())
    let moved = try log([(CorrectionRequest(.reassign, "\(session)", to: "bea", reason: "wrong tag"), "ann")])
    #expect(AnswerShelf([answer], moved).next(for: ["ann"]) == nil)
    #expect(AnswerShelf([answer], moved).next(for: ["bea"])?.word == .answered)
    #expect(AnswerShelf([answer], CorrectionLog()).next(for: ["ann"])?.ids == [answer.id])
    // It was moved before the answer came, and the far side had heard of it, or not.
    for stated in ["ann", "bea"] {
      let asked = try statement { $0.patientRef = stated }
      let late = try kept(asked, view(taken: .found(taken), corrections: moved)).answer
      #expect(AnswerShelf([late], moved).next(for: ["bea"])?.word == .answered, "\(stated)")
      #expect(AnswerShelf([late], moved).next(for: ["ann"]) == nil, "\(stated)")
    }
    // A third person is nobody's word here: it is refused, and shown to none of them.
    let asked = try statement { $0.patientRef = "cora" }
    let refused = try #require(refusal(try decide(asked, view(taken: .found(taken), corrections: moved))))
    #expect(refused.alert == "result-patient-differs")
  }

  @Test func aWithdrawnSessionIsShownToNobody() throws {
    let (answer, _) = try kept(try statement())
    let withdrawn = try log([(CorrectionRequest(.withdraw, "\(session)", reason: "consent"), "ann")])
    #expect(AnswerShelf([answer], withdrawn).next(for: ["ann"]) == nil)
    #expect(AnswerShelf([answer], withdrawn).patient(of: answer) == nil)
    let late = try #require(
      refusal(try decide(try statement(), view(taken: .found(taken), corrections: withdrawn))))
    #expect(late.alert == nil && late.reason.contains("withdrawn"))
  }

  /// An old session is corrected at the far side, and the statement brings that along.
  @Test func aCorrectionOfTheFarSideIsFollowedWhereThisDeviceSaidNothing() throws {
    let (answer, _) = try kept(try statement { $0.patientRef = "bea" })
    #expect(AnswerShelf([answer], CorrectionLog()).next(for: ["bea"])?.word == .answered)
    #expect(AnswerShelf([answer], CorrectionLog()).next(for: ["ann"]) == nil)
  }

  @Test func aPersonWithTwoTagsIsTold() throws {
    let (answer, _) = try kept(try statement())
    let merged = try log([(CorrectionRequest(.merge, "ann", to: "bea", reason: "second card"), nil)])
    #expect(AnswerShelf([answer], merged).next(for: ["bea"])?.word == .answered)
    #expect(AnswerShelf([answer], merged).next(for: ["ann"])?.word == .answered)
    // The reference of the version before.
    #expect(AnswerShelf([answer], CorrectionLog()).next(for: ["new-ann", "ann"])?.word == .answered)
    #expect(AnswerShelf([answer], CorrectionLog()).next(for: ["bea", "cora"]) == nil)
    // The far side already calls her by the name that she has now.
    let stated = try statement { $0.patientRef = "bea" }
    let known = try kept(stated, view(taken: .found(taken), corrections: merged)).answer
    #expect(AnswerShelf([known], merged).next(for: ["bea"])?.word == .answered)
  }

  /// Of each capture the newest word counts; an answer comes before a wish for new pictures.
  @Test func severalWordsAreToldOneAfterTheOther() throws {
    var generator = SystemRandomNumberGenerator()
    let second = RandomIdentifier(using: &generator)
    func answer(_ capture: RandomIdentifier, _ state: String, _ minute: Int) throws -> KeptAnswer {
      var note = taken
      note.captureID = capture
      let asked = try statement {
        $0.captureID = capture
        $0.state = state
        $0.reviewed = "2026-03-01T10:\(minute):00Z"
      }
      return try kept(asked, view(taken: .found(note))).answer
    }
    let first = try answer(capture, "repeat-requested", 30)
    let then = try answer(capture, "answered", 31)
    let other = try answer(second, "repeat-requested", 32)
    let told = try #require(AnswerShelf([first, then, other], CorrectionLog()).next(for: ["ann"]))
    #expect(told.word == .answered && Set(told.ids) == [first.id, then.id], "the overruled one is not told later")
    let next = try #require(AnswerShelf([other], CorrectionLog()).next(for: ["ann"]))
    #expect(next.word == .repeatRequested && next.ids == [other.id])
  }

  // MARK: - The note of a capture

  @Test func aNoteComesBackFromItsRow() throws {
    var note = taken
    #expect(TakenCapture(captureID: capture, row: note.row) == note)
    note.course.receipt(at: now, cloud: 17)
    note.times = CaptureTimes(total: 5, edge: 1, queue: nil, cloud: 0, response: nil)
    note = try kept(try statement(), view(taken: .found(note))).capture
    #expect(TakenCapture(captureID: capture, row: note.row) == note)
    #expect(note.row.count < 400, "\(note.row.count)")
    for length in 0..<note.row.count {
      #expect(TakenCapture(captureID: capture, row: Array(note.row.prefix(length))) == nil, "\(length)")
    }
    #expect(TakenCapture(captureID: capture, row: note.row + [0]) == nil)
  }
}
