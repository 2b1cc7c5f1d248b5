import Provenance
import Trust

/// What happened, for whoever writes it down: the one list of what entries can say. No case takes a tag's number, a key or a
/// name; patients come by pseudonym or by the roster's id.
package enum AuditEvent: Sendable, Hashable {
  /// Who began to write: the service, or a session at a terminal while the service does not run.
  package enum Program: String, Sendable { case service, terminal }
  package enum Enrolment: String, Sendable {
    case requestWritten = "request-written"
    case certificateInstalled = "certificate-installed"
  }
  package enum KeyChange: Sendable, Hashable {
    /// The device made its audit key; the key's id.
    case auditKeyMade(String)
    /// The keys of receivers that were installed; their ids.
    case receivers([String])
    /// The root of a repository, and the versions that are trusted from now on.
    case trust(root: String, versions: String)
    /// The key that seals the outbox was exchanged; the new key's id.
    case outboxKey(String)
  }
  package enum RosterChange: String, Sendable {
    case add, upgrade
    case fileImport = "import"
    /// The file is another than at the last look, whoever changed it.
    case file
  }
  package enum Standing: String, Sendable {
    case accepted, trying, confirmed, refused
    case takenBack = "taken-back"
    /// Brought to the device by a person.
    case installed
    /// The device's own files were read again.
    case reloaded
  }
  package enum Import: String, Sendable {
    case provisioning, configuration, model, baselines, receipt
    case siteMetadata = "site-metadata"
    case vendorMetadata = "vendor-metadata"
    case roster
  }
  package enum Refusal: String, Sendable {
    /// No session begins: there is no room for all of it.
    case sessions
    /// A capture that was taken could not be kept.
    case capture
    /// Entries of this log were lost.
    case audit
  }
  package enum Action: String, Sendable {
    case reload, capture, rollback, export, retry, verify
    case forgetPatient = "forget-patient"
    case trustClock = "trust-clock"
    case decommission
    case auditExport = "audit-export"
    case hold
    case sentinelRelease = "sentinel-release"
  }
  package enum ResultStep: String, Sendable { case accepted, refused, shown }

  case start(Program, firmware: String, configurationSHA256: String, rosterSHA256: String?)
  case uncleanEnd
  case stop(reason: String? = nil)
  case clockStep(milliseconds: Int64)
  case enrolment(Enrolment, key: String?)
  case keys(KeyChange)
  /// - rows: that the change put in or changed; of `.file`: that the list has.
  case roster(RosterChange, rows: Int, sha256: String?)
  case sessionStart(RandomIdentifier, patient: String, signedBy: String?)
  case sessionEnd(RandomIdentifier, patient: String, isComplete: Bool, reason: String?, views: [String])
  case correction(kind: String, subject: String, target: String?, signedBy: String?)
  case storageRefusal(Refusal, reason: String)
  case commandAccepted(name: String, id: RandomIdentifier)
  /// - name: nil where it was not believed, so that nothing in it is.
  case commandRefused(name: String?, id: RandomIdentifier?, reason: String)
  case configuration(Standing, version: Int64?, sha256: String?, reason: String? = nil)
  case update(model: String, version: Int64, state: String, reason: String?)
  /// - items: files, rows or patients that came.
  case imported(Import, items: Int, detail: String? = nil)
  /// - user: the number of the login's user; nil where it is not known.
  case technician(Action, user: UInt32?, detail: String? = nil)
  /// - capture: nil where it is not known here: a refused answer may name any.
  case result(ResultStep, id: RandomIdentifier, capture: RandomIdentifier? = nil, reason: String? = nil)
  case lockDown(isEntered: Bool, reason: String)

  package var kind: AuditKind {
    switch self {
    case .start: .start
    case .uncleanEnd: .uncleanEnd
    case .stop: .stop
    case .clockStep: .clockStep
    case .enrolment: .enrolment
    case .keys: .keys
    case .roster: .rosterChange
    case .sessionStart: .sessionStart
    case .sessionEnd: .sessionEnd
    case .correction: .correction
    case .storageRefusal: .storageRefusal
    case .commandAccepted: .commandAccepted
    case .commandRefused: .commandRefused
    case .configuration: .configuration
    case .update: .update
    case .imported: .stickImport
    case .technician: .technician
    case .result: .result
    case .lockDown: .lockDown
    }
  }

  /// The members of the entry's `what`; those that are not known are left out.
  package var what: JSONObject {
    switch self {
    case .start(let program, let firmware, let configuration, let roster):
      return Self.object([
        ("program", program.rawValue), ("firmware", firmware), ("configuration_sha256", configuration),
        ("roster_sha256", roster),
      ])
    case .uncleanEnd: return [:]
    case .stop(let reason): return Self.object([("reason", reason)])
    case .clockStep(let milliseconds): return ["milliseconds": .integer(milliseconds)]
    case .enrolment(let step, let key): return Self.object([("step", step.rawValue), ("audit_key", key)])
    case .keys(let change): return change.object
    case .roster(let change, let rows, let sha256):
      return Self.object([("change", change.rawValue), ("sha256", sha256)], ["rows": .integer(Int64(rows))])
    case .sessionStart(let session, let patient, let signedBy):
      return Self.object([("session_id", session.description), ("patient_ref", patient), ("signed_by", signedBy)])
    case .sessionEnd(let session, let patient, let isComplete, let reason, let views):
      return Self.object(
        [("session_id", session.description), ("patient_ref", patient), ("reason", reason)],
        ["complete": .boolean(isComplete), "saved_views": .array(views.prefix(16).map { .string(Self.cut($0)) })])
    case .correction(let kind, let subject, let target, let signedBy):
      return Self.object([("correction", kind), ("subject", subject), ("target", target), ("signed_by", signedBy)])
    case .storageRefusal(let what, let reason): return Self.object([("refused", what.rawValue), ("reason", reason)])
    case .commandAccepted(let name, let id): return Self.object([("name", name), ("id", id.description)])
    case .commandRefused(let name, let id, let reason):
      return Self.object([("name", name), ("id", id?.description), ("reason", reason)])
    case .configuration(let state, let version, let sha256, let reason):
      return Self.object(
        [("state", state.rawValue), ("sha256", sha256), ("reason", reason)],
        version.map { ["version": .integer($0)] } ?? [:])
    case .update(let model, let version, let state, let reason):
      return Self.object([("model", model), ("state", state), ("reason", reason)], ["version": .integer(version)])
    case .imported(let what, let items, let detail):
      return Self.object([("import", what.rawValue), ("detail", detail)], ["items": .integer(Int64(items))])
    case .technician(let action, let user, let detail):
      return Self.object(
        [("action", action.rawValue), ("detail", detail)], user.map { ["user": .integer(Int64($0))] } ?? [:])
    case .result(let step, let id, let capture, let reason):
      return Self.object([
        ("step", step.rawValue), ("id", id.description), ("capture_id", capture?.description), ("reason", reason),
      ])
    case .lockDown(let isEntered, let reason):
      return Self.object([("reason", reason)], ["locked_down": .boolean(isEntered)])
    }
  }

  /// Somebody far away wants it: without room for its entry it is not done.
  package var isFromAfar: Bool {
    switch self {
    case .commandAccepted, .configuration(.accepted, _, _, _), .configuration(.trying, _, _, _),
      .result(.accepted, _, _, _):
      true
    default: false
    }
  }

  fileprivate static func object(_ texts: [(ExactText, String?)], _ others: JSONObject = [:]) -> JSONObject {
    JSONObject(
      texts.compactMap { name, text in text.map { JSONObject.Member(name, .string(cut($0))) } } + others.members)
  }

  /// Bytes of a text that an entry takes; reasons of others can be long.
  static let maximumTextBytes = 400

  /// The text on one line, cut between two characters where it is too long.
  fileprivate static func cut(_ text: String) -> ExactText {
    let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
    let text =
      isPlain ? text : String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 ? " " : $0 }))
    guard text.utf8.count > maximumTextBytes else { return ExactText(text) }
    var kept = ""
    for character in text {
      guard kept.utf8.count + character.utf8.count < maximumTextBytes - 2 else { break }
      kept.append(character)
    }
    return ExactText(kept + "…")
  }
}

