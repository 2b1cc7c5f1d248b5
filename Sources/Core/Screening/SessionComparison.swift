import Identification
import Provenance

/// What an open session adds to the assessment of each of its captures: the view, the scores of the views before it, and
/// the patient's own past.
package struct SessionComparison {
  private var sessionID: RandomIdentifier?
  private var view = CaptureView.frontal
  private var scores = SessionScores()
  private var past: Task<PatientPast, Never>?

  package init() {}

  /// A capture begins. The past is looked up while the frames are averaged, so that no verdict waits for the disk.
  package mutating func begin(
    _ view: CaptureView, sessionID: RandomIdentifier?, patient: PatientReference?, former: PatientReference? = nil,
    past lookUp: @escaping @Sendable (PatientReference, _ former: PatientReference?) async -> PatientPast
  ) {
    if sessionID != self.sessionID {
      self = SessionComparison()
      self.sessionID = sessionID
    }
    self.view = view
    if past == nil, let patient { past = Task { await lookUp(patient, former) } }
  }

  package func context() async -> CaptureContext {
    let earlier = await past?.value.captures ?? []
    return CaptureContext(
      view: view, sessionScores: scores, baseline: PatientBaseline(earlier, view: view, excluding: sessionID))
  }

  /// Whether the far side knows this patient by the former reference only, as far as this device can tell.
  package func formerReferenceIsNews() async -> Bool { await past?.value.isUnderFormerReferenceOnly ?? false }

  package mutating func add(_ verdict: Verdict) {
    scores.add(verdict, view: view)
  }
}

/// What the device still holds of one patient's earlier captures.
package struct PatientPast: Sendable {
  package var captures: [EarlierCapture]
  /// Records stand under the reference of the version before, and none under the present one.
  package var isUnderFormerReferenceOnly: Bool

  package init(captures: [EarlierCapture] = [], isUnderFormerReferenceOnly: Bool = false) {
    self.captures = captures
    self.isUnderFormerReferenceOnly = isUnderFormerReferenceOnly
  }
}
