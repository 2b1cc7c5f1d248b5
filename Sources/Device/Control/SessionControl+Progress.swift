import Identification
import Provenance

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
    }
    var told: CaptureProgress?
    var saved: [String] = []
    while true {
      let snapshot = self.snapshot
      let isOver = snapshot.sessionID != opened
      if !isOver { saved = snapshot.savedViews.map(\.rawValue) }
      let present = CaptureProgress(
        state: snapshot.state.rawValue, sentence: snapshot.sentence, framesAveraged: snapshot.framesAveraged,
        framesWanted: snapshot.framesWanted, savedViews: saved, isOver: isOver)
      if present != told, !progress(present) { return }
      told = present
      if isOver { return }
      try await Task.sleep(for: Self.progressPeriod)
    }
  }
}