extension AuditEvent.KeyChange {
  fileprivate var object: JSONObject {
    switch self {
    case .auditKeyMade(let key): AuditEvent.object([("change", "audit-key-made"), ("key", key)])
    case .receivers(let keys):
      AuditEvent.object(
        [("change", "receivers")], ["keys": .array(keys.prefix(8).map { .string(AuditEvent.cut($0)) })])
    case .trust(let root, let versions):
      AuditEvent.object([("change", "trust"), ("root", root), ("versions", versions)])
    case .outboxKey(let key): AuditEvent.object([("change", "outbox-key"), ("key", key)])
    }
  }
}

/// Where services say what happened. What they do not say stands in no log.
package protocol AuditTrail: Sendable {
  /// Returns when the entry is on disk. For what must not happen without one.
  ///
  /// - Throws: why it is not written; then what was to happen must not, if somebody far away wants it.
  func write(_ event: AuditEvent) async throws

  /// Hands the entry over and returns at once: for what has happened, or must happen whatever becomes of its entry.
  func post(_ event: AuditEvent)

  /// What the log is up to its last entry on disk; nil where none is kept.
  var head: AuditHead? { get }

  /// Why nothing from afar may be done now; nil: it may.
  var refusalFromAfar: String? { get }
}

/// Where no log is kept: captures into a folder, and tools that change nothing.
package struct NoAuditTrail: AuditTrail {
  package init() {}

  package func write(_ event: AuditEvent) async throws {}
  package func post(_ event: AuditEvent) {}
  package var head: AuditHead? { nil }
  package var refusalFromAfar: String? { nil }
}

