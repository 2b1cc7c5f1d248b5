import Identification
import Panel
import Provenance

/// What happens to a guided session. Times are given beside the event: monotonic nanoseconds that never decrease.
package enum SessionEvent: Sendable {
  /// A confirmed presentation; see `PresentationConfirmer`.
  case tagPresented(KnownTag)
  /// A patient's tag was presented while nobody was before the device, and the clinic's word for them waits.
  case answerWaiting(KnownTag, ClinicWord)
  /// Somebody far away asks for a capture of this patient: the device waits for the tag, and nothing more.
  case requested(KnownTag)
  /// The tag that was presented is no longer heard.
  case tagRemoved
  /// More than one tag is in the field.
  case tagsAmbiguous
  /// A presentation that names nobody: blank, random, or a lone suspect frame.
  case tagUnreadable
  /// The button, short or held. Held just after the patient's tag it asks for a call, else it ends the session.
  case button(ButtonDebouncer.Press)
  /// The session is ended at the terminal.
  case cancelled
  /// An answer to the pending question, or the go-ahead for an unknown tag, given at the terminal.
  case answer(Bool)
  /// The operator ends the rest at the terminal. The record says how much of it was missing.
  case skipRest
  /// The subject's skin temperature changes so fast, degC a minute.
  case skinDrift(celsiusPerMinute: Double)
  /// The camera delivered the thermogram that was asked for under this id.
  case averaged(captureID: RandomIdentifier)
  /// The gates of that thermogram.
  case assessed(captureID: RandomIdentifier, gates: [QualityGate])
  /// The capture is durable.
  case saved(captureID: RandomIdentifier)
  case saveFailed(captureID: RandomIdentifier, storageFull: Bool)
  case cameraLost
  case cameraReturned
  case storageFull
  case storageFree
  /// Found at the start: a session that a restart interrupted. `ageSeconds` is nil when the clocks do not tell.
  case interruptedSessionFound(SessionCheckpoint, ageSeconds: Int?)
  /// The device is shutting down.
  case stopping
  /// The program is to be updated: nobody is taken for so long, or until `released`. Ignored while somebody is before the
  /// device.
  case held(seconds: Int)
  case released
  /// Nothing but time; due at `nextDeadlineNanoseconds`.
  case timePassed
}

/// What the owner of the machine does next, in this order.
package enum SessionAction: Sendable, Equatable {
  /// Lights, sound, and at a terminal the sentence.
  case show(SessionInstruction)
  /// Make this durable before anything that follows; `close` makes it void.
  case checkpoint(SessionCheckpoint)
  case startAveraging(captureID: RandomIdentifier, view: CaptureView, attempt: Int)
  case cancelAveraging(captureID: RandomIdentifier)
  /// Work out gates and verdict. `restMissingSeconds` is the acclimatisation gate's value.
  case assess(captureID: RandomIdentifier, restMissingSeconds: Int)
  /// Store record and images for this patient and nobody else.
  case save(CaptureAttribution)
  /// The session is over.
  case close(SessionSummary)
  /// A tag changed nothing, and why; for the audit trail.
  case refuse(SessionRefusal)
  case openMaintenance(technician: PatientReference)
  case closeMaintenance
  /// The patient asks to be called: write it down, and only then show `.callNoted`.
  case requestCall(PatientReference, sessionID: RandomIdentifier?)
}

/// What the clinic tells a patient through the device. The answer itself is never among it.
package enum ClinicWord: String, Sendable, Hashable, CaseIterable, Codable {
  /// There is an answer; the same word for every one.
  case answered
  /// New pictures are asked for.
  case repeatRequested = "repeat-requested"
}

/// Whose capture it is: everything in a record that says so.
package struct CaptureAttribution: Sendable, Hashable {
  package var captureID: RandomIdentifier
  package var sessionID: RandomIdentifier
  package var patient: PatientReference
  package var patientVersion: PatientReference.Version?
  package var formerPatient: PatientReference?
  package var signedBy: PatientReference?
  package var view: CaptureView
  /// From 1, within the session and view.
  package var attempt: Int
  /// Answers to the questions by their codes, in order.
  package var answers: [SessionAnswer]
  /// What the patient agreed to; nil where no roster says so.
  package var consent: Set<Roster.Consent>?
}

/// What is written down while a session is open, so that a power cut closes it honestly.
package struct SessionCheckpoint: Sendable, Hashable, Codable {
  package var sessionID: RandomIdentifier
  /// The pseudonym's text.
  package var patient: String
  package var signedBy: String?
  package var views: [CaptureView]
  package var savedViews: [CaptureView]
  /// The view under way and the attempts begun at it.
  package var viewIndex: Int
  package var attempt: Int
  package var answers: [SessionAnswer]
  /// Saved views that cannot be assessed; nil in what an earlier version wrote.
  package var notAssessableViews: [CaptureView]?

  package init(
    sessionID: RandomIdentifier, patient: String, signedBy: String?, views: [CaptureView], savedViews: [CaptureView],
    viewIndex: Int, attempt: Int, answers: [SessionAnswer] = [], notAssessableViews: [CaptureView]? = nil
  ) {
    self.sessionID = sessionID
    self.patient = patient
    self.signedBy = signedBy
    self.views = views
    self.savedViews = savedViews
    self.viewIndex = viewIndex
    self.attempt = attempt
    self.answers = answers
    self.notAssessableViews = notAssessableViews
  }

  private enum CodingKeys: String, CodingKey {
    case notAssessableViews = "not_assessable_views"
    case sessionID = "session_id"
    case patient = "patient_ref"
    case signedBy = "signed_by"
    case views
    case savedViews = "saved_views"
    case viewIndex = "view_index"
    case attempt, answers
  }
}

