import Identification
import Screening
import Testing

@Suite("Guided session and consent")
struct SessionConsentTests {
  private static func ann(_ consent: Set<Roster.Consent>?) -> KnownTag {
    KnownTag(reference: SessionRun.ann.reference, consent: consent)
  }

  private let refused = ["refuse no-consent", "show refused"]

  @Test func onlyWhoAgreedIsCaptured() {
    var run = SessionRun { $0.requiredConsent = [.capture, .upload] }
    play(
      [
        (0, .tag(Self.ann([])), refused), (0, .tag(Self.ann([.capture])), refused),
        (0, .tag(Self.ann([.upload, .research])), refused),
        (0, .tag(Self.ann([.capture, .upload])), ["checkpoint ann 0.0", "show position frontal"]),
        (5, .pass, ["checkpoint ann 0.1", "show still", "average frontal 1"]),
        (4, .averaged, ["show working", "assess 0"]), (0, .passed, ["save ann frontal 1"]),
      ], in: &run)
    #expect(run.attributions.first?.consent == [.capture, .upload])
  }

  @Test func whatNobodyWroteDownIsThePolicysToJudge() {
    var run = SessionRun { $0.requiredConsent = [.capture, .upload] }
    play([(0, .tag(Self.ann(nil)), ["checkpoint ann 0.0", "show position frontal"])], in: &run)
  }

  @Test func consentThatWasWithdrawnEndsASessionThatARestartCut() {
    let checkpoint = SessionCheckpoint(
      sessionID: SessionRun.someID, patient: "ann", signedBy: nil, views: [.frontal], savedViews: [], viewIndex: 0,
      attempt: 1, answers: [SessionAnswer(code: "fever", yes: true)])
    var withdrawn = SessionRun()
    play(
      [
        (0, .found(checkpoint, age: 5), ["show own-tag"]),
        (1, .tag(Self.ann([])), refused + ["close cancelled", "show incomplete", "show ready"]),
      ], in: &withdrawn)
    // Answers outlive the restart, too.
    #expect(withdrawn.summaries.first?.answers == [SessionAnswer(code: "fever", yes: true)])
  }
}
