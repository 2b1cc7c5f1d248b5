import Identification
import Provenance
import Screening
import Testing

@Suite("Guided session under random events")
struct SessionAttributionTests {
  /// Whatever happens in whatever order: a capture is saved once, for the patient whose session asked for it, and only
  /// if nobody else's tag came while it was being measured; one session is open at a time; and every one is closed.
  @Test func nothingIsEverAttributedToTheWrongPatient() {
    var generator = SeededGenerator(seed: 2026)
    var savedCount = 0
    var closedCount = 0
    for _ in 0..<300 {
      var run = SessionRun { rules in
        rules.acclimatisationSeconds = [0, 30].randomElement(using: &generator) ?? 0
        rules.acclimatisationMinimumSeconds = 10
        rules.views = [[.frontal], [.frontal, .leftOblique, .rightOblique]].randomElement(using: &generator) ?? []
        rules.viewStart = [.timer, .timer, .sign].randomElement(using: &generator) ?? .sign
        rules.positionSeconds = [0, 5].randomElement(using: &generator) ?? 0
        rules.requiresOperator = Int.random(in: 0..<4, using: &generator) == 0
        rules.tagMustStay = Int.random(in: 0..<4, using: &generator) == 0
        rules.unknownTags = UnknownTagPolicy.allCases.randomElement(using: &generator) ?? .ask
        rules.questions = Bool.random(using: &generator) ? [] : [.init(code: "q", sentence: "?")]
      }
      var audit = Audit()
      for _ in 0..<200 {
        // Half the time what a session needs next, so that captures do come about.
        let happening = Bool.random(using: &generator) ? helpful(run, &generator) : disturbing(&generator)
        let before = run.machine.patient
        let words = run.after([0, 0, 1, 3, 20].randomElement(using: &generator) ?? 0, happening)
        audit.note(happening, run, words, before)
        guard audit.fault == nil else {
          Issue.record("\(audit.fault ?? "")")
          return
        }
      }
      _ = run.after(100_000)
      #expect(run.machine.patient == nil)
      savedCount += run.attributions.count
      closedCount += run.summaries.count
      #expect(Set(run.attributions.map(\.captureID)).count == run.attributions.count)
    }
    // The walk reaches what it is to test.
    #expect(savedCount > 1000)
    #expect(closedCount > 1000)
  }

  /// Follows one run from outside, with rules of its own.
  private struct Audit {
    /// Whose capture is being measured, by its id, as seen when it was asked for.
    private var measured: [RandomIdentifier: PatientReference] = [:]
    private var spoilt: Set<RandomIdentifier> = []
    private var attributionCount = 0
    var fault: String?

    mutating func note(
      _ happening: SessionRun.Happening, _ run: SessionRun, _ words: [String], _ before: PatientReference?
    ) {
      if words.contains(where: { $0.hasPrefix("average ") }), let id = run.captureID, let patient = run.machine.patient
      {
        if measured[id] == nil { measured[id] = patient }
      }
      for attribution in run.attributions.dropFirst(attributionCount) {
        if measured[attribution.captureID] != attribution.patient { fault = "saved for somebody else: \(attribution)" }
        if spoilt.contains(attribution.captureID) { fault = "saved although another tag came: \(attribution)" }
        if run.attributions.filter({ $0.captureID == attribution.captureID }).count != 1 { fault = "saved twice" }
      }
      attributionCount = run.attributions.count
      if case .averaging(let id, _) = run.machine.phase, measured[id] != run.machine.patient {
        fault = "measuring for somebody else"
      }
      // A doubt that comes while a capture is being measured must have ended it.
      if case .averaging(let id, _) = run.machine.phase {
        switch happening {
        case .tag(let tag) where tag.role == .patient && tag.reference != before && before != nil: spoilt.insert(id)
        case .ambiguous where before != nil && !words.contains { $0.hasPrefix("average ") }: spoilt.insert(id)
        default: break
        }
      }
    }
  }

  private func helpful(_ run: SessionRun, _ generator: inout SeededGenerator) -> SessionRun.Happening {
    switch run.machine.phase {
    case .idle: .tag(Bool.random(using: &generator) ? SessionRun.ann : SessionRun.bea)
    case .awaitingOperator: .tag(SessionRun.nurse)
    case .confirming, .asking: .yes
    case .awaitingPatient:
      .tag(KnownTag(reference: run.machine.patient ?? SessionRun.ann.reference))
    case .positioning: .press
    case .awaitingCamera: .cameraReturned
    case .averaging: .averaged
    case .assessing: Bool.random(using: &generator) ? .passed : .failed(.motion)
    case .saving: .saved
    case .acclimatising: .drift(0.01)
    case .maintenance: .tag(SessionRun.fitter)
    case .held: .updateOver
    }
  }

  private func disturbing(_ generator: inout SeededGenerator) -> SessionRun.Happening {
    let all: [SessionRun.Happening] = [
      .tag(SessionRun.ann), .tag(SessionRun.bea), .tag(SessionRun.stranger), .tag(SessionRun.nurse),
      .tag(SessionRun.fitter), .removed, .ambiguous, .unreadable, .press, .hold, .yes, .no, .skip, .drift(0.5),
      .averaged, .passed, .failed(.clothed), .saved, .saveFailed, .diskFull, .cameraLost, .cameraReturned,
      .storageFull, .storageFree, .stopping, .cameraReturned, .storageFree, .pass,
      .updateHeld(seconds: 30), .updateOver,
    ]
    return all.randomElement(using: &generator) ?? .pass
  }
}
