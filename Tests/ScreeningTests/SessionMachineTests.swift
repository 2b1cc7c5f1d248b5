import Identification
import Provenance
import Screening
import Testing

/// Each row of a table: seconds that pass, what happens then, and everything the machine answers to both.
typealias SessionRow = (seconds: Int, SessionRun.Happening, [String])

/// Plays the rows and expects every answer, whole and in order.
func play(
  _ rows: [SessionRow], in run: inout SessionRun, _ location: SourceLocation = #_sourceLocation
) {
  for (index, row) in rows.enumerated() {
    #expect(run.after(row.seconds, row.1) == row.2, "row \(index): \(row.1)", sourceLocation: location)
  }
}

private let begun = ["checkpoint ann 0.0", "show position frontal"]
private let averaging = ["checkpoint ann 0.1", "show still", "average frontal 1"]

@Suite("Guided session")
struct SessionMachineTests {
  @Test func oneViewFromTheTagToTheDisk() {
    var run = SessionRun()
    play(
      [
        (0, .tag(SessionRun.ann), begun),
        (5, .pass, averaging),
        (4, .averaged, ["show working", "assess 0"]),
        (0, .passed, ["save ann frontal 1"]),
        (
          0, .saved, ["checkpoint ann 1.0", "show saved frontal", "close complete", "show complete", "show ready"]
        ),
        (3600, .pass, []),
      ], in: &run)
    #expect(run.machine.phase == .idle)
    #expect(run.checkpoint == nil)
    #expect(run.summaries.first?.savedViews == [.frontal])
    #expect(run.attributions.first?.sessionID == run.summaries.first?.sessionID)
  }

