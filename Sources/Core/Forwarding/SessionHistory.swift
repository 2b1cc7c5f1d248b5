import FoundationEssentials
import Provenance
import Screening

/// The sessions that an outbox still holds something of, put together from their records and their closing events.
package struct SessionHistory: Sendable {
  package struct Entry: Sendable, Equatable, Codable {
    package var sessionID: RandomIdentifier
    package var patientRef: String
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
      case at, reason, answers, captures
      case sessionID = "session_id"
      case patientRef = "patient_ref"
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

    private enum CodingKeys: String, CodingKey {
      case sequence, at, view, attempt, outcome
      case captureID = "capture_id"
      case failedGates = "failed_gates"
    }
  }

  /// In the order in which their first message was stored.
  package private(set) var entries: [Entry] = []

  package init() {}

  package mutating func add(_ record: CaptureRecord) {
    let index = place(of: record.sessionID, patientRef: record.patientRef, at: record.capturedAt.utc)
    if entries[index].captures.isEmpty { entries[index].at = record.capturedAt.utc }
    entries[index].signedBy = record.signedBy ?? entries[index].signedBy
    entries[index].answers = record.answers ?? entries[index].answers
    entries[index].captures.append(
      Capture(
        captureID: record.captureID, sequence: record.sequence, at: record.capturedAt.utc, view: record.view,
        attempt: record.attempt, failedGates: record.gates.filter { !$0.passed }.map(\.code),
        outcome: record.verdict.demonstration ? nil : record.verdict.outcome))
  }

  /// Events of other kinds change nothing.
  package mutating func add(_ message: SessionMessage) {
    guard message.kind == .sessionClosed, let session = message.sessionID, let patient = message.patientRef else {
      return
    }
    let index = place(of: session, patientRef: patient, at: message.at)
    entries[index].isComplete = message.isComplete
    entries[index].reason = message.reason
    entries[index].signedBy = message.signedBy ?? entries[index].signedBy
    entries[index].answers = message.answers ?? entries[index].answers
  }

  private var indices: [RandomIdentifier: Int] = [:]

  private mutating func place(of session: RandomIdentifier, patientRef: String, at: String) -> Int {
    if let index = indices[session] { return index }
    indices[session] = entries.count
    entries.append(Entry(sessionID: session, patientRef: patientRef, at: at))
    return entries.count - 1
  }
}
