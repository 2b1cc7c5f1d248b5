/// The views of one session taken together.
package struct SessionVerdict: Sendable, Hashable, Codable {
  package var outcome: Verdict.Outcome
  /// The highest probability of a view, 0...1.
  package var probability: Double
  /// The view that has it.
  package var view: CaptureView
  /// Views with a score, in the order of `CaptureView`.
  package var views: [CaptureView]
}

/// Gathers the scores of a session, view by view, attempt after attempt.
///
/// A lesion shows in some views and not in others, so the session stands where its highest view stands: above when a
/// view is above, below only when every view is below, and uncertain otherwise. A later attempt that could be assessed
/// replaces the one before it; one that could not does not.
package struct SessionScores: Sendable, Equatable {
  private struct Score: Equatable {
    var outcome: Verdict.Outcome
    var probability: Double
  }

  private var scores: [CaptureView: Score] = [:]

  package init() {}

  /// Takes in the verdict of one capture.
  package mutating func add(_ verdict: Verdict, view: CaptureView) {
    guard verdict.outcome != .notAssessable, let probability = verdict.probability else { return }
    scores[view] = Score(outcome: verdict.outcome, probability: probability)
  }

  /// The calibrated probability by the view's name.
  package var viewScores: [String: Double] {
    Dictionary(uniqueKeysWithValues: scores.map { ($0.key.rawValue, $0.value.probability) })
  }

  /// nil while no view has a score.
  package var verdict: SessionVerdict? {
    let views = CaptureView.allCases.filter { scores[$0] != nil }
    let scored = views.compactMap { view in scores[view].map { (view: view, score: $0) } }
    // The first of equals, so that the answer does not depend on the order in a dictionary.
    guard let highest = scored.reduce(nil, { $0.map { $0.score.probability } ?? -1 >= $1.score.probability ? $0 : $1 })
    else { return nil }
    let outcome: Verdict.Outcome
    if scored.contains(where: { $0.score.outcome == .aboveThreshold }) {
      outcome = .aboveThreshold
    } else if scored.allSatisfy({ $0.score.outcome == .belowThreshold }) {
      outcome = .belowThreshold
    } else {
      outcome = .uncertain
    }
    return SessionVerdict(
      outcome: outcome, probability: highest.score.probability, view: highest.view, views: views)
  }
}

extension SessionScores: Codable {
  /// One view, in the order of `CaptureView`.
  private struct Entry: Codable {
    var view: CaptureView
    var outcome: Verdict.Outcome
    var probability: Double
  }

  package init(from decoder: any Decoder) throws {
    for entry in try [Entry](from: decoder) {
      try BasisBounds.check(entry.probability, decoder.codingPath)
      scores[entry.view] = Score(outcome: entry.outcome, probability: entry.probability)
    }
  }

  package func encode(to encoder: any Encoder) throws {
    let entries = CaptureView.allCases.compactMap { view in
      scores[view].map { Entry(view: view, outcome: $0.outcome, probability: $0.probability) }
    }
    try entries.encode(to: encoder)
  }
}
