import FoundationEssentials
import Provenance
import Screening

/// The sessions that an outbox still holds something of, put together from their records, their closing events and what was
/// corrected since.
package struct SessionHistory: Sendable {
  package struct Entry: Sendable, Equatable, Codable {
    package var sessionID: RandomIdentifier
    /// To whom it belongs now.
    package var patientRef: String
    /// What its records say, where that is somebody else: it was started under another tag.
    package var recordedRef: String?
    /// nil: it is not.
    package var isWithdrawn: Bool?
    /// What was corrected of this session, oldest first; nil where nothing was.
    package var corrections: [CorrectionMessage]?
    package var signedBy: String?
    /// RFC 3339 of the first capture, or of the end where nothing was captured.
    package var at: String
    /// nil: the session is open, or its closing event is no longer in the outbox.
    package var isComplete: Bool?
    package var reason: String?
    package var answers: [SessionAnswer]?
    /// In the order in which they were stored.
    package var captures: [Capture] = []

    private enum CodingKeys: String, CodingKey {
      case at, reason, answers, captures, corrections
      case sessionID = "session_id"
      case patientRef = "patient_ref"
      case recordedRef = "recorded_ref"
      case isWithdrawn = "withdrawn"
      case signedBy = "signed_by"
      case isComplete = "complete"
    }
  }

  package struct Capture: Sendable, Equatable, Codable {
    package var captureID: RandomIdentifier
    package var sequence: Int64
    package var at: String
    package var view: CaptureView
    package var attempt: Int
    /// Codes of the gates that it did not pass.
    package var failedGates: [QualityGate.Code]
    /// nil where the model is a demonstration: its outcome is shown to nobody who could take it for more.
    package var outcome: Verdict.Outcome?
    /// Unlike this person's earlier pictures; nil where it is not, or there are too few of them.
    package var isUnlikeEarlier: Bool?

    private enum CodingKeys: String, CodingKey {
      case sequence, at, view, attempt, outcome
      case captureID = "capture_id"
      case failedGates = "failed_gates"
      case isUnlikeEarlier = "unlike_earlier"
    }
  }

  /// In the order in which their first message was stored, as they were recorded.
  private var recorded: [Entry] = []
  private var corrections: [CorrectionMessage] = []

  /// In the order in which their first message was stored, by what holds now.
  package var entries: [Entry] {
    guard !corrections.isEmpty else { return recorded }
    let log = CorrectionLog(corrections)
    return recorded.map { entry in
      var entry = entry
      let present = log.patient(of: entry.sessionID, recorded: entry.patientRef)
      if present != entry.patientRef { (entry.recordedRef, entry.patientRef) = (entry.patientRef, present) }
      if log.isWithdrawn(entry.sessionID) { entry.isWithdrawn = true }
      let own = log.messages(of: entry.sessionID)
      if !own.isEmpty { entry.corrections = own }
      return entry
    }
  }

  package init() {}

  package mutating func add(_ record: CaptureRecord) {
    let index = place(of: record.sessionID, patientRef: record.patientRef, at: record.capturedAt.utc)
    if recorded[index].captures.isEmpty { recorded[index].at = record.capturedAt.utc }
    recorded[index].signedBy = record.signedBy ?? recorded[index].signedBy
    recorded[index].answers = record.answers ?? recorded[index].answers
    recorded[index].captures.append(
      Capture(
        captureID: record.captureID, sequence: record.sequence, at: record.capturedAt.utc, view: record.view,
        attempt: record.attempt, failedGates: record.gates.filter { !$0.passed }.map(\.code),
        outcome: record.verdict.demonstration ? nil : record.verdict.outcome,
        isUnlikeEarlier: record.verdict.changeSinceBaseline?.isUnlikeEarlier == true ? true : nil))
  }

  /// Events of other kinds change nothing.
  package mutating func add(_ message: SessionMessage) {
    guard message.kind == .sessionClosed, let session = message.sessionID, let patient = message.patientRef else {
      return
    }
    let index = place(of: session, patientRef: patient, at: message.at)
    recorded[index].isComplete = message.isComplete
    recorded[index].reason = message.reason
    recorded[index].signedBy = message.signedBy ?? recorded[index].signedBy
    recorded[index].answers = message.answers ?? recorded[index].answers
  }

  /// Its place among the other messages does not matter.
  package mutating func add(_ correction: CorrectionMessage) { corrections.append(correction) }

  private var indices: [RandomIdentifier: Int] = [:]

  private mutating func place(of session: RandomIdentifier, patientRef: String, at: String) -> Int {
    if let index = indices[session] { return index }
    indices[session] = recorded.count
    recorded.append(Entry(sessionID: session, patientRef: patientRef, at: at))
    return recorded.count - 1
  }
}
