import FoundationEssentials
import Identification
import Provenance
import Screening

/// The JSON on `up/event` that tells what became of a session, a tag or a maintenance window: the audit trail. It holds
/// pseudonyms and no UID.
package struct SessionMessage: Sendable, Hashable, Codable {
  package static let schema = "thermograph.session.v1"

  package enum Kind: String, Sendable, Hashable, Codable {
    case sessionClosed = "session-closed"
    case tagRefused = "tag-refused"
    case maintenanceOpened = "maintenance-opened"
    case maintenanceClosed = "maintenance-closed"
    case callRequested = "call-requested"
  }

  package var schema = Self.schema
  package var kind: Kind
  /// RFC 3339.
  package var at: String
  package var sessionID: RandomIdentifier?
  package var patientRef: String?
  package var signedBy: String?
  /// Of a session: every view has a saved capture.
  package var isComplete: Bool?
  /// Why a session is incomplete or a tag was refused.
  package var reason: String?
  package var savedViews: [CaptureView]?
  package var answers: [SessionAnswer]?
  /// Who opened the maintenance window.
  package var technician: String?

  package init(_ summary: SessionSummary, at: Timestamp) {
    kind = .sessionClosed
    self.at = at.rfc3339
    sessionID = summary.sessionID
    patientRef = summary.patient.text
    signedBy = summary.signedBy?.text
    savedViews = summary.savedViews
    answers = summary.answers.isEmpty ? nil : summary.answers
    switch summary.outcome {
    case .complete: isComplete = true
    case .incomplete(let why):
      isComplete = false
      reason = why.rawValue
    }
  }

  package init(_ refusal: SessionRefusal, at: Timestamp) {
    kind = .tagRefused
    self.at = at.rfc3339
    reason = refusal.rawValue
  }

  /// - Parameter technician: nil at the window's end.
  package init(maintenanceBy technician: String?, at: Timestamp) {
    kind = technician == nil ? .maintenanceClosed : .maintenanceOpened
    self.at = at.rfc3339
    self.technician = technician
  }

  /// - Parameter session: the one that is open; nil: none is.
  package init(callOf patient: PatientReference, session: RandomIdentifier?, at: Timestamp) {
    kind = .callRequested
    self.at = at.rfc3339
    patientRef = patient.text
    sessionID = session
  }

  /// Reads an event as it was sealed. Throws what `JSONDecoder` throws.
  package init(json: [UInt8]) throws {
    self = try JSONDecoder().decode(SessionMessage.self, from: Data(json))
  }

  /// The JSON on the wire.
  package func encoded() throws -> [UInt8] {
    try CanonicalJSON.bytes(of: self)
  }

  private enum CodingKeys: String, CodingKey {
    case schema, kind, at, reason, answers, technician
    case sessionID = "session_id"
    case patientRef = "patient_ref"
    case signedBy = "signed_by"
    case isComplete = "complete"
    case savedViews = "saved_views"
  }
}
