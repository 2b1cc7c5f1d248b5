import Identification
import Provenance

/// The guided session as a value: events and times in, actions out, no I/O.
///
///     idle --patient's tag--> [operator] --> [questions] --> [rest] --> position --> averaging --> assessing
///       ^                                                                  ^                           |
///       |                                            retake or next view --+-- saved <-- saving <------+
///       +------- close (complete, or incomplete with a reason) <-----------+
///
/// A session belongs to one `PatientReference` from its first tag to its end. Every thermogram is asked for under a
/// fresh capture id, and an answer under another id is nobody's: it is dropped. Whatever casts doubt on who stands
/// before the camera - another patient's tag, two tags at once, a restart - ends the session or asks for its own tag
/// again. So nothing is attributed to the wrong patient.
package struct SessionMachine: Sendable {
  package internal(set) var phase = SessionPhase.idle
  /// For sessions that open from now on.
  package var rules: SessionRules

  var session: OpenSession?
  var cameraIsLost = false
  var storageIsFull = false
  /// Until when a patient's tag is waited for, because somebody far away asked for a capture.
  var awaitedUntilNanoseconds: UInt64?
  /// Who may ask to be called by a long press, and until when. One presentation asks once.
  var caller: (reference: PatientReference, untilNanoseconds: UInt64)?
  /// An operator's tag that was presented before the patient's.
  var waitingOperator: (reference: PatientReference, untilNanoseconds: UInt64)?

  package init(rules: SessionRules) {
    self.rules = rules
  }

  /// The patient of the open session.
  package var patient: PatientReference? { session?.patient }
  /// What the same patient was called under the version before.
  package var formerPatient: PatientReference? { session?.formerPatient }
  // Not inlined: Swift 6.3.1 breaks off ("Found outside of lifetime use") when it optimises this in an actor's async
  // function.
  @inline(never) package var sessionID: RandomIdentifier? { session?.id }
  /// The operator who signed the open session.
  @inline(never) package var signedBy: PatientReference? { session?.signedBy }
  /// A tag is waited for and no session is open.
  @inline(never) package var isAwaited: Bool { awaitedUntilNanoseconds != nil }
  /// Nobody is before the device, and nobody is waited for.
  @inline(never) package var isIdle: Bool { phase == .idle && !isAwaited }
  /// Somebody has taken the device out of service for an update of the program.
  @inline(never) package var isHeld: Bool { if case .held = phase { true } else { false } }
  @inline(never) package var isSessionOpen: Bool { session != nil }
  /// The view under way; nil without a session and when all views are done.
  package var view: CaptureView? { session?.view }
  /// Attempts begun at that view.
  package var attempt: Int { session?.attempt ?? 0 }
  package var savedViews: [CaptureView] { session?.savedViews ?? [] }
  package var isCameraLost: Bool { cameraIsLost }
  /// New sessions are refused.
  package var isStorageFull: Bool { storageIsFull }

  /// When `timePassed` has something to do; nil while nothing waits for time.
  package var nextDeadlineNanoseconds: UInt64? {
    switch phase {
    case .idle: awaitedUntilNanoseconds
    case .acclimatising(let rest): rest.deadline(isSettled: session?.skinIsSettled)
    case .maintenance(let until), .held(let until), .awaitingOperator(let until), .confirming(let until),
      .asking(_, let until),
      .awaitingPatient(let until), .positioning(let until), .awaitingCamera(let until), .averaging(_, let until),
      .assessing(_, let until), .saving(_, let until):
      until
    }
  }

  /// Takes one event at `now` (monotonic nanoseconds, never less than before) and answers what to do, in order.
  ///
  /// What was due before the event is done first.
  package mutating func handle(
    _ event: SessionEvent, atNanoseconds now: UInt64, using generator: inout some RandomNumberGenerator
  ) -> [SessionAction] {
    var step = SessionStep(now: now)
    // Each deadline leads to a phase with a later one or to none; eight covers every chain there is.
    for _ in 0..<8 {
      guard let deadline = nextDeadlineNanoseconds, deadline <= now else { break }
      deadlinePassed(&step, using: &generator)
    }
    take(event, &step, using: &generator)
    if case .asking = phase, step.hasRefused {
      // While the refusal is told the question is not to be seen.
      session?.answersCountFrom = now.after(
        seconds: SessionRules.refusalShownSeconds + SessionRules.questionShownSeconds)
    }
    return step.actions
  }

  private mutating func take(
    _ event: SessionEvent, _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    switch event {
    case .tagPresented(let tag): present(tag, &step, using: &generator)
    case .requested(let tag): awaitTag(tag, &step)
    case .tagRemoved: tagRemoved(&step)
    case .tagsAmbiguous: tagsAmbiguous(&step)
    case .tagUnreadable: step.refuse(.unreadableTag)
    case .button(.short): signGiven(yes: false, &step, using: &generator)
    case .button(.long): hold(&step)
    case .cancelled: end(.cancelled, &step)
    case .answerWaiting(let tag, let word): tell(tag, word, &step, using: &generator)
    case .answer(let yes): answer(yes, &step, using: &generator)
    case .skipRest:
      if case .acclimatising(let rest) = phase { endRest(rest, &step, using: &generator) }
    case .skinDrift(let celsiusPerMinute): skinDrift(celsiusPerMinute, &step, using: &generator)
    case .averaged(let captureID): averaged(captureID, &step)
    case .assessed(let captureID, let gates): assessed(captureID, gates, &step)
    case .saved(let captureID): saved(captureID, &step, using: &generator)
    case .saveFailed(let captureID, let full): saveFailed(captureID, storageFull: full, &step)
    case .cameraLost:
      lost(&step)
      // A tag would be of no use: the light must not ask for one.
      stopAwaiting(&step)
    case .cameraReturned: returned(&step, using: &generator)
    case .storageFull:
      storageIsFull = true
      stopAwaiting(&step)
    case .storageFree: storageIsFull = false
    case .interruptedSessionFound(let checkpoint, let age): resume(checkpoint, ageSeconds: age, &step)
    case .stopping: close(.incomplete(.shutdown), &step)
    case .held(let seconds): hold(seconds: seconds, &step)
    case .released: endHold(&step)
    case .timePassed: break
    }
  }

  private mutating func deadlinePassed(
    _ step: inout SessionStep, using generator: inout some RandomNumberGenerator
  ) {
    switch phase {
    case .idle:
      stopAwaiting(&step)
    case .maintenance:
      endMaintenance(&step)
    case .held:
      endHold(&step)
    case .awaitingOperator, .confirming, .asking:
      close(.incomplete(.abandoned), &step)
    case .awaitingPatient:
      close(.incomplete(session?.wasInterrupted == true ? .interrupted : .abandoned), &step)
    case .acclimatising(let rest):
      endRest(rest, &step, using: &generator)
    case .positioning:
      if session?.rules.viewStart == .timer {
        startView(&step, using: &generator)
      } else {
        close(.incomplete(.abandoned), &step)
      }
    case .awaitingCamera:
      close(.incomplete(.cameraLost), &step)
    case .averaging(let captureID, _):
      averagingTimedOut(captureID, &step)
    case .assessing, .saving:
      close(.incomplete(.saveFailed), &step)
    }
  }

  /// Ends the open session for `reason`, after the capture that is complete and not yet saved, if there is one.
  mutating func end(_ reason: SessionSummary.IncompleteReason, _ step: inout SessionStep) {
    switch phase {
    case .assessing, .saving: session?.endsAfterSave = reason
    default: close(.incomplete(reason), &step)
    }
  }

  /// Ends the open session, if there is one: cancels what is under way and shows why.
  mutating func close(_ outcome: SessionSummary.Outcome, _ step: inout SessionStep) {
    guard let session else { return }
    if case .averaging(let captureID, _) = phase { step.actions.append(.cancelAveraging(captureID: captureID)) }
    let summary = session.summary(outcome)
    step.actions.append(.close(summary))
    step.show(SessionInstruction(endOf: summary))
    self.session = nil
    phase = .idle
    step.show(.ready)
  }
}

