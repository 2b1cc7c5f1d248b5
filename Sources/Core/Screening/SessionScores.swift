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
  private var scores: [CaptureView: (outcome: Verdict.Outcome, probability: Double)] = [:]

  package init() {}

  package static func == (left: Self, right: Self) -> Bool {
    left.viewScores == right.viewScores && left.verdict == right.verdict
  }

  /// Takes in the verdict of one capture.
  package mutating func add(_ verdict: Verdict, view: CaptureView) {
    guard verdict.outcome != .notAssessable, let probability = verdict.probability else { return }
    scores[view] = (verdict.outcome, probability)
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
