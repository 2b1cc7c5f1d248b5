import Forwarding
import Foundation
import Provenance
import Testing

/// A wrong tag put right: what holds follows from the corrections alone, in whatever order they arrive.
@Suite struct CorrectionTests {
  private let at = Timestamp(
    utcNanoseconds: 1_772_357_400_125_000_000, bootID: "b", monotonicNanoseconds: 5, synchronised: true)
  private let outboxID: RandomIdentifier
  private let session: RandomIdentifier
  private let other: RandomIdentifier

  init() {
    var generator = SystemRandomNumberGenerator()
    outboxID = RandomIdentifier(using: &generator)
    session = RandomIdentifier(using: &generator)
    other = RandomIdentifier(using: &generator)
  }

  /// What a device would do: the log decides, its message is added.
  private func make(
    _ kind: CorrectionRequest.Kind, _ subject: String, to target: String? = nil, recorded: String? = "anna",
    reason: String = "wrong tag", in log: inout CorrectionLog
  ) throws(CorrectionRefusal) {
    var generator = SystemRandomNumberGenerator()
    let message = try log.message(
      for: CorrectionRequest(kind, subject, to: target, reason: reason), recordedRef: recorded,
      id: RandomIdentifier(using: &generator), outboxID: outboxID, number: Int64(log.messages.count * 3 + 1), at: at)
    log = CorrectionLog(log.messages + [message])
  }

  private func refusal(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "nothing was refused"
  }