  @Test func questionsRestAndSeveralViewsInTheirOrder() {
    var run = SessionRun { rules in
      rules.questions = [
        .init(code: "undressed", sentence: "Is the skin bare?"), .init(code: "fever", sentence: "Do you have a fever?"),
      ]
      rules.acclimatisationSeconds = 600
      rules.views = [.frontal, .leftOblique]
      rules.viewStart = .sign
    }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show question undressed"]),
        (9, .tag(SessionRun.ann), ["show question fever"]),
        (9, .press, ["show rest 600"]),
        (599, .press, []),
        (1, .pass, ["show position frontal"]),
        (20, .press, averaging),
        (4, .averaged, ["show working", "assess 0"]),
        (0, .passed, ["save ann frontal 1"]),
        (1, .saved, ["checkpoint ann 1.0", "show saved frontal", "show position left-oblique"]),
        (9, .tag(SessionRun.ann), ["checkpoint ann 1.1", "show still", "average left-oblique 1"]),
        (4, .averaged, ["show working", "assess 0"]),
        (0, .passed, ["save ann left-oblique 1"]),
        (
          1, .saved, ["checkpoint ann 2.0", "show saved left-oblique", "close complete", "show complete", "show ready"]
        ),
      ], in: &run)
    #expect(run.summaries.first?.answers.map { "\($0.code) \($0.yes)" } == ["undressed true", "fever false"])
  }

  @Test func aMeasuredSkinEndsTheRestEarlyOrProlongsIt() {
    var early = SessionRun { $0.acclimatisationSeconds = 600 }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show rest 600"]),
        (200, .drift(0.05), []),
        (100, .pass, ["show position frontal"]),
        (5, .pass, averaging),
        (4, .averaged, ["show working", "assess 0"]),
      ], in: &early)
    var late = SessionRun { $0.acclimatisationSeconds = 600 }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show rest 600"]),
        (599, .drift(-0.4), []),
        (200, .pass, []),
        (1, .drift(0.02), ["show position frontal"]),
      ], in: &late)
    var never = SessionRun { $0.acclimatisationSeconds = 600 }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show rest 600"]),
        (10, .drift(0.4), []),
        (890, .pass, ["show position frontal"]),
        (5, .pass, averaging),
        (4, .averaged, ["show working", "assess 1"]),
      ], in: &never)
    var skipped = SessionRun { $0.acclimatisationSeconds = 600 }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show rest 600"]),
        (100, .skip, ["show position frontal"]),
        (5, .pass, averaging),
        (4, .averaged, ["show working", "assess 500"]),
      ], in: &skipped)
  }

  @Test func aCorrectableGateIsRetakenAndEveryAttemptIsSaved() {
    var run = SessionRun { $0.retakesPerView = 1 }
    play(
      [
        (0, .tag(SessionRun.ann), begun),
        (5, .pass, averaging),
        (4, .averaged, ["show working", "assess 0"]),
        (0, .failed(.clothed), ["save ann frontal 1"]),
        (0, .saved, ["checkpoint ann 0.1", "show retake clothed"]),
        (5, .pass, ["checkpoint ann 0.2", "show still", "average frontal 2"]),
        (4, .averaged, ["show working", "assess 0"]),
        (0, .failed(.tooFar), ["save ann frontal 2"]),
        (
          0, .saved,
          [
            "checkpoint ann 1.0", "show saved-not-assessable frontal", "close complete",
            "show complete-not-assessable", "show ready",
          ]
        ),
      ], in: &run)
    #expect(run.summaries.first?.savedViews == [.frontal])
    #expect(Set(run.attributions.map(\.captureID)).count == 2)
  }

  @Test func aGateThatNoRetakeCorrectsTiresNobody() {
    var run = SessionRun()
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (4, .averaged, ["show working", "assess 0"]),
        (0, .failed(.ambientRange), ["save ann frontal 1"]),
        (
          0, .saved,
          [
            "checkpoint ann 1.0", "show saved-not-assessable frontal", "close complete",
            "show complete-not-assessable", "show ready",
          ]
        ),
      ], in: &run)
  }

  /// The tag of another patient, in every phase: never a capture for the wrong one.
  @Test func anotherPatientsTagEndsTheSessionAndBeginsNone() {
    let ended = [
      "refuse session-of-another-patient", "show refused", "close another-patient", "show incomplete", "show ready",
    ]
    var resting = SessionRun { $0.acclimatisationSeconds = 600 }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show rest 600"]), (60, .tag(SessionRun.bea), ended),
        (3600, .pass, []), (0, .tag(SessionRun.bea), ["checkpoint bea 0.0", "show rest 600"]),
      ], in: &resting)
    var positioning = SessionRun()
    play([(0, .tag(SessionRun.ann), begun), (1, .tag(SessionRun.bea), ended)], in: &positioning)
    var averagingRun = SessionRun()
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging),
        (1, .tag(SessionRun.bea), Array(ended.prefix(2)) + ["cancel"] + ended.suffix(3)),
        // The camera's answer comes all the same, and is nobody's.
        (0, .averaged, []), (0, .passed, []), (0, .saved, []),
      ], in: &averagingRun)
    #expect(averagingRun.attributions.isEmpty)
    var saving = SessionRun { $0.views = [.frontal, .leftLateral] }
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (4, .averaged, ["show working", "assess 0"]),
        (0, .tag(SessionRun.bea), Array(ended.prefix(2))),
        // Complete before the other tag came: it is Ann's, and is kept.
        (0, .passed, ["save ann frontal 1"]),
        (0, .saved, ["checkpoint ann 1.0", "close another-patient", "show incomplete", "show ready"]),
      ], in: &saving)
    #expect(saving.summaries.first?.savedViews == [.frontal])
  }

  @Test func twoTagsAtOnceAskForTheOwnTagAgain() {
    let asked = ["refuse ambiguous-tags", "show refused"]
    var run = SessionRun()
    play(
      [
        (0, .ambiguous, asked),
        (0, .tag(SessionRun.ann), begun),
        (5, .pass, averaging),
        (1, .ambiguous, asked + ["cancel", "show own-tag"]),
        (1, .averaged, []),
        (1, .press, []),
        (9, .tag(SessionRun.ann), ["show position frontal"]),
        (5, .pass, ["checkpoint ann 0.2", "show still", "average frontal 2"]),
      ], in: &run)
    var resting = SessionRun { $0.acclimatisationSeconds = 600 }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show rest 600"]), (1, .ambiguous, asked),
        (599, .pass, ["show own-tag"]), (0, .tag(SessionRun.ann), ["show position frontal"]),
      ], in: &resting)
    var reassured = SessionRun { $0.acclimatisationSeconds = 600 }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show rest 600"]), (1, .ambiguous, asked),
        (9, .tag(SessionRun.ann), []), (590, .pass, ["show position frontal"]),
      ], in: &reassured)
    var saving = SessionRun { $0.views = [.frontal, .leftLateral] }
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (4, .averaged, ["show working", "assess 0"]),
        (0, .ambiguous, asked), (0, .passed, ["save ann frontal 1"]),
        (0, .saved, ["checkpoint ann 1.0", "show saved frontal", "show own-tag"]),
        (300, .pass, ["close abandoned", "show incomplete", "show ready"]),
      ], in: &saving)
  }

  @Test func aTagThatMustStayAndLeavesStopsTheMeasuring() {
    var tap = SessionRun()
    play([(0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (1, .removed, [])], in: &tap)
    var stay = SessionRun { $0.tagMustStay = true }
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (1, .removed, ["cancel", "show own-tag"]),
        (9, .tag(SessionRun.ann), ["show position frontal"]),
      ], in: &stay)
  }

  @Test func aHeldButtonCancelsInEveryPhase() {
    let cancelled = ["close cancelled", "show incomplete", "show ready"]
    var idle = SessionRun()
    play(
      [
        (0, .hold, []), (0, .tag(SessionRun.ann), begun), (1, .hold, ["call ann in session"]), (1, .hold, cancelled),
      ], in: &idle)
    var averagingRun = SessionRun()
    play(
      [(0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (1, .hold, ["cancel"] + cancelled)],
      in: &averagingRun)
    var saving = SessionRun { $0.views = [.frontal, .leftLateral] }
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (4, .averaged, ["show working", "assess 0"]),
        (0, .passed, ["save ann frontal 1"]), (0, .hold, []),
        (0, .saved, ["checkpoint ann 1.0"] + cancelled),
      ], in: &saving)
  }

  @Test func aLostCameraIsWaitedForAndThenGivenUp() {
    var run = SessionRun()
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (1, .cameraLost, ["cancel", "show wait-camera"]),
        (59, .cameraReturned, ["show position frontal"]),
        (5, .pass, ["checkpoint ann 0.2", "show still", "average frontal 2"]),
        (1, .cameraLost, ["cancel", "show wait-camera"]),
        (60, .pass, ["close camera-lost", "show incomplete", "show ready"]),
        (0, .tag(SessionRun.ann), ["refuse camera-lost", "show refused"]),
        (0, .cameraReturned, []), (0, .tag(SessionRun.ann), begun),
      ], in: &run)
    var before = SessionRun { $0.acclimatisationSeconds = 60 }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show rest 60"]), (1, .cameraLost, []),
        (59, .pass, ["show position frontal"]), (5, .pass, ["show wait-camera"]),
      ], in: &before)
  }

  @Test func aSilentCameraIsTriedOnceMore() {
    var run = SessionRun()
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (60, .pass, ["cancel", "show position frontal"]),
        (5, .pass, ["checkpoint ann 0.2", "show still", "average frontal 2"]),
        (60, .pass, ["cancel", "close capture-timeout", "show incomplete", "show ready"]),
      ], in: &run)
  }

  @Test func aFullDiskRefusesAndSaysSo() {
    var run = SessionRun()
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (4, .averaged, ["show working", "assess 0"]),
        (0, .passed, ["save ann frontal 1"]),
        (0, .diskFull, ["close storage-full", "show incomplete", "show ready"]),
        (0, .tag(SessionRun.ann), ["refuse storage-full", "show refused"]),
        (0, .storageFree, []), (0, .tag(SessionRun.ann), begun),
        (1, .storageFull, []), (4, .pass, ["close storage-full", "show incomplete", "show ready"]),
      ], in: &run)
    #expect(run.summaries.first?.savedViews == [])
    var failed = SessionRun()
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (4, .averaged, ["show working", "assess 0"]),
        (0, .passed, ["save ann frontal 1"]), (0, .saveFailed, ["close save-failed", "show incomplete", "show ready"]),
      ], in: &failed)
    var stuck = SessionRun()
    play(
      [
        (0, .tag(SessionRun.ann), begun), (5, .pass, averaging), (4, .averaged, ["show working", "assess 0"]),
        (60, .pass, ["close save-failed", "show incomplete", "show ready"]),
      ], in: &stuck)
  }

  @Test func unknownTagsFollowTheirPolicy() {
    var accept = SessionRun()
    play([(0, .tag(SessionRun.stranger), ["checkpoint stranger 0.0", "show position frontal"])], in: &accept)
    var refuse = SessionRun { $0.unknownTags = .refuse }
    play([(0, .tag(SessionRun.stranger), ["refuse unknown-tag", "show refused"])], in: &refuse)
    let asked = ["checkpoint stranger 0.0", "show confirm"]
    for (sign, answer) in [
      (SessionRun.Happening.press, ["show position frontal"]), (.yes, ["show position frontal"]),
      (.tag(SessionRun.nurse), ["show position frontal"]),
      // The tag cannot vouch for itself.
      (.tag(SessionRun.stranger), []),
      (.no, ["refuse unknown-tag", "show refused", "close cancelled", "show incomplete", "show ready"]),
    ] {
      var ask = SessionRun { $0.unknownTags = .ask }
      play([(0, .tag(SessionRun.stranger), asked), (1, sign, answer)], in: &ask)
    }
    var unread = SessionRun()
    play([(0, .unreadable, ["refuse unreadable-tag", "show refused"])], in: &unread)
  }

  @Test func operatorsSign() {
    var before = SessionRun { $0.requiresOperator = true }
    play(
      [
        (0, .tag(SessionRun.nurse), []), (10, .tag(SessionRun.ann), begun),
      ], in: &before)
    var after = SessionRun { $0.requiresOperator = true }
    play(
      [
        (0, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show operator"]), (1, .press, []),
        (9, .tag(SessionRun.nurse), ["show position frontal"]), (5, .pass, averaging),
        (4, .averaged, ["show working", "assess 0"]), (0, .passed, ["save ann frontal 1"]),
      ], in: &after)
    #expect(after.attributions.first?.signedBy == SessionRun.nurse.reference)
    var late = SessionRun { $0.requiresOperator = true }
    play(
      [
        (0, .tag(SessionRun.nurse), []),
        // Forgotten after the idle time: who signed for the last patient does not sign for this one.
        (301, .tag(SessionRun.ann), ["checkpoint ann 0.0", "show operator"]),
        (300, .pass, ["close abandoned", "show incomplete", "show ready"]),
      ], in: &late)
  }

  @Test func techniciansOpenAMaintenanceWindow() {
    var run = SessionRun()
    play(
      [
        (0, .tag(SessionRun.fitter), ["maintenance fitter", "show maintenance"]),
        (1, .tag(SessionRun.ann), ["refuse maintenance", "show refused"]),
        (1, .tag(SessionRun.fitter), ["maintenance over", "show ready"]),
        (1, .tag(SessionRun.fitter), ["maintenance fitter", "show maintenance"]),
        (900, .pass, ["maintenance over", "show ready"]),
        (0, .tag(SessionRun.ann), begun),
        (1, .tag(SessionRun.fitter), ["refuse session-under-way", "show refused"]),
        (4, .pass, averaging),
      ], in: &run)
  }

  @Test func aCleanStopClosesTheSession() {
    var run = SessionRun()
    play(
      [
        (0, .stopping, []), (0, .tag(SessionRun.ann), begun), (5, .pass, averaging),
        (0, .stopping, ["cancel", "close shutdown", "show incomplete", "show ready"]),
      ], in: &run)
  }
}
