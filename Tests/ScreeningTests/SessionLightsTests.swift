import Identification
import Panel
import Provenance
import Screening
import Testing

/// What the light asks for and what the machine then takes, over everything that a session can come to.
@Suite struct SessionLightsTests {
  /// What a person may do in a state that changes anything: what the light has to tell apart.
  struct Gesture: Hashable {
    var ownTagActs = false
    var buttonActs = false
    var operatorTagActs = false
    /// The position that is asked for.
    var view: CaptureView?
  }

  /// A state that was reached, and the pattern that stays on the panel there.
  private struct Reached {
    var run: SessionRun
    var shown: PanelSignal
    var depth: Int
  }

  private static let happenings: [SessionRun.Happening] = [
    .tag(SessionRun.ann), .tag(SessionRun.bea), .tag(SessionRun.stranger), .tag(SessionRun.nurse),
    .tag(SessionRun.fitter), .removed, .ambiguous, .unreadable, .press, .hold, .yes, .no, .skip, .averaged, .passed,
    .failed(.tooFar), .failed(.ambientRange), .saved, .saveFailed, .diskFull, .cameraLost, .cameraReturned,
    .storageFull, .storageFree, .pass, .request(SessionRun.ann), .request(SessionRun.stranger),
  ]

  private static func rules(_ variant: Int) -> (inout SessionRules) -> Void {
    { rules in
      rules.questions = [.init(code: "fever", sentence: "Fever?"), .init(code: "bare", sentence: "Bare?")]
      rules.acclimatisationSeconds = 600
      rules.views = variant % 2 == 0 ? [.frontal, .leftOblique, .leftLateral] : [.rightOblique, .rightLateral]
      rules.viewStart = variant % 2 == 0 ? .sign : .timer
      rules.positionSeconds = 30
      rules.retakesPerView = 1
      rules.unknownTags = .ask
      rules.requiresOperator = variant >= 2
      rules.tagMustStay = variant == 1
    }
  }

  /// The device shows an idle pattern of its own where a tag would be of no use.
  private static func idleSignal(_ machine: SessionMachine) -> PanelSignal {
    machine.isCameraLost ? .unable : machine.isStorageFull ? .full : .ready
  }

  private static func step(_ reached: Reached, _ happening: SessionRun.Happening) -> Reached {
    var next = reached
    next.depth += 1
    let actions = next.run.actions(after: 2, happening)
    for case .show(let instruction) in actions {
      for signal in instruction == .ready ? [idleSignal(next.run.machine)] : instruction.signals
      where PanelTable.standard[signal]?.repeats == true {
        next.shown = signal
      }
    }
    if next.run.machine.isIdle { next.shown = idleSignal(next.run.machine) }
    return next
  }

  /// Whether it changes anything beside a refusal.
  private static func acts(_ reached: Reached, _ happening: SessionRun.Happening) -> Bool {
    var run = reached.run
    // What the time itself brings is not the gesture's doing.
    _ = run.actions(after: 2, .pass)
    let before = run.machine.phase
    let actions = run.actions(after: 0, happening)
    if run.machine.phase != before { return true }
    return actions.contains { action in
      switch action {
      case .refuse, .show(.refused): false
      default: true
      }
    }
  }

  private static func gesture(_ reached: Reached) -> Gesture {
    let machine = reached.run.machine
    var own = SessionRun.ann
    if let patient = machine.patient {
      own = KnownTag(reference: patient, isEnrolled: patient != SessionRun.stranger.reference)
    }
    var gesture = Gesture(
      ownTagActs: acts(reached, .tag(own)), buttonActs: acts(reached, .press),
      operatorTagActs: acts(reached, .tag(SessionRun.nurse)))
    if case .positioning = machine.phase { gesture.view = machine.view }
    return gesture
  }

  private static func key(_ reached: Reached) -> String {
    let machine = reached.run.machine
    let phase = "\(machine.phase)".prefix { $0 != "(" }
    let question = if case .asking(let number, _) = machine.phase { number } else { -1 }
    // Of attempts and patients only what the machine tells apart: a camera that comes and goes has no last attempt.
    let isStranger = machine.patient == SessionRun.stranger.reference
    return "\(phase) \(question) \(machine.view.map(\.rawValue) ?? "") \(min(machine.attempt, 3)) \(isStranger) "
      + "\(machine.isCameraLost) \(machine.isStorageFull) \(reached.shown)"
  }

