import Provenance

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
  /// How `reference` was made; nil where the roster gives it.
  package var version: PatientReference.Version?
  /// What the tag was called under the version before; what was written under that name is the same person's.
  package var former: PatientReference?
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

  /// The present reference and the one before, as records have them.
  package var references: [String] { [reference.text] + (former.map { [$0.text] } ?? []) }

  /// Whether what stands under `reference` belongs to this tag's bearer.
  package func isBearer(of reference: PatientReference) -> Bool {
    reference == self.reference || reference == former
  }
}

/// What a tag is called at a site, by each version that is still matched.
package struct TagFingerprints: Sendable, Hashable {
  package var current: PatientReference
  package var former: PatientReference

  package init(current: PatientReference, former: PatientReference) {
    self.current = current
    self.former = former
  }

  /// Takes as long as the slowest version: not for an event loop.
  package init(tag: TagUID, siteKey: [UInt8], digests: some MessageDigests) {
    self.init(
      current: PatientReference(tag: tag, siteKey: siteKey, digests: digests),
      former: PatientReference(tag: tag, siteKey: siteKey, version: .hmac, digests: digests))
  }
}

extension KnownTag {
  /// A patient whom no roster names.
  package init(_ fingerprints: TagFingerprints, isEnrolled: Bool) {
    self.init(reference: fingerprints.current, role: .patient, isEnrolled: isEnrolled)
    version = .current
    former = fingerprints.former
  }
}
