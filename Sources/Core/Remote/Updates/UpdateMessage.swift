import FoundationEssentials
import Provenance

/// The JSON on `up/reply` for a state that an update has come to; it goes through the outbox like everything else.
package struct UpdateMessage: Sendable, Equatable, Codable {
  package static let schema = "thermograph.update.v1"

  package var schema = Self.schema
  /// Rises by one on one device; the same number is the same message.
  package var number: Int64
  package var model: String
  package var version: Int64
  /// nil while its file is not here.
  package var slot: ModelSlot?
  /// Of the unit's manifest, as records have it.
  package var unitSHA256: String?
  package var state: String
  package var reason: String?
  /// The command that asked for it; nil: it came by stick.
  package var command: String?
  /// Seconds that the device ran in each phase.
  package var durations: [String: Int64]
  /// Shadow captures, and those in which it agreed with the model that decided.
  package var shadows: Int
  package var agreements: Int
  package var trial: TrialFigures?
  /// The parts that are wanted now, e.g. `0-11,15`; only of `received`.
  package var wants: String?
  /// Parts of the whole file; only of `received`.
  package var parts: Int?
  /// RFC 3339.
  package var at: String

  package init(_ note: UpdateNote, at now: Timestamp) {
    number = note.number
    model = note.model
    version = note.version
    slot = note.slot
    unitSHA256 = note.unitSHA256
    state = note.state
    reason = note.reason
    command = note.command
    durations = note.durations
    shadows = note.shadows
    agreements = note.agreements
    trial = note.figures
    at = now.rfc3339
  }

  package func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(of: self) }

  private enum CodingKeys: String, CodingKey {
    case schema, number, model, version, slot, state, reason, command, shadows, agreements, trial, wants, parts, at
    case unitSHA256 = "unit_sha256"
    case durations = "durations_s"
  }
}
