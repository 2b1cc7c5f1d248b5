import Forwarding
import Provenance
import Remote

/// The answers to captures, for the one who takes them and the one who shows them.
extension Outbox {
  /// Sets right what a damaged index says of answers.
  ///
  /// - Returns: answers that could not be read any more, and are gone.
  package func openAnswers() throws(OutboxError) -> Int {
    try withTransaction { database throws(OutboxError) in try database.mendAnswers() }
  }

  /// What is known beside a statement, for `ResultDesk`.
  package func view(of statement: ResultStatement) throws(OutboxError) -> ResultDesk.View {
    try withDatabase { database throws(OutboxError) in
      ResultDesk.View(
        known: try database.answer(statement.id), taken: try database.taken(statement.captureID),
        corrections: try database.corrections(), waiting: try database.countWaitingAnswers())
    }
  }

  /// Writes an answer down, closes the times of its capture, and queues the reply, in one commit.
  package func keep(
    _ answer: KeptAnswer, of capture: TakenCapture, times: CaptureTimes, reply: NewMessage
  ) throws(OutboxError) {
    let before: Int64 = try withTransaction { database throws(OutboxError) in
      let before = database.nextMessage
      var capture = capture
      try database.removeOldAnswers()
      try database.overrule(capture.answers.map(\.id).filter { $0 != answer.id })
      try database.write(answer)
      try database.tell(times, of: &capture)
      try database.write(capture)
      _ = try database.insert(reply)
      return before
    }
    tellStored(since: before)
  }

  /// What waits for patients.
  package func waitingAnswers() throws(OutboxError) -> AnswerShelf {
    try withDatabase { database throws(OutboxError) in
      let answers = try database.answers(onlyWaiting: true)
      return AnswerShelf(answers, answers.isEmpty ? CorrectionLog() : try database.corrections())
    }
  }

  /// These were told to their patient.
  package func noteShown(_ ids: [RandomIdentifier], at now: Timestamp) throws(OutboxError) {
    try withTransaction { database throws(OutboxError) in
      for id in ids {
        guard case .found(var answer) = try database.answer(id), answer.isWaiting else { continue }
        answer.shownAt = now.rfc3339
        try database.write(answer)
      }
    }
  }
}

extension OutboxTool {
  /// Every answer that is kept, oldest first, and the corrections by which it belongs to somebody.
  package func answers() throws(OutboxError) -> (answers: [KeptAnswer], corrections: CorrectionLog) {
    (try database.answers(onlyWaiting: false), try database.corrections())
  }
}
