import Identification
import Screening
import Testing

/// The program is being updated: nobody is taken, everybody is told, and it ends.
@Suite struct SessionHoldTests {
  @Test func aTagIsRefusedByLightAndNobodyIsForgottenInside() {
    var run = SessionRun()
    #expect(run.after(0, .updateHeld(seconds: 600)) == ["show maintenance"])
    #expect(run.machine.isHeld && !run.machine.isIdle)
    for tag in [SessionRun.ann, SessionRun.nurse, SessionRun.fitter, SessionRun.stranger] {
      #expect(run.after(1, .tag(tag)) == ["refuse maintenance", "show refused"], "\(tag)")
    }
    #expect(run.after(1, .request(SessionRun.ann)) == ["refuse maintenance"])
    for happening in [SessionRun.Happening.press, .hold, .yes, .skip, .removed] {
      #expect(run.after(0, happening) == [], "\(happening)")
    }
    #expect(run.machine.isHeld && run.attributions.isEmpty && run.summaries.isEmpty)
    #expect(run.after(1, .updateOver) == ["show ready"])
    #expect(run.after(1, .tag(SessionRun.ann)).first == "checkpoint ann 0.0")
  }

  /// The light that a refused tag sees is not the one that says "once more" or "ask the clinic".
  @Test func theLightSaysNotNow() {
    #expect(SessionInstruction.refused(.maintenance).signals == [.notNow])
  }

  @Test func itEndsByItself() {
    var run = SessionRun()
    _ = run.after(0, .updateHeld(seconds: 600))
    // A shorter one takes nothing away.
    #expect(run.after(500, .updateHeld(seconds: 10)) == [])
    #expect(run.after(99) == [])
    #expect(run.after(1) == ["show ready"])
    #expect(run.machine.isIdle)
    #expect(run.after(0, .updateOver) == [])
  }

  /// Somebody is before the device, in every way there is: the hold changes nothing.
  @Test func nobodyIsPutOut() {
    let ways: [[SessionRun.Happening]] = [
      [.tag(SessionRun.ann)], [.request(SessionRun.ann)], [.tag(SessionRun.fitter)],
      [.tag(SessionRun.ann), .pass, .averaged],
    ]
    for way in ways {
      var run = SessionRun { $0.viewStart = .sign }
      for happening in way { _ = run.after(1, happening) }
      let phase = run.machine.phase
      #expect(run.after(0, .updateHeld(seconds: 600)) == [], "\(way)")
      #expect(!run.machine.isHeld && run.machine.phase == phase, "\(way)")
    }
  }

  /// What a restart interrupted is found before anybody could hold the device; the other way round nothing is lost.
  @Test func theCameraMayComeAndGoMeanwhile() {
    var run = SessionRun()
    _ = run.after(0, .updateHeld(seconds: 600))
    for happening in [SessionRun.Happening.cameraLost, .storageFull, .cameraReturned, .storageFree, .ambiguous] {
      _ = run.after(1, happening)
      #expect(run.machine.isHeld, "\(happening)")
    }
    #expect(run.after(0, .stopping) == [])
  }
}
