import Forwarding
import Provenance
import Screening
import Trust

/// Decides what becomes of an answer that is believed: pure, so that every order of events can be played.
///
/// An answer needs no clock: it names the record that it is about, and is good for ever. Whether a proven clock was there
/// when it came stands beside it.
package struct ResultDesk: Sendable {
  /// What storage holds of a capture or an answer.
  package enum Finding<Value: Sendable & Equatable>: Sendable, Equatable {
    case none
    case found(Value)
    /// There is something, and nothing proves it.
    case illegible
  }

  /// What storage says of one statement.
  package struct View: Sendable, Equatable {
    package var known: Finding<KeptAnswer>
    package var taken: Finding<TakenCapture>
    package var corrections: CorrectionLog
    /// Answers that wait for their patients.
    package var waiting: Int

    package init(
      known: Finding<KeptAnswer>, taken: Finding<TakenCapture>, corrections: CorrectionLog, waiting: Int
    ) {
      self.known = known
      self.taken = taken
      self.corrections = corrections
      self.waiting = waiting
    }
  }

  package struct Alert: Sendable, Equatable {
    package var code: String
    package var detail: String
  }

  package enum Decision: Sendable, Equatable {
    /// Write both down and queue the reply, in one commit.
    case keep(KeptAnswer, TakenCapture, reply: [UInt8])
    /// Answer, and write nothing down.
    case answer(CommandReply, Alert?)
    /// The same reply once more.
    case repeatReply([UInt8])
    /// Say nothing: too much was answered already.
    case silence
  }

  private var answers = RateLimiter(intervalNanoseconds: 3600 * 1_000_000_000 / 240, burst: 60)

  package init() {}

  package mutating func decide(
    _ statement: ResultStatement, digest: [UInt8], _ view: View, isClockProven: Bool, at now: Timestamp
  ) throws -> Decision {
    let text = Hexadecimal.text(of: digest)
    let taken: TakenCapture
    switch (view.known, view.taken) {
    case (.found(let known), _):
      guard known.digest == text else { return refuse(statement, Self.idTwice, now) }
      return take(now) ? .repeatReply(Array(known.reply.utf8)) : .silence
    case (.illegible, _):
      return refuse(statement, ("what is kept under this id cannot be read", nil), now)
    case (.none, .none):
      return refuse(
        statement,
        (
          "this device does not know the capture: it did not take it, or more than \(TakenCapture.most) ago, or before "
            + "its database had to be made anew",
          Alert(
            code: "result-unknown-capture",
            detail: "an answer came for a capture that this device has no note of; nothing is shown")
        ), now)
    case (.none, .illegible):
      return refuse(statement, ("the note of this capture cannot be read", Self.recordDiffers), now)
    case (.none, .found(let capture)): taken = capture
    }
    if let earlier = taken.answers.first(where: { $0.id == statement.id }) {
      guard earlier.digest == text else { return refuse(statement, Self.idTwice, now) }
      // It was shown long ago, and its row is gone.
      return answer(reply(statement, .done, at: now, isClockProven), nil, now)
    }
    guard taken.recordSHA256 == Hexadecimal.text(of: statement.recordSHA256) else {
      return refuse(statement, ("it is about another record of this capture", Self.recordDiffers), now)
    }
    guard !view.corrections.isWithdrawn(taken.sessionID) else {
      return refuse(statement, ("its session is withdrawn", nil), now)
    }
    guard let patient = owner(statement, taken, view.corrections) else {
      return refuse(
        statement,
        (
          "this device has the session under another patient: put it right here or there, and send a new answer",
          Alert(
            code: "result-patient-differs",
            detail: "an answer names another patient than the session; nothing is shown")
        ), now)
    }
    guard taken.answers.allSatisfy({ $0.reviewedMilliseconds <= statement.reviewedMilliseconds }) else {
      return refuse(statement, ("a newer answer to this capture is here already", nil), now)
    }
    guard taken.answers.count < TakenCapture.mostAnswers else {
      return refuse(statement, ("this capture has \(TakenCapture.mostAnswers) answers already", nil), now)
    }
    guard view.waiting < KeptAnswer.mostWaiting else {
      return answer(
        CommandReply(to: statement, .busy, reason: "too many answers wait for their patients", at: now), nil, now)
    }
    let json = try reply(statement, .done, at: now, isClockProven).encoded()
    var noted = taken
    noted.answers.append(
      .init(id: statement.id, digest: digest, reviewedMilliseconds: statement.reviewedMilliseconds))
    let kept = KeptAnswer(
      statement, digest: digest, sessionID: taken.sessionID, patientRef: patient,
      freshness: isClockProven ? .clock : .unproven, reply: json, at: now)
    return .keep(kept, noted, reply: json)
  }

  /// Whose answer it is before the corrections that this device makes later. nil: the two sides contradict each other.
  ///
  /// What this device's staff said of the session holds here. Of an older session the far side may have said more, and the
  /// statement brings that along.
  private func owner(_ statement: ResultStatement, _ taken: TakenCapture, _ log: CorrectionLog) -> String? {
    let own = log.messages(of: taken.sessionID)
    let stated = statement.patientRef
    let isKnown =
      stated == taken.patientRef || own.contains { $0.target == stated }
      || log.merged(stated) == log.patient(of: taken.sessionID, recorded: taken.patientRef)
    if isKnown { return taken.patientRef }
    return own.isEmpty ? stated : nil
  }

  private static let idTwice: (String, Alert?) = (
    "another answer had this id",
    Alert(code: "result-id-twice", detail: "two different answers had the same id; only the first counts")
  )

  private static let recordDiffers = Alert(
    code: "result-record-differs",
    detail: "an answer is about another record than the one that this device took; nothing is shown")

  private func reply(
    _ statement: ResultStatement, _ state: CommandReply.State, at now: Timestamp, _ isClockProven: Bool
  ) -> CommandReply {
    var reply = CommandReply(to: statement, state, at: now)
    reply.freshness = isClockProven ? .clock : .unproven
    return reply
  }

  private mutating func refuse(_ statement: ResultStatement, _ why: (String, Alert?), _ now: Timestamp) -> Decision {
    answer(CommandReply(to: statement, .refused, reason: why.0, at: now), why.1, now)
  }

  private mutating func answer(_ reply: CommandReply, _ alert: Alert?, _ now: Timestamp) -> Decision {
    take(now) ? .answer(reply, alert) : .silence
  }

  private mutating func take(_ now: Timestamp) -> Bool {
    guard answers.allows(now: now.monotonicNanoseconds) else { return false }
    answers.take(now: now.monotonicNanoseconds)
    return true
  }
}