/// Where a session is. `until` is when the phase ends by itself, in monotonic nanoseconds.
package enum SessionPhase: Sendable, Equatable {
  case idle
  case maintenance(until: UInt64)
  /// The program is being updated: a tag is refused, and no session opens.
  case held(until: UInt64)
  case awaitingOperator(until: UInt64)
  /// An unknown tag waits for a go-ahead.
  case confirming(until: UInt64)
  case asking(question: Int, until: UInt64)
  case acclimatising(SessionRest)
  /// Only the session's own tag goes on from here.
  case awaitingPatient(until: UInt64)
  case positioning(until: UInt64)
  case awaitingCamera(until: UInt64)
  case averaging(captureID: RandomIdentifier, until: UInt64)
  case assessing(captureID: RandomIdentifier, until: UInt64)
  case saving(captureID: RandomIdentifier, until: UInt64)
}

/// A rest under way: its times in monotonic nanoseconds.
package struct SessionRest: Sendable, Equatable {
  package var since: UInt64
  var earliest: UInt64
  package var nominal: UInt64
  var latest: UInt64

  init(rules: SessionRules, now: UInt64) {
    let nominalSeconds = rules.acclimatisationSeconds
    since = now
    nominal = now.after(seconds: nominalSeconds)
    earliest = now.after(seconds: min(rules.acclimatisationMinimumSeconds, nominalSeconds))
    latest = now.after(seconds: max(rules.acclimatisationMaximumSeconds, nominalSeconds))
  }

  /// When the rest ends: early where the skin was measured and is settled, late where it is not, else on time.
  func deadline(isSettled: Bool?) -> UInt64 {
    switch isSettled {
    case true: earliest
    case false: latest
    case nil: nominal
    }
  }
}

