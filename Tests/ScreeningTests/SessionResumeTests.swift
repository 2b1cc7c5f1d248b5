import Identification
import Provenance
import Screening
import Testing

@Suite("Guided session across a restart")
struct SessionResumeTests {
  /// A session of two views whose power is cut during the second.
  private func cut() -> SessionCheckpoint? {
    var run = SessionRun { $0.views = [.frontal, .leftLateral] }
    for (seconds, happening) in [
      (0, SessionRun.Happening.tag(SessionRun.ann)), (5, .pass), (4, .averaged), (0, .passed), (0, .saved), (5, .pass),
    ] { _ = run.after(seconds, happening) }
    return run.checkpoint
  }

  @Test func theOwnTagTakesItUpAtTheViewThatWasCut() throws {
    let checkpoint = try #require(cut())
    #expect(checkpoint.savedViews == [.frontal] && checkpoint.viewIndex == 1 && checkpoint.attempt == 1)
    var run = SessionRun { $0.acclimatisationSeconds = 60 }
    play(
      [
        (0, .found(checkpoint, age: 30), ["show own-tag"]),
        (10, .press, []),
        (10, .tag(SessionRun.ann), ["show rest 60"]),
        (60, .pass, ["show position left-lateral"]),
        (5, .pass, ["checkpoint ann 1.2", "show still", "average left-lateral 2"]),
        (4, .averaged, ["show working", "assess 0"]), (0, .passed, ["save ann left-lateral 2"]),
        (
          0, .saved, ["checkpoint ann 2.0", "show saved left-lateral", "close complete", "show complete", "show ready"]
        ),
      ], in: &run)
    #expect(run.summaries.first?.sessionID == checkpoint.sessionID)
    #expect(run.summaries.first?.savedViews == [.frontal, .leftLateral])
  }

  /// The device was updated while the power was gone: the tag has another reference now, and is the same person's.
  @Test func aSessionOfTheFormerReferenceGoesOnUnderThePresentOne() throws {
    let checkpoint = try #require(cut())
    var renamed = KnownTag(reference: SessionRun.bea.reference)
    (renamed.version, renamed.former) = (.current, SessionRun.ann.reference)
    var run = SessionRun { $0.acclimatisationSeconds = 60 }
    play([(0, .found(checkpoint, age: 30), ["show own-tag"]), (10, .tag(renamed), ["show rest 60"])], in: &run)
    #expect(run.machine.patient == SessionRun.bea.reference)
    #expect(run.machine.formerPatient == SessionRun.ann.reference)
    #expect(run.machine.sessionID == checkpoint.sessionID)
  }

  /// Numbers from the disk are bounded before anybody counts on with them.
  @Test(arguments: [Int.max, Int.min]) func nonsenseInTheJournalStopsNothing(number: Int) throws {
    var checkpoint = try #require(cut())
    checkpoint.attempt = number
    var run = SessionRun()
    _ = run.after(0, .found(checkpoint, age: number))
    for (seconds, happening) in [(1, SessionRun.Happening.tag(SessionRun.ann)), (5, .pass), (5, .pass), (4, .averaged)]
    {
      _ = run.after(seconds, happening)
    }
    checkpoint.viewIndex = number
    var other = SessionRun()
    _ = other.after(0, .found(checkpoint, age: 5))
    _ = other.after(1, .tag(SessionRun.ann))
    #expect(run.checkpoint?.attempt ?? 0 < 20_000)
    #expect((0...2).contains(other.checkpoint?.viewIndex ?? 0))
  }

  @Test func anybodyElsesTagClosesIt() throws {
    let checkpoint = try #require(cut())
    var run = SessionRun()
    play(
      [
        (0, .found(checkpoint, age: nil), ["show own-tag"]),
        (
          1, .tag(SessionRun.bea),
          [
            "refuse session-of-another-patient", "show refused", "close another-patient", "show incomplete",
            "show ready",
          ]
        ),
      ], in: &run)
    #expect(run.summaries.first?.patient == SessionRun.ann.reference)
    #expect(run.summaries.first?.savedViews == [.frontal])
  }

  @Test func withoutATagItIsClosedAsInterrupted() throws {
    let checkpoint = try #require(cut())
    let interrupted = ["close interrupted", "show incomplete", "show ready"]
    var waits = SessionRun()
    play([(0, .found(checkpoint, age: 100), ["show own-tag"]), (799, .pass, []), (1, .pass, interrupted)], in: &waits)
    var old = SessionRun()
    play([(0, .found(checkpoint, age: 900), interrupted)], in: &old)
  }

  @Test func aSessionWhoseLastViewWasSavedIsComplete() throws {
    var checkpoint = try #require(cut())
    checkpoint.viewIndex = 2
    checkpoint.savedViews = [.frontal, .leftLateral]
    var run = SessionRun()
    play([(0, .found(checkpoint, age: 5), ["close complete", "show complete", "show ready"])], in: &run)
  }
}
