import Identification
import Provenance

/// What an open session adds to the assessment of each of its captures: the view, the scores of the views before it, and
/// the patient's own past.
package struct SessionComparison {
  private var sessionID: RandomIdentifier?
  private var view = CaptureView.frontal
  private var scores = SessionScores()
  private var past: Task<[EarlierCapture], Never>?

  package init() {}

  /// A capture begins. The past is looked up while the frames are averaged, so that no verdict waits for the disk.
  package mutating func begin(
    _ view: CaptureView, sessionID: RandomIdentifier?, patient: PatientReference?,
    past lookUp: @escaping @Sendable (PatientReference) async -> [EarlierCapture]
  ) {
    if sessionID != self.sessionID {
      self = SessionComparison()
      self.sessionID = sessionID
    }
    self.view = view
    if past == nil, let patient { past = Task { await lookUp(patient) } }
  }

  package func context() async -> CaptureContext {
    let earlier = await past?.value ?? []
    return CaptureContext(
      view: view, sessionScores: scores, baseline: PatientBaseline(earlier, view: view, excluding: sessionID))
  }

  package mutating func add(_ verdict: Verdict) {
    scores.add(verdict, view: view)
  }
}