/// What is told at a tag.
package struct AnswerShelf: Sendable {
  private let answers: [KeptAnswer]
  private let corrections: CorrectionLog

  /// - Parameter answers: those that were not shown, in any order.
  package init(_ answers: [KeptAnswer], _ corrections: CorrectionLog) {
    self.answers = answers
    self.corrections = corrections
  }

  /// To whom an answer belongs now; nil: to nobody, because its session is withdrawn.
  package func patient(of answer: KeptAnswer) -> String? {
    corrections.isWithdrawn(answer.sessionID)
      ? nil : corrections.patient(of: answer.sessionID, recorded: answer.patientRef)
  }

  /// The word for a patient and the answers that it tells. Of each capture the newest counts; an answer comes before a wish
  /// for new pictures, which the next presentation tells.
  ///
  /// - Parameter references: of the tag: the present one, and the one before.
  package func next(for references: [String]) -> (word: ClinicWord, ids: [RandomIdentifier])? {
    let person = corrections.references(with: references)
    var newest: [RandomIdentifier: KeptAnswer] = [:]
    for answer in answers {
      guard let patient = patient(of: answer), person.contains(patient) else { continue }
      if let other = newest[answer.captureID], other.isNewer(than: answer) { continue }
      newest[answer.captureID] = answer
    }
    for word in ClinicWord.allCases {
      let captures = newest.values.filter { $0.word == word.rawValue }.map(\.captureID)
      guard !captures.isEmpty else { continue }
      // Older answers to the same captures are told with it.
      return (word, answers.filter { captures.contains($0.captureID) }.map(\.id))
    }
    return nil
  }
}

extension KeptAnswer {
  fileprivate func isNewer(than other: KeptAnswer) -> Bool {
    (reviewedMilliseconds, id) > (other.reviewedMilliseconds, other.id)
  }
}
