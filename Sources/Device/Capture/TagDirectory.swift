import Configuration
import Forwarding
import Identification
import LocalFiles
import Logging
import Screening

/// Who a presented tag is to the session: its pseudonym and what the roster says of it. The UID goes no further.
struct TagDirectory: Sendable {
  /// By the site's key.
  let reference: @Sendable (TagUID) -> PatientReference
  /// nil: every tag is a patient's, and known.
  let roster: Roster?

  func tag(_ reading: TagReading) -> KnownTag {
    let fingerprint = reference(reading.uid)
    return roster?.tag(fingerprint: fingerprint) ?? KnownTag(reference: fingerprint)
  }

  /// A patient who is named at a terminal; nil when the roster knows the id as an operator's or a technician's.
  func patient(_ reference: PatientReference) -> KnownTag? {
    guard let tag = roster?.tag(reference: reference) else { return KnownTag(reference: reference) }
    return tag.role == .patient ? tag : nil
  }
}

extension SessionService.Policy {
  /// Reads the roster that the settings name. Its faulty rows are named and left out; a roster that cannot be read at
  /// all is an error, because every patient would be a stranger.
  init(_ settings: Settings, logger: Logger) throws(FileError) {
    self.init(
      rules: settings.sessionRules, limits: settings.gates, alerts: AlertTable(rules: settings.alerts),
      roster: nil)
    guard let path = settings.patients.rosterFile else { return }
    let bytes = try BoundedFile.read(path, maximumBytes: RosterReader.largestByteCount)
    let (roster, faults) = RosterReader.read(bytes)
    for fault in faults { logger.warning("roster", metadata: ["fault": "\(path):\(fault)"]) }
    logger.notice("roster", metadata: ["tags": "\(roster.count)", "faults": "\(faults.count)"])
    self.roster = roster
  }
}
