import FoundationEssentials
import Provenance

/// What is kept of one patient for the comparison over time: a value, with what may be done to it.
package struct PatientBaselines: Sendable, Equatable, Codable {
  static let schema = "thermograph.baselines.v1"
  /// Sessions of a view that are kept of one reference: as many as the comparison looks at.
  package static let maximumSessions = 8
  /// References whose pictures may be merged under one.
  static let maximumReferences = 4
  static let maximumViews = 8
  static let maximumMasters = maximumSessions * maximumReferences * maximumViews

  private var schema = Self.schema
  package private(set) var patient: String
  /// The reference that this one's pictures are kept under, after a merge; then there are none here.
  package private(set) var mergedInto: String?
  /// In the order in which they were taken.
  package private(set) var masters: [BaselineMaster] = []

  init(patient: String) { self.patient = patient }

  static func merged(_ patient: String, into other: String) -> PatientBaselines {
    var content = PatientBaselines(patient: patient)
    content.mergedInto = other
    return content
  }

  /// What is wrong with one that was read; nil when nothing is.
  var fault: String? {
    guard schema == Self.schema else { return "schema \(schema.prefix(64)); expected \(Self.schema)" }
    guard masters.count <= Self.maximumMasters else { return "\(masters.count) pictures" }
    guard (1...64).contains(patient.utf8.count), (mergedInto?.utf8.count ?? 0) <= 64 else {
      return "a reference's length"
    }
    guard mergedInto == nil || masters.isEmpty, mergedInto != patient else { return "a merged reference with pictures" }
    return masters.lazy.compactMap(\.fault).first
  }

  /// One picture a session, the newest sessions, oldest first.
  ///
  /// - Parameter session: that is under way and is no earlier one.
  package func earlier(view: String, before session: RandomIdentifier?) -> [BaselineMaster] {
    Array(masters.filter { $0.view == view && $0.sessionID != session }.suffix(Self.maximumSessions))
  }

  /// Whether there is anything to keep: a picture, or where the pictures are.
  var isEmpty: Bool { masters.isEmpty && mergedInto == nil }

  /// About as many bytes as it takes on disk.
  var storedBytes: Int { masters.reduce(256) { $0 + $1.storedBytes } }

  package var sessions: Int { Set(masters.map(\.sessionID)).count }

  /// Adds the newest picture. It takes the place of an earlier attempt of its session, and of the oldest session.
  mutating func add(_ master: BaselineMaster) {
    masters.removeAll { $0.sessionID == master.sessionID && $0.view == master.view }
    masters.append(master)
    trim()
  }

  /// Takes over pictures from elsewhere: those of both in the order of their times.
  mutating func take(_ others: [BaselineMaster]) {
    for other in others where !masters.contains(where: { $0.sessionID == other.sessionID && $0.view == other.view }) {
      // Behind the last that is not newer: our own keep their order, whatever the clocks said.
      let place = masters.lastIndex { $0.utcNanoseconds <= other.utcNanoseconds }.map { $0 + 1 } ?? 0
      masters.insert(other, at: place)
    }
    trim()
  }

  /// Removes pictures, and gives them.
  mutating func give(where isMeant: (BaselineMaster) -> Bool) -> [BaselineMaster] {
    let given = masters.filter(isMeant)
    masters.removeAll(where: isMeant)
    return given
  }

  /// What was taken under a former reference of the same tag counts as taken under the present one.
  mutating func retag(_ former: String, as present: String) {
    for index in masters.indices where masters[index].takenAs == former { masters[index].takenAs = present }
    trim()
  }

  var references: Set<String> { Set(masters.map(\.takenAs)) }

  private mutating func trim() {
    var counts: [String: Int] = [:]
    var kept: [BaselineMaster] = []
    for master in masters.reversed() {
      let key = master.view + " " + master.takenAs
      counts[key, default: 0] += 1
      if counts[key, default: 0] <= Self.maximumSessions { kept.append(master) }
    }
    masters = kept.reversed()
  }

  private enum CodingKeys: String, CodingKey {
    case schema, patient
    case mergedInto = "merged_into"
    case masters
  }
}

extension [BaselineMaster] {
  /// As taken under another reference of the same person.
  func taken(as reference: String) -> [BaselineMaster] {
    map { master in
      var changed = master
      changed.takenAs = reference
      return changed
    }
  }
}