  @Test func theWireFormIsFixed() throws {
    var log = CorrectionLog()
    var request = CorrectionRequest(.reassign, "\(session)", to: "berta", reason: "wrong tag")
    request.signedBy = "nurse-2"
    let message = try log.message(
      for: request, recordedRef: "anna", id: other, outboxID: outboxID, number: 7, at: at)
    #expect(
      String(decoding: try message.encoded(), as: UTF8.self)
        == "{\"at\":\"2026-03-01T09:30:00.125Z\",\"correction_id\":\"\(other)\",\"kind\":\"reassign\",\"number\":7,"
        + "\"outbox_id\":\"\(outboxID)\",\"reason\":\"wrong tag\",\"recorded_ref\":\"anna\","
        + "\"schema\":\"thermograph.correction.v1\",\"signed_by\":\"nurse-2\",\"subject\":\"\(session)\","
        + "\"target\":\"berta\"}")
    #expect(try CorrectionMessage(decoding: message.encoded()) == message)
    try make(.withdraw, "\(session)", in: &log)
    #expect(!String(decoding: try log.messages[0].encoded(), as: UTF8.self).contains("target"))
  }

  @Test func aLaterReassignmentOverrulesAndTheWayBackIsOpen() throws {
    var log = CorrectionLog()
    try make(.reassign, "\(session)", to: "berta", in: &log)
    #expect(log.patient(of: session, recorded: "anna") == "berta" && log.patient(of: other, recorded: "anna") == "anna")
    #expect(refusal { try make(.reassign, "\(session)", to: "berta", in: &log) }.contains("belongs to berta already"))
    try make(.reassign, "\(session)", to: "clara", in: &log)
    try make(.reassign, "\(session)", to: "anna", in: &log)
    #expect(log.patient(of: session, recorded: "anna") == "anna")
    #expect(refusal { try make(.reassign, "\(session)", to: "anna", in: &log) }.contains("already"))
    #expect(log.messages(of: session).map(\.target) == ["berta", "clara", "anna"])
  }

  @Test func whatIsWithdrawnStaysSo() throws {
    var log = CorrectionLog()
    try make(.withdraw, "\(session)", in: &log)
    #expect(log.isWithdrawn(session) && !log.isWithdrawn(other))
    #expect(refusal { try make(.withdraw, "\(session)", in: &log) }.contains("is withdrawn, and stays so"))
    #expect(refusal { try make(.reassign, "\(session)", to: "berta", in: &log) }.contains("stays so"))
  }

  @Test func mergesChainPartAgainAndMakeNoCircle() throws {
    var log = CorrectionLog()
    try make(.merge, "anna", to: "berta", in: &log)
    try make(.merge, "berta", to: "clara", in: &log)
    #expect(["anna", "berta", "clara"].map(log.merged) == ["clara", "clara", "clara"])
    #expect(log.references(with: ["berta"]) == ["anna", "berta", "clara"])
    #expect(refusal { try make(.merge, "clara", to: "anna", in: &log) }.contains("are one patient already"))
    #expect(refusal { try make(.merge, "clara", to: "clara", in: &log) }.contains("are one patient already"))
    #expect(refusal { try make(.merge, "anna", to: "dora", in: &log) }.contains("went up in berta already"))
    // A session of anna's is clara's; giving it to berta changes nothing.
    #expect(refusal { try make(.reassign, "\(session)", to: "berta", in: &log) }.contains("belongs to clara already"))
    try make(.unmerge, "berta", in: &log)
    #expect(["anna", "berta", "clara"].map(log.merged) == ["berta", "berta", "clara"])
    #expect(refusal { try make(.unmerge, "berta", in: &log) }.contains("was not merged"))
    try make(.unmerge, "anna", in: &log)
    try make(.merge, "anna", to: "clara", in: &log)
    #expect(log.merged("anna") == "clara" && log.merged("berta") == "berta")
    #expect(log.references(with: ["berta"]) == ["berta"])
  }

  @Test(arguments: [
    (
      "nothing is stored of session",
      CorrectionRequest(.reassign, "9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11", to: "b", reason: "r")
    ),
    ("is no session's id", CorrectionRequest(.withdraw, "anna", reason: "r")),
    ("needs a reason", CorrectionRequest(.merge, "anna", to: "berta", reason: " \u{2003} ")),
    ("needs a reason", CorrectionRequest(.merge, "anna", to: "berta", reason: "two\nlines")),
    ("needs a reason", CorrectionRequest(.merge, "anna", to: "berta", reason: String(repeating: "x", count: 501))),
    ("no pseudonym", CorrectionRequest(.merge, "Anna Muster", to: "berta", reason: "r")),
    ("no pseudonym", CorrectionRequest(.merge, "anna", to: "../etc", reason: "r")),
    ("to whom?", CorrectionRequest(.merge, "anna", reason: "r")),
    ("names nobody", CorrectionRequest(.unmerge, "anna", to: "berta", reason: "r")),
  ])
  func whatMakesNoSenseIsRefusedInWords(words: String, request: CorrectionRequest) {
    let text = refusal {
      _ = try CorrectionLog().message(
        for: request, recordedRef: nil, id: other, outboxID: outboxID, number: 1, at: at)
    }
    #expect(text.contains(words), "\(text)")
  }

  @Test func aLogThatIsFullSaysSo() throws {
    var log = CorrectionLog()
    try make(.merge, "anna", to: "berta", in: &log)
    let first = log.messages[0]
    var generator = SystemRandomNumberGenerator()
    log = CorrectionLog(
      (1...CorrectionLog.correctionsMaximum).map { number in
        var message = first
        (message.correctionID, message.number) = (RandomIdentifier(using: &generator), Int64(number))
        message.subject = "p-\(number)"
        return message
      })
    #expect(refusal { try make(.merge, "anna", to: "dora", in: &log) }.contains("make further ones at the far side"))
  }

  /// Any order of arrival, with repetitions, leads to what a plain replay in the order of making leads to.
  @Test func theOrderOfArrivalDoesNotMatter() throws {
    var generator = SeededGenerator(seed: 20)
    var log = CorrectionLog()
    let people = (0..<5).map { "p-\($0)" }
    let sessions = (0..<6).map { _ in RandomIdentifier(using: &generator) }
    func recorded(_ session: RandomIdentifier) -> String { people[(sessions.firstIndex(of: session) ?? 0) % 5] }
    var owner = Dictionary(uniqueKeysWithValues: sessions.map { ($0, recorded($0)) })
    var links: [String: String] = [:]
    var gone: Set<RandomIdentifier> = []
    var refused = 0
    func whole(_ person: String) -> String { links[person].map(whole) ?? person }
    for _ in 0..<300 {
      let session = sessions.randomElement(using: &generator) ?? sessions[0]
      let person = people.randomElement(using: &generator) ?? ""
      let target = people.randomElement(using: &generator) ?? ""
      do {
        switch Int.random(in: 0..<20, using: &generator) {
        case 0:
          try make(.withdraw, "\(session)", recorded: recorded(session), in: &log)
          gone.insert(session)
        case 1..<8:
          try make(.merge, person, to: target, in: &log)
          links[person] = target
        case 8..<14:
          try make(.unmerge, person, in: &log)
          links[person] = nil
        default:
          try make(.reassign, "\(session)", to: target, recorded: recorded(session), in: &log)
          owner[session] = target
        }
      } catch {
        refused += 1
      }
      let shuffled = CorrectionLog((log.messages + log.messages.prefix(9)).shuffled(using: &generator))
      #expect(shuffled == log)
      for session in sessions {
        #expect(shuffled.patient(of: session, recorded: recorded(session)) == whole(owner[session] ?? ""))
        #expect(shuffled.isWithdrawn(session) == gone.contains(session))
      }
      for person in people {
        #expect(shuffled.references(with: [person]) == Set(people.filter { whole($0) == whole(person) }))
      }
    }
    #expect(refused > 20 && log.messages.count > 40, "\(refused) refused, \(log.messages.count) made")
  }

  /// Two devices that do not know of each other may each make half of a circle: everywhere it ends at the same person.
  @Test func aCircleOfTwoDevicesHasOneEnd() throws {
    var (one, two) = (CorrectionLog(), CorrectionLog())
    try make(.merge, "anna", to: "berta", in: &one)
    try make(.merge, "berta", to: "anna", in: &two)
    try make(.merge, "aaron", to: "berta", in: &two)
    let both = CorrectionLog(one.messages + two.messages)
    #expect(["anna", "berta", "aaron"].map(both.merged) == ["anna", "anna", "anna"])
    #expect(both.references(with: ["anna"]) == ["anna", "berta", "aaron"])
  }

  @Test func whatIsNoCorrectionIsNotReadAsOne() throws {
    var log = CorrectionLog()
    try make(.reassign, "\(session)", to: "berta", in: &log)
    let text = String(decoding: try log.messages[0].encoded(), as: UTF8.self)
    #expect(throws: Never.self) { try CorrectionMessage(decoding: Array(text.utf8)) }
    for (old, new) in [
      ("correction.v1", "correction.v2"), ("\"number\":1", "\"number\":0"),
      ("\"number\":1", "\"number\":9007199254740992"),
      ("\"target\":\"berta\"", "\"target\":\"Berta\""), (",\"target\":\"berta\"", ""), ("\(session)", "berta"),
      ("\"wrong tag\"", "\"\""), ("wrong tag", "wrong\\ntag"), ("reassign", "delete"), ("reassign", "withdraw"),
      ("wrong tag", String(repeating: "x", count: 5000)), ("\"anna\"", "\"<b>\""),
    ] {
      try #require(text.contains(old))
      #expect(throws: (any Error).self, "\(new.prefix(40))") {
        try CorrectionMessage(decoding: Array(text.replacingOccurrences(of: old, with: new).utf8))
      }
    }
  }

  @Test func theListOfSessionsFollowsAndSaysUnderWhoseTagItWasStarted() throws {
    let first = RecordSchemaTests.record { $0.patientRef = "anna" }
    let second = RecordSchemaTests.record { $0.patientRef = "berta" }
    var log = CorrectionLog()
    try make(.reassign, "\(first.sessionID)", to: "berta", in: &log)
    try make(.withdraw, "\(second.sessionID)", recorded: "berta", in: &log)
    var history = SessionHistory()
    // A correction may be met before the session that it is about.
    for message in log.messages.reversed() { history.add(message) }
    history.add(first)
    history.add(second)
    let entries = history.entries
    #expect(entries.map(\.patientRef) == ["berta", "berta"] && entries.map(\.recordedRef) == ["anna", nil])
    #expect(entries.map(\.isWithdrawn) == [nil, true] && entries[0].corrections?.map(\.reason) == ["wrong tag"])
    let json = String(decoding: try CanonicalJSON.bytes(of: entries[0]), as: UTF8.self)
    #expect(json.contains("\"patient_ref\":\"berta\"") && json.contains("\"recorded_ref\":\"anna\""))
  }
}
