import Identification
import Provenance
import Screening

// A session that somebody at the control socket asks for and watches.
extension SessionControl {
  /// How often a watcher is told of a change.
  private static let progressPeriod = Duration.milliseconds(200)

  /// Begins a session and tells of its changes until it is over.
  ///
  /// - Parameter progress: false when nobody listens any more; the session goes on.
  func capture(_ patient: String, progress: @Sendable (CaptureProgress) -> Bool) async throws {
    guard let reference = PatientReference(patient) else {
      throw ControlRefusal("'\(patient)' is no pseudonym and no roster's id; a name is never one")
    }
    let opened: RandomIdentifier
    switch await requestCapture(of: reference) {
    case .refused(let reason): throw ControlRefusal(reason)
    case .accepted(let sessionID): opened = sessionID
    case .waiting, .held: throw ControlRefusal("no session was opened")
    }
    var told: CaptureProgress?
    while true {
      let snapshot = self.snapshot
      if let end = end(of: opened) {
        _ = progress(CaptureProgress(end))
        return
      }
      // Only a session of long ago is neither open nor among the ends.
      guard snapshot.sessionID == opened else {
        throw ControlRefusal("how the session ended is no longer known; see 'thermograph session list'")
      }
      let present = CaptureProgress(
        state: snapshot.state.rawValue, sentence: snapshot.sentence, framesAveraged: snapshot.framesAveraged,
        framesWanted: snapshot.framesWanted, savedViews: snapshot.savedViews.map(\.rawValue))
      if present != told, !progress(present) { return }
      told = present
      try await Task.sleep(for: Self.progressPeriod)
    }
  }
}

extension CaptureProgress {
  /// The last line: how the session ended.
  fileprivate init(_ end: SessionControl.End) {
    self.init(
      state: SessionSnapshot.State.idle.rawValue, sentence: end.sentence,
      savedViews: end.summary.savedViews.map(\.rawValue), isOver: true)
    switch end.summary.outcome {
    case .complete: isComplete = true
    case .incomplete(let why): (isComplete, reason) = (false, why.rawValue)
    }
  }
}
