/// Who a presented tag is to the session: its pseudonym and what the roster says of it. The UID goes no further.
package struct TagDirectory: Sendable {
  /// By the site's key.
  package let reference: @Sendable (TagUID) -> PatientReference
  /// nil: every tag is a patient's, and known.
  package let roster: Roster?

  package init(reference: @escaping @Sendable (TagUID) -> PatientReference, roster: Roster?) {
    self.reference = reference
    self.roster = roster
  }

  package func tag(_ reading: TagReading) -> KnownTag {
    let fingerprint = reference(reading.uid)
    return roster?.tag(fingerprint: fingerprint) ?? KnownTag(reference: fingerprint)
  }

  /// A patient who is named at a terminal; nil when the roster knows the id as an operator's or a technician's.
  package func patient(_ reference: PatientReference) -> KnownTag? {
    guard let tag = roster?.tag(reference: reference) else { return KnownTag(reference: reference) }
    return tag.role == .patient ? tag : nil
  }
}