/// How a session ended.
package struct SessionSummary: Sendable, Hashable {
  package enum Outcome: Sendable, Hashable {
    /// Every view has a saved capture, assessable or not.
    case complete
    case incomplete(IncompleteReason)
  }

  package enum IncompleteReason: String, Sendable, Hashable, CaseIterable {
    case cancelled
    /// Nobody did what was asked in time.
    case abandoned
    case anotherPatient = "another-patient"
    case cameraLost = "camera-lost"
    case captureTimeout = "capture-timeout"
    case storageFull = "storage-full"
    case saveFailed = "save-failed"
    /// A restart in the midst of it, and the patient's tag did not come again in time.
    case interrupted
    case shutdown
  }

  package var sessionID: RandomIdentifier
  package var patient: PatientReference
  package var signedBy: PatientReference?
  package var outcome: Outcome
  package var savedViews: [CaptureView]
  /// Answers to the questions by their codes, in order.
  package var answers: [SessionAnswer]
  /// Saved views of which no attempt was good enough to be assessed.
  package var notAssessableViews: [CaptureView] = []
}

package struct SessionAnswer: Sendable, Hashable, Codable {
  package var code: String
  package var yes: Bool

  package init(code: String, yes: Bool) {
    self.code = code
    self.yes = yes
  }
}

/// Why a tag, or the device, did not begin or go on with a session.
package enum SessionRefusal: String, Sendable, Hashable, CaseIterable {
  case unreadableTag = "unreadable-tag"
  case ambiguousTags = "ambiguous-tags"
  case unknownTag = "unknown-tag"
  /// The roster does not say that this patient agreed to be captured.
  case noConsent = "no-consent"
  /// Another patient's tag in mid-session: that session is closed, and this patient begins by tapping again.
  case sessionOfAnotherPatient = "session-of-another-patient"
  case sessionUnderWay = "session-under-way"
  case maintenance
  case cameraLost = "camera-lost"
  case storageFull = "storage-full"
}

/// What the device tells the person before it.
package enum SessionInstruction: Sendable, Hashable {
  case ready
  case maintenance
  case refused(SessionRefusal)
  case presentOperatorTag
  case confirmUnknownTag
  case question(SessionRules.Question)
  case rest(seconds: Int)
  case takePosition(CaptureView)
  case holdStill(CaptureView)
  /// With the sentences of the gates that failed.
  case retake(CaptureView, reasons: [String])
  case working
  case saved(CaptureView)
  /// Saved, and the attempts are used up: it cannot be assessed.
  case savedNotAssessable(CaptureView)
  case complete
  /// Every view is saved, and not every one can be assessed.
  case completeNotAssessable
  case incomplete(SessionSummary.IncompleteReason, savedViews: Int)
  /// The session goes on when its own patient's tag is presented again.
  case presentOwnTag
  case waitForCamera
  /// What the clinic has for the patient whose tag was presented.
  case clinic(ClinicWord)
  /// It is on disk that the patient asks to be called.
  case callNoted
  /// It could not be written down.
  case callFailed

  /// The lights and sounds that say it, in their order. What asks for something else looks different.
  package var signals: [PanelSignal] {
    switch self {
    case .ready: [.ready]
    case .maintenance: [.maintenance]
    case .refused(let refusal): [refusal.signal]
    case .presentOperatorTag: [.operatorTag]
    case .confirmUnknownTag: [.confirm]
    case .question: [.question]
    case .presentOwnTag: [.ownTag]
    case .rest: [.acclimatising]
    case .takePosition(let view): [view.positionSignal]
    case .holdStill: [.capturing]
    case .retake(let view, _): [.retake, view.positionSignal]
    case .working, .waitForCamera: [.working]
    case .saved, .complete: [.saved]
    case .clinic(.answered): [.askClinic]
    case .clinic(.repeatRequested): [.pleaseRepeat]
    case .callNoted: [.callNoted]
    case .callFailed: [.notNow]
    case .savedNotAssessable, .completeNotAssessable: [.notAssessable]
    case .incomplete(_, let savedViews): [savedViews > 0 ? .incomplete : .nothingSaved]
    }
  }
}

extension SessionRefusal {
  fileprivate var signal: PanelSignal {
    switch self {
    case .cameraLost: .unable
    case .storageFull: .full
    case .unknownTag, .noConsent: .tagUnknown
    case .sessionUnderWay, .maintenance: .notNow
    case .unreadableTag, .ambiguousTags, .sessionOfAnotherPatient: .tagRefused
    }
  }
}

extension CaptureView {
  fileprivate var positionSignal: PanelSignal {
    switch self {
    case .frontal: .position
    case .leftOblique: .positionLeftOblique
    case .rightOblique: .positionRightOblique
    case .leftLateral: .positionLeftLateral
    case .rightLateral: .positionRightLateral
    }
  }
}