  /// No two states that ask for different gestures share a pattern: a second tap answers *yes* where the light asks a
  /// question, and nowhere else. The whole machine is walked through, four ways to set it up.
  @Test(arguments: 0..<4) func noTwoStatesThatAskForDifferentGesturesShareAPattern(variant: Int) throws {
    var seen: Set<String> = []
    var waiting = [Reached(run: SessionRun(Self.rules(variant)), shown: .ready, depth: 0)]
    var gestures: [PanelSignal: [Gesture: String]] = [:]
    var states = 0
    while !waiting.isEmpty {
      let reached = waiting.removeFirst()
      guard seen.insert(Self.key(reached)).inserted else { continue }
      states += 1
      try #require(states < 20_000, "the machine has more states than the walk expects")
      gestures[reached.shown, default: [:]][Self.gesture(reached)] = Self.key(reached)
      for happening in Self.happenings { waiting.append(Self.step(reached, happening)) }
    }
    for (signal, found) in gestures {
      #expect(found.count == 1, "\(signal.rawValue) is shown where different gestures are wanted: \(found)")
    }
    // The walk has been everywhere: what a session can show for longer than a moment was shown.
    let wanted: Set<PanelSignal> = [
      .ready, .full, .unable, .maintenance, .question, .confirm, .ownTag, .acclimatising, .capturing, .working,
    ]
    #expect(wanted.isSubset(of: Set(gestures.keys)), "\(gestures.keys)")
    #expect(gestures.keys.contains(.operatorTag) == (variant >= 2))
    #expect(states > 100, "\(states)")
  }

  /// The walk proves it of the machine; this, of the table that the panel plays.
  @Test func aQuestionLooksLikeNothingElse() {
    let question = SessionInstruction.question(.init(code: "fever", sentence: "Fever?")).signals
    let others: [SessionInstruction] = [
      .ready, .maintenance, .presentOperatorTag, .confirmUnknownTag, .presentOwnTag, .rest(seconds: 9), .working,
      .complete, .waitForCamera, .takePosition(.frontal), .holdStill(.frontal),
    ]
    for other in others { #expect(Set(other.signals).isDisjoint(with: question), "\(other)") }
    #expect(SessionInstruction.presentOwnTag.signals != SessionInstruction.takePosition(.frontal).signals)
    let positions = CaptureView.allCases.map { SessionInstruction.takePosition($0).signals }
    #expect(Set(positions).count == CaptureView.allCases.count)
  }

  @Test func aTapThatCameBeforeTheQuestionWasSeenIsNoAnswer() {
    var run = SessionRun { $0.questions = [.init(code: "fever", sentence: "Fever?")] }
    #expect(run.after(0, .tag(SessionRun.ann)) == ["checkpoint ann 0.0", "show question fever"])
    #expect(run.after(0, .tag(SessionRun.ann)) == [], "the second tap of somebody who is not sure of the first")
    #expect(run.after(0, .press) == [])
    #expect(run.after(1, .tag(SessionRun.ann)) == ["show position frontal"])
    // A refusal hides the question for a moment.
    var refused = SessionRun { $0.questions = [.init(code: "fever", sentence: "Fever?")] }
    _ = refused.after(0, .tag(SessionRun.ann))
    #expect(refused.after(5, .unreadable) == ["refuse unreadable-tag", "show refused"])
    #expect(refused.after(1, .tag(SessionRun.ann)) == [])
    #expect(refused.after(1, .tag(SessionRun.ann)) == ["show position frontal"])
    // At a terminal it is read at once.
    var terminal = SessionRun { $0.questions = [.init(code: "fever", sentence: "Fever?")] }
    _ = terminal.after(0, .tag(SessionRun.ann))
    #expect(terminal.after(0, .yes) == ["show position frontal"])
  }

  @Test func whatCannotBeAssessedIsNotCalledSavedAndDone() {
    #expect(SessionInstruction.savedNotAssessable(.frontal).signals == [.notAssessable])
    #expect(SessionInstruction.completeNotAssessable.signals == [.notAssessable])
    #expect(SessionInstruction.incomplete(.saveFailed, savedViews: 0).signals == [.nothingSaved])
    #expect(SessionInstruction.incomplete(.saveFailed, savedViews: 1).signals == [.incomplete])
    #expect(SessionInstruction.refused(.storageFull).signals == [.full])
  }
}
