/// What a tag's bearer is to the device.
package enum TagRole: String, Sendable, CaseIterable, Codable {
  /// Is captured.
  case patient
  /// Signs sessions and confirms unknown tags.
  case `operator`
  /// Opens a maintenance window.
  case technician
}

/// What becomes of a tag that no roster names.
package enum UnknownTagPolicy: String, Sendable, CaseIterable, Codable {
  /// It is captured under its pseudonym.
  case accept
  /// Somebody confirms at the device first: the button, or an operator's tag.
  case ask
  case refuse
}

/// A presented tag as the session knows it: a pseudonym, never a UID.
package struct KnownTag: Sendable, Hashable {
  package var reference: PatientReference
  package var role: TagRole
  /// Whether a roster names it; always true where there is no roster.
  package var isEnrolled: Bool
  /// What the bearer agreed to; nil where no roster says so.
  package var consent: Set<Roster.Consent>?

  package init(
    reference: PatientReference, role: TagRole = .patient, isEnrolled: Bool = true, consent: Set<Roster.Consent>? = nil
  ) {
    self.reference = reference
    self.role = role
    self.isEnrolled = isEnrolled
    self.consent = consent
  }
}