/// An entry on its way to the far side, on `up/event`: `{schema, kind: "audit", log, size, head, entry}`.
package struct AuditMessage: Sendable, Equatable {
  package static let schema: ExactText = "thermograph.audit-event.v1"

  package let log: RandomIdentifier
  /// What the log is up to this entry.
  package let head: AuditHead
  /// The entry's text, byte for byte: what is hashed.
  package let entry: [UInt8]

  package init(log: RandomIdentifier, head: AuditHead, entry: [UInt8]) {
    self.log = log
    self.head = head
    self.entry = entry
  }

  package var encoded: [UInt8] {
    JSONValue.object([
      "schema": .string(Self.schema), "kind": .string("audit"), "log": .string(ExactText(log.description)),
      "size": .integer(Int64(clamping: head.size)), "head": .string(ExactText(Hexadecimal.text(of: head.digest))),
      "entry": .string(ExactText(String(decoding: entry, as: UTF8.self))),
    ]).encoded()
  }
}

/// Whether a clock went with the monotonic time between two moments of one run of the system.
package enum AuditClock {
  /// How far it moved, in nanoseconds; nil: not beyond the tolerance, or the two cannot be compared.
  ///
  /// A clock drifts by 100 ppm at most; NTP slews by 500 ppm: a thousandth of the time passed is added to the tolerance.
  package static func step(from last: Timestamp, to now: Timestamp, toleranceNanoseconds: Int64) -> Int64? {
    guard last.bootID == now.bootID, now.monotonicNanoseconds >= last.monotonicNanoseconds else { return nil }
    let elapsed = Int64(clamping: now.monotonicNanoseconds - last.monotonicNanoseconds)
    let (expected, overflow) = last.utcNanoseconds.addingReportingOverflow(elapsed)
    let (difference, overflow2) = now.utcNanoseconds.subtractingReportingOverflow(expected)
    guard !overflow, !overflow2 else { return .max }
    return difference.magnitude > UInt64(toleranceNanoseconds) + UInt64(elapsed / 1000) ? difference : nil
  }
}