/// The session that is open, beside the phase it is in.
struct OpenSession: Sendable {
  var id: RandomIdentifier
  var patient: PatientReference
  var patientVersion: PatientReference.Version?
  var formerPatient: PatientReference?
  var rules: SessionRules
  var signedBy: PatientReference?
  var answers: [SessionAnswer] = []
  var consent: Set<Roster.Consent>?
  /// nil until a drift was measured.
  var skinIsSettled: Bool?
  var restMissingSeconds = 0
  var savedViews: [CaptureView] = []
  var viewIndex = 0
  /// Attempts begun at the present view.
  var attempt = 0
  /// Attempts that do not count against the retakes: the camera or a restart spoilt them, not the patient.
  var forgivenAttempts = 0
  /// What the gates said of the capture that is being saved: the sentences, if another attempt can correct them.
  var retakeReasons: [String] = []
  /// Set while a capture is being saved: the session ends, for this reason, when it is.
  var endsAfterSave: SessionSummary.IncompleteReason?
  /// Somebody else's tag was seen too: the session's own is asked for before the next view.
  var needsOwnTagBeforeView = false
  var wasInterrupted = false
  /// A tag or a press answers the pending question from here on, in monotonic nanoseconds.
  var answersCountFrom: UInt64 = 0
  /// Of the capture that is being saved: no hard gate failed.
  var isAssessable = true
  var notAssessableViews: [CaptureView] = []

  /// The view under way; nil when all are done.
  var view: CaptureView? { rules.views.indices.contains(viewIndex) ? rules.views[viewIndex] : nil }

  /// What was begun under the reference of the version before goes on under the present one.
  mutating func rename(to tag: KnownTag) {
    (patient, patientVersion, formerPatient) = (tag.reference, tag.version, tag.former)
  }

  var hasRetakesLeft: Bool { attempt - forgivenAttempts <= rules.retakesPerView }

  var checkpoint: SessionCheckpoint {
    SessionCheckpoint(
      sessionID: id, patient: patient.text, signedBy: signedBy?.text, views: rules.views, savedViews: savedViews,
      viewIndex: viewIndex, attempt: attempt, answers: answers,
      notAssessableViews: notAssessableViews.isEmpty ? nil : notAssessableViews)
  }

  func summary(_ outcome: SessionSummary.Outcome) -> SessionSummary {
    SessionSummary(
      sessionID: id, patient: patient, signedBy: signedBy, outcome: outcome, savedViews: savedViews, answers: answers,
      notAssessableViews: notAssessableViews)
  }
}

/// The actions of one event, as they are gathered.
struct SessionStep {
  let now: UInt64
  var actions: [SessionAction] = []

  init(now: UInt64) {
    self.now = now
  }

  mutating func show(_ instruction: SessionInstruction) {
    actions.append(.show(instruction))
  }

  var hasRefused: Bool {
    actions.contains { if case .refuse = $0 { true } else { false } }
  }

  mutating func refuse(_ refusal: SessionRefusal) {
    actions.append(.refuse(refusal))
    show(.refused(refusal))
  }
}

extension UInt64 {
  /// So many seconds later, in nanoseconds. Negative is now.
  func after(seconds: Int) -> UInt64 { self + UInt64(Swift.max(seconds, 0)) * 1_000_000_000 }
}
