import Screening
import Testing

@Suite struct SessionScoresTests {
  private func verdict(_ outcome: Verdict.Outcome, _ probability: Double?) -> Verdict {
    Verdict(
      outcome: outcome, rawOutput: [], score: nil, probability: probability,
      thresholds: .init(lower: 0.3, upper: 0.7), leftRightDifference: nil, viewScores: [:], modelID: "m",
      modelSHA256: "", demonstration: true, reasons: [])
  }

  private func session(_ captures: [(CaptureView, Verdict.Outcome, Double?)]) -> SessionScores {
    var scores = SessionScores()
    for (view, outcome, probability) in captures { scores.add(verdict(outcome, probability), view: view) }
    return scores
  }

  @Test func theHighestViewDecides() throws {
    let scores = session([
      (.frontal, .belowThreshold, 0.2), (.leftOblique, .aboveThreshold, 0.8), (.rightOblique, .belowThreshold, 0.1),
    ])
    let session = try #require(scores.verdict)
    #expect(session.outcome == .aboveThreshold)
    #expect(session.probability == 0.8)
    #expect(session.view == .leftOblique)
    #expect(session.views == [.frontal, .leftOblique, .rightOblique])
    #expect(scores.viewScores == ["frontal": 0.2, "left-oblique": 0.8, "right-oblique": 0.1])
  }

  @Test func belowNeedsEveryView() {
    #expect(
      session([(.frontal, .belowThreshold, 0.2), (.leftOblique, .belowThreshold, 0.1)]).verdict?.outcome
        == .belowThreshold)
    #expect(
      session([(.frontal, .belowThreshold, 0.2), (.leftOblique, .uncertain, 0.5)]).verdict?.outcome == .uncertain)
  }

  @Test func aDisagreementThatMadeAViewUncertainKeepsTheSessionFromBelow() {
    // The second head disagreed: the probability is low, the outcome is uncertain all the same.
    #expect(
      session([(.frontal, .uncertain, 0.1), (.leftOblique, .belowThreshold, 0.2)]).verdict?.outcome == .uncertain)
  }

  @Test func aLaterAttemptReplacesOneAndAnUnassessableOneDoesNot() {
    #expect(session([(.frontal, .aboveThreshold, 0.9), (.frontal, .belowThreshold, 0.2)]).verdict?.probability == 0.2)
    #expect(session([(.frontal, .aboveThreshold, 0.9), (.frontal, .notAssessable, nil)]).verdict?.probability == 0.9)
  }

  @Test func withoutAScoreThereIsNoSessionVerdict() {
    #expect(SessionScores().verdict == nil)
    #expect(session([(.frontal, .notAssessable, nil)]).verdict == nil)
  }

  @Test func equalViewsAreNamedInTheirOrderWhateverCameFirst() {
    for order in [[CaptureView.frontal, .leftLateral], [.leftLateral, .frontal]] {
      let scores = session(order.map { ($0, .uncertain, 0.5) })
      #expect(scores.verdict?.view == .frontal)
      #expect(scores.verdict?.views == [.frontal, .leftLateral])
    }
  }
}
