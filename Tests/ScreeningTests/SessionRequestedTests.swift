import Identification
import Screening
import Testing

/// A capture that somebody far away asks for: the device asks for the tag, and everything else is the person's.
@Suite struct SessionRequestedTests {
  private static func run(_ change: (inout SessionRules) -> Void = { _ in }) -> SessionRun {
    SessionRun { rules in
      rules.idleTimeoutSeconds = 60
      change(&rules)
    }
  }

  @Test func nothingBeginsBeforeTheTag() {
    var run = Self.run { $0.questions = [.init(code: "fever", sentence: "Fever?")] }
    #expect(run.after(0, .request(SessionRun.ann)) == ["show own-tag"])
    #expect(run.machine.isAwaited && !run.machine.isIdle && !run.machine.isSessionOpen)
    #expect(run.after(5, .press) == [])
    // From here on it is a session like any other: questions first.
    #expect(run.after(1, .tag(SessionRun.ann)) == ["checkpoint ann 0.0", "show question fever"])
    #expect(!run.machine.isAwaited && run.machine.isSessionOpen)
    #expect(run.attributions.isEmpty)
  }

  @Test func whoComesFirstIsServed() {
    var run = Self.run()
    _ = run.after(0, .request(SessionRun.ann))
    #expect(run.after(1, .tag(SessionRun.bea)).first == "checkpoint bea 0.0")
    #expect(run.machine.patient == SessionRun.bea.reference)
  }

  @Test func itEndsByTimeByHandAndByWhatMakesATagUseless() {
    for (happening, last) in [
      (SessionRun.Happening.hold, "show ready"), (.storageFull, "show ready"), (.cameraLost, "show ready"),
      (.tag(SessionRun.fitter), "show maintenance"),
    ] {
      var run = Self.run()
      _ = run.after(0, .request(SessionRun.ann))
      #expect(run.after(1, happening).last == last, "\(happening)")
      #expect(!run.machine.isAwaited, "\(happening)")
    }
    var run = Self.run()
    _ = run.after(0, .request(SessionRun.ann))
    #expect(run.after(59) == [])
    #expect(run.after(1) == ["show ready"])
    #expect(run.machine.isIdle)
  }

  /// What would refuse the tag refuses the request, and no light says so: nobody may be there.
  @Test func whatRefusesTheTagRefusesTheRequest() {
    var noConsent = SessionRun.ann
    noConsent.consent = []
    let cases: [(SessionRun.Happening?, KnownTag, String)] = [
      (nil, noConsent, "refuse no-consent"), (nil, SessionRun.stranger, "refuse unknown-tag"),
      (.cameraLost, SessionRun.ann, "refuse camera-lost"), (.storageFull, SessionRun.ann, "refuse storage-full"),
      (.tag(SessionRun.fitter), SessionRun.ann, "refuse maintenance"),
      (.tag(SessionRun.bea), SessionRun.ann, "refuse session-under-way"),
    ]
    for (before, tag, word) in cases {
      var run = Self.run { $0.unknownTags = .refuse }
      if let before { _ = run.after(0, before) }
      #expect(run.after(1, .request(tag)) == [word])
      #expect(!run.machine.isAwaited, "\(word)")
    }
  }

  /// A tag that is refused ends the waiting all the same: the light must not go on asking.
  @Test func aRefusedTagEndsIt() {
    var run = Self.run { $0.unknownTags = .refuse }
    _ = run.after(0, .request(SessionRun.ann))
    #expect(run.after(1, .tag(SessionRun.stranger)) == ["refuse unknown-tag", "show refused", "show ready"])
    #expect(run.machine.isIdle)
  }
}
