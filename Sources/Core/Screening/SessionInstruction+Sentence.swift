extension SessionInstruction {
  /// What is told at the end of a session.
  package init(endOf summary: SessionSummary) {
    switch summary.outcome {
    case .complete: self = summary.notAssessableViews.isEmpty ? .complete : .completeNotAssessable
    case .incomplete(let reason): self = .incomplete(reason, savedViews: summary.savedViews.count)
    }
  }

  /// What a person at a terminal, or one who asks for the status, is told: a sentence or two, without a name.
  package func sentence(in book: SentenceBook) -> String {
    let own = book.sentence(sentenceKey, value: sentenceValue)
    return switch self {
    // The clinic's own words, from the configuration.
    case .question(let question): question.sentence + " " + own
    case .retake(_, let reasons): (reasons + [own]).joined(separator: " ")
    // What was saved is said of every early end, and nothing is said to be saved that is not.
    case .incomplete(_, let savedViews):
      own + " " + book.sentence(Self.keptKey(savedViews: savedViews), value: Double(savedViews))
    default: own
    }
  }

  /// Where the sentence stands in the book.
  package var sentenceKey: String {
    switch self {
    case .ready: "session.ready"
    case .maintenance: "session.maintenance"
    case .refused(let refusal): refusal.sentenceKey
    case .presentOperatorTag: "session.present-operator-tag"
    case .confirmUnknownTag: "session.confirm-unknown-tag"
    case .question: "session.question"
    case .rest(let seconds): Self.isSaidInMinutes(seconds) ? "session.rest.minutes" : "session.rest.seconds"
    case .takePosition(let view): "session.take-position.\(view.rawValue)"
    case .holdStill(let view): "session.hold-still.\(view.rawValue)"
    case .retake(let view, _): "session.retake.\(view.rawValue)"
    case .working: "session.working"
    case .saved(let view): "session.saved.\(view.rawValue)"
    case .savedNotAssessable: "patient.not-assessable"
    case .complete: "session.complete"
    case .completeNotAssessable: "session.complete-not-assessable"
    case .incomplete(let reason, _): "session.incomplete.\(reason.rawValue)"
    case .presentOwnTag: "session.present-own-tag"
    case .waitForCamera: "session.wait-for-camera"
    case .clinic(let word): "session.clinic.\(word.rawValue)"
    case .callNoted: "session.call-noted"
    case .callFailed: "session.call-failed"
    }
  }

  /// The sentence about what an ended session leaves.
  package static func keptKey(savedViews: Int) -> String {
    switch savedViews {
    case ...0: "session.kept.nothing"
    case 1: "session.kept.one"
    default: "session.kept.some"
    }
  }

  private var sentenceValue: Double? {
    guard case .rest(let seconds) = self else { return nil }
    return Double(Self.isSaidInMinutes(seconds) ? (seconds + 59) / 60 : seconds)
  }

  private static func isSaidInMinutes(_ seconds: Int) -> Bool { seconds >= 120 }
}

extension SessionRefusal {
  /// Where its sentence stands in the book.
  package var sentenceKey: String { "session.refused.\(rawValue)" }
}
