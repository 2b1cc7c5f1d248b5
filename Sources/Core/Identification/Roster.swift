import Provenance

/// The site's list of tags: which pseudonym stands for whom, and in which role. Read only; the file is the clinic's.
///
/// It names tags by their fingerprint, which is `PatientReference(tag:siteKey:digests:)`, so that the file holds no UID
/// either. See `RosterReader` for its form.
package struct Roster: Sendable, Equatable {
  /// What a bearer agreed to.
  package enum Consent: String, Sendable, CaseIterable, Codable {
    /// To be captured and stored on the device.
    case capture
    /// That captures leave the device for the clinic's receiver.
    case upload
    /// That the receiver uses them for research; records say so, and the device does nothing else with it.
    case research
  }

  package struct Entry: Sendable, Equatable {
    /// The id that records carry instead of the fingerprint.
    package var reference: PatientReference
    package var role: TagRole
    package var consent: Set<Consent>
    /// Free text for the clinic; it goes nowhere.
    package var note: String

    package init(reference: PatientReference, role: TagRole, consent: Set<Consent>, note: String) {
      self.reference = reference
      self.role = role
      self.consent = consent
      self.note = note
    }
  }

  private var entries: [String: Entry] = [:]

  package init() {}

  package var count: Int { entries.count }

  /// The entry of the tag with this fingerprint.
  package func entry(fingerprint: PatientReference) -> Entry? { entries[fingerprint.text] }

  /// What the session is told of a presented tag. A tag outside the roster is a patient under its fingerprint; one whose
  /// row still has the fingerprint of the version before is matched by that.
  package func tag(_ fingerprints: TagFingerprints) -> KnownTag {
    guard let entry = entries[fingerprints.current.text] ?? entries[fingerprints.former.text] else {
      return KnownTag(fingerprints, isEnrolled: false)
    }
    var tag = KnownTag(entry)
    // Without an id of the roster's own the fingerprint is the reference.
    if entry.reference == fingerprints.former {
      (tag.reference, tag.former) = (fingerprints.current, fingerprints.former)
    }
    if tag.reference == fingerprints.current {
      tag.version = .current
    } else if tag.former == nil {
      // What was taken before the bearer was enrolled stands under the fingerprint, and is the same person's.
      tag.former = entries[fingerprints.current.text] == nil ? fingerprints.former : fingerprints.current
    }
    return tag
  }

  /// Rows that the version before named: their number, for whoever upgrades the file.
  package func isFormer(_ fingerprints: TagFingerprints) -> Bool {
    entries[fingerprints.current.text] == nil && entries[fingerprints.former.text] != nil
  }

  /// The same for somebody who is named by the id in the roster instead of by a tag.
  package func tag(reference: PatientReference) -> KnownTag {
    guard let (fingerprint, entry) = entries.first(where: { $0.value.reference == reference }) else {
      return KnownTag(reference: reference, role: .patient, isEnrolled: false)
    }
    var tag = KnownTag(entry)
    if fingerprint != reference.text { tag.former = PatientReference(fingerprint) }
    return tag
  }

  /// Patients whom the list has and who agree to no capture (any more), by every reference that they may have here.
  package var withoutConsent: [PatientReference] {
    let agreeing = Set(entries.values.lazy.filter { $0.consent.contains(.capture) }.map(\.reference))
    return entries.filter { $1.role == .patient && !$1.consent.contains(.capture) && !agreeing.contains($1.reference) }
      .flatMap { [$1.reference] + [PatientReference($0)].compactMap { $0 } }
  }

  /// Adds an entry; false when the fingerprint is already there.
  mutating func add(_ entry: Entry, fingerprint: String) -> Bool {
    guard entries[fingerprint] == nil else { return false }
    entries[fingerprint] = entry
    return true
  }
}

extension KnownTag {
  fileprivate init(_ entry: Roster.Entry) {
    self.init(reference: entry.reference, role: entry.role, isEnrolled: true, consent: entry.consent)
  }
}

/// A fault of one row of the roster. It quotes nothing of the row: notes have names in them.
package struct RosterFault: Sendable, Equatable, CustomStringConvertible {
  /// From 1, as an editor counts.
  package var line: Int
  /// From 1, in bytes; where the faulty field begins.
  package var column: Int
  package var what: String

  package var description: String { "\(line):\(column): \(what)" }
}
