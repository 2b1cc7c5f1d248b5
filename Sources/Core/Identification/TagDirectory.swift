/// Who a presented tag is to the session: its pseudonym and what the roster says of it. The UID goes no further.
package struct TagDirectory: Sendable {
  /// nil: every tag is a patient's, and known.
  package let roster: Roster?

  package init(roster: Roster?) {
    self.roster = roster
  }

  package func tag(_ fingerprints: TagFingerprints) -> KnownTag {
    roster?.tag(fingerprints) ?? KnownTag(fingerprints, isEnrolled: true)
  }

  /// A patient who is named at a terminal; nil when there is a roster and it does not have the id, or has it as an
  /// operator's or a technician's. Behind a slip of the pen stands no tag that could be asked about.
  package func patient(_ reference: PatientReference) -> KnownTag? {
    guard let tag = roster?.tag(reference: reference) else { return KnownTag(reference: reference) }
    return tag.role == .patient && tag.isEnrolled ? tag : nil
  }

  /// Whether the roster has the id as an operator's or a technician's.
  package func isStaff(_ reference: PatientReference) -> Bool {
    roster.map { $0.tag(reference: reference).role != .patient } ?? false
  }
}
