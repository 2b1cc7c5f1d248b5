import Identification
import Panel
import Provenance
import Screening
import Testing

/// What goes between a patient and the clinic: the clinic's word at the tag, and a wish to be called by a long press.
@Suite struct SessionClinicTests {
  private static let begun = ["checkpoint ann 0.0", "show position frontal"]

  @Test func aLongPressJustAfterTheTagAsksOnceAndTheSessionGoesOn() {
    var run = SessionRun { $0.acclimatisationSeconds = 600 }
    #expect(run.after(0, .tag(SessionRun.ann)) == ["checkpoint ann 0.0", "show rest 600"])
    #expect(run.after(10, .hold) == ["call ann in session"], "ten seconds are within ten seconds")
    #expect(run.machine.isSessionOpen)
    #expect(run.after(0, .hold) == ["close cancelled", "show incomplete", "show ready"], "once; then it ends as ever")
    #expect(run.after(0, .hold) == [], "and asks no second time without another presentation")

    var late = SessionRun { $0.acclimatisationSeconds = 600 }
    _ = late.after(0, .tag(SessionRun.ann))
    #expect(late.after(11, .hold) == ["close cancelled", "show incomplete", "show ready"])
    // A short press is none.
    var short = SessionRun { $0.acclimatisationSeconds = 600 }
    _ = short.after(0, .tag(SessionRun.ann))
    #expect(short.after(1, .press) == [])
  }

  /// Where a gesture confirms something, or a picture is being taken, a long press means what it meant before.
  @Test func noGestureOfASessionAsksForACall() {
    let cancelled = ["close cancelled", "show incomplete", "show ready"]
    var asking = SessionRun { $0.questions = [.init(code: "fever", sentence: "Fever?")] }
    _ = asking.after(0, .tag(SessionRun.ann))
    #expect(asking.after(2, .hold) == cancelled)
    // Nobody is asked anything any more, and it is the same presentation.
    #expect(asking.after(1, .hold) == ["call ann"])
    var confirming = SessionRun { $0.unknownTags = .ask }
    _ = confirming.after(0, .tag(SessionRun.stranger))
    #expect(confirming.after(1, .hold) == cancelled)
    #expect(confirming.after(0, .hold) == [], "a tag that nobody vouched for calls nobody")
    var signing = SessionRun { $0.requiresOperator = true }
    _ = signing.after(0, .tag(SessionRun.ann))
    #expect(signing.after(1, .hold) == cancelled)
    var averaging = SessionRun()
    _ = averaging.after(0, .tag(SessionRun.ann))
    _ = averaging.after(5)
    #expect(averaging.after(1, .hold) == ["cancel"] + cancelled)
    // The same tag within a session is a gesture of it and opens nothing.
    var yes = SessionRun {
      $0.viewStart = .sign
      $0.questions = [.init(code: "fever", sentence: "Fever?")]
    }
    _ = yes.after(0, .tag(SessionRun.ann))
    #expect(yes.after(15, .tag(SessionRun.ann)) == ["show position frontal"])
    #expect(yes.after(1, .hold) == cancelled)
  }

  @Test func whoeverCastsDoubtOnWhoIsThereClosesTheWindow() {
    for doubt in [SessionRun.Happening.ambiguous, .tag(SessionRun.bea)] {
      var run = SessionRun { $0.acclimatisationSeconds = 600 }
      _ = run.after(0, .tag(SessionRun.ann))
      _ = run.after(1, doubt)
      let isAsked = run.after(1, .hold).contains { $0.hasPrefix("call") }
      #expect(!isAsked, "\(doubt)")
    }
    var refused = SessionRun { $0.unknownTags = .refuse }
    _ = refused.after(0, .tag(SessionRun.stranger))
    #expect(refused.after(1, .hold) == [])
    // The window of the first is not the second's.
    var two = SessionRun { $0.acclimatisationSeconds = 600 }
    _ = two.after(0, .tag(SessionRun.ann))
    _ = two.after(1, .stop)
    _ = two.after(1, .tag(SessionRun.bea))
    #expect(two.after(1, .hold) == ["call bea in session"])
  }

  @Test func endingAtTheTerminalAsksForNothing() {
    var run = SessionRun { $0.acclimatisationSeconds = 600 }
    _ = run.after(0, .tag(SessionRun.ann))
    #expect(run.after(1, .stop) == ["close cancelled", "show incomplete", "show ready"])
  }

  /// A device that can take no picture still takes a wish to be called.
  @Test func aBrokenCameraKeepsNobodyFromAsking() {
    var run = SessionRun()
    _ = run.after(0, .cameraLost)
    #expect(run.after(0, .tag(SessionRun.ann)) == ["refuse camera-lost", "show refused"])
    #expect(run.after(2, .hold) == ["call ann"])
  }

  @Test func theClinicsWordTakesThePlaceOfASessionAndTheNextTapBeginsOne() {
    var run = SessionRun()
    #expect(run.after(0, .word(SessionRun.ann, .answered)) == ["show clinic answered"])
    #expect(run.machine.isIdle)
    #expect(run.after(3, .hold) == ["call ann"])
    #expect(run.after(1, .tag(SessionRun.ann)) == Self.begun)
    // Within a session it is not told: the tag is the session's.
    #expect(!run.machine.takesWord(SessionRun.ann) && !run.machine.takesWord(SessionRun.bea))
    #expect(run.after(1, .word(SessionRun.bea, .answered)).contains("show clinic answered") == false)
  }

  @Test func aTagThatIsNotTakenIsToldNothing() {
    var run = SessionRun { $0.unknownTags = .refuse }
    #expect(run.after(0, .word(SessionRun.stranger, .answered)) == ["refuse unknown-tag", "show refused"])
    #expect(!run.machine.takesWord(SessionRun.nurse) && !run.machine.takesWord(SessionRun.fitter))
    var maintenance = SessionRun()
    _ = maintenance.after(0, .tag(SessionRun.fitter))
    #expect(maintenance.after(0, .word(SessionRun.ann, .answered)) == ["refuse maintenance", "show refused"])
  }

  /// Somebody far away waits for this patient: the word comes first, and the wait goes on.
  @Test func aRequestedSessionStillWaits() {
    var run = SessionRun()
    _ = run.after(0, .request(SessionRun.ann))
    #expect(run.after(1, .word(SessionRun.ann, .repeatRequested)) == ["show clinic repeat-requested"])
    #expect(run.machine.isAwaited)
    #expect(run.after(1, .tag(SessionRun.ann)) == Self.begun)
  }

  /// Each word has one light, told once, that no other signal has.
  @Test func theLightsOfTheClinicAreTheirOwn() throws {
    let words = ClinicWord.allCases.map { SessionInstruction.clinic($0) } + [.callNoted]
    let lights = words.map(\.signals)
    #expect(lights == [[.askClinic], [.pleaseRepeat], [.callNoted]])
    for signal in lights.flatMap({ $0 }) {
      #expect(!signal.isUrgent)
      #expect(try #require(PanelTable.standard[signal]).repeats == false)
    }
  }
}
