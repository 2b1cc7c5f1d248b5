import Audit
import Identification
import Provenance
import Screening

/// The record of one capture, as it is sealed, sent and stored: JSON, versioned. Its schema is
/// `Docs/schemas/capture-record-2.schema.json`. Version 2 adds optional members to version 1 and changes none, so a reader
/// of this type reads both; members that it does not know are for others and stay in the stored bytes.
package struct CaptureRecord: Sendable, Hashable, Codable {
  package static let schema = "thermograph.capture.v2"
  /// What a reader takes.
  package static let readableSchemas: Set<String> = ["thermograph.capture.v1", CaptureRecord.schema]
  /// The media type of the record's message.
  package static let mediaType = "application/json"

  package var schema = CaptureRecord.schema
  package var captureID: RandomIdentifier
  package var outboxID: RandomIdentifier
  /// Gapless within one outbox, from 1.
  package var sequence: Int64
  package var sessionID: RandomIdentifier
  package var site: String
  package var device: String
  package var capturedAt: Instant
  /// `capturedAt` corrected from monotonic time once the same boot synchronised; nil when it never was wrong, or
  /// was not known by the time the record was sealed.
  package var redatedAt: Instant?
  package var patientRef: String
  /// How `patientRef` was made from the tag (`PatientReference.Version`); nil where the roster gave it, and in version 1.
  package var patientRefVersion: Int?
  /// The reference that the same tag had under the version before; told once, so that the far side can join the two.
  package var formerPatientRef: String?
  package var tagKind: TagKind
  /// The operator who signed the session; nil when nobody did.
  package var signedBy: String?
  /// Answers to the session's questions, in order; nil when none was asked.
  package var answers: [SessionAnswer]?
  /// What the patient agreed to, in the order of `Roster.Consent`; nil where no roster says so.
  package var consent: [Roster.Consent]?
  package var view: CaptureView
  /// Counts the tries at this view within the session, from 1.
  package var attempt: Int
  package var acquisition: Acquisition
  package var gates: [QualityGate]
  package var verdict: Verdict
  package var images: [ImageReference]
  /// Pictures that are not sent because master and record give their very bytes again: the receiver draws them, and its
  /// drawing counts only when bytes and SHA-256 are these. nil where every picture is sent.
  package var renderings: [ImageReference]?
  package var durations: Durations
  package var versions: Versions
  /// The device's audit log when the record was sealed; nil where none is kept.
  package var audit: AuditHead?
  /// What the sentinel said while the capture was taken; nil when it said `normal` or does not run.
  package var sentinel: SentinelState?
  /// What the board's supply did; nil where all was well, or the board tells nothing of it.
  package var power: PowerState?
  /// Change against the patient's own earlier sessions; nil where it is not computed.
  package var change: Change?

  package init(
    captureID: RandomIdentifier, outboxID: RandomIdentifier, sequence: Int64, sessionID: RandomIdentifier,
    site: String, device: String, capturedAt: Instant, redatedAt: Instant?, patientRef: String, tagKind: TagKind,
    view: CaptureView, attempt: Int, acquisition: Acquisition, gates: [QualityGate], verdict: Verdict,
    images: [ImageReference], durations: Durations, versions: Versions, signedBy: String? = nil,
    answers: [SessionAnswer]? = nil, consent: [Roster.Consent]? = nil
  ) {
    self.captureID = captureID
    self.outboxID = outboxID
    self.sequence = sequence
    self.sessionID = sessionID
    self.site = site
    self.device = device
    self.capturedAt = capturedAt
    self.redatedAt = redatedAt
    self.patientRef = patientRef
    self.tagKind = tagKind
    self.view = view
    self.attempt = attempt
    self.acquisition = acquisition
    self.gates = gates
    self.verdict = verdict
    self.images = images
    self.durations = durations
    self.versions = versions
    self.signedBy = signedBy
    self.answers = answers
    self.consent = consent
  }

  private enum CodingKeys: String, CodingKey {
    case schema
    case captureID = "capture_id"
    case outboxID = "outbox_id"
    case sequence
    case sessionID = "session_id"
    case site, device
    case capturedAt = "captured_at"
    case redatedAt = "redated_at"
    case patientRef = "patient_ref"
    case patientRefVersion = "patient_ref_version"
    case formerPatientRef = "former_patient_ref"
    case tagKind = "tag_kind"
    case signedBy = "signed_by"
    case answers, consent
    case view, attempt, acquisition, gates, verdict, images, renderings, durations, versions, audit, sentinel, change
    case power
  }
}
