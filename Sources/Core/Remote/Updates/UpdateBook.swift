import FoundationEssentials
import Provenance

/// Everything that the device knows of its models and their updates: one record, replaced as a whole, so that a power cut
/// leaves the old or the new.
package struct UpdateBook: Sendable, Equatable, Codable {
  package static let schema = "thermograph.updates.v1"
  /// Bytes of the JSON.
  package static let bytesMaximum = 64 << 10

  package struct Slot: Sendable, Equatable, Codable {
    package var slot: ModelSlot
    /// What decides.
    package var active = ModelChoice.installed
    /// What decided before, and is kept; nil: nothing did.
    package var previous: ModelChoice?
  }

  /// The one update that is under way.
  package struct Update: Sendable, Equatable, Codable {
    package var unit: UpdateUnit
    package var phase: UpdatePhase
    /// Seconds that the device has run in this phase.
    package var spentSeconds: Int64 = 0
    /// The same of the phases before, by name.
    package var durations: [String: Int64] = [:]
    /// Trials of the golden vectors that were begun.
    package var trials = 0
    /// Shadow captures that it came through, and those in which it agreed with the model that decided.
    package var shadows = 0
    package var agreements = 0
    package var figures: TrialFigures?
    /// That nobody came has been told.
    package var isStalled = false
    /// Captures that it decided.
    package var captures = 0
    package var uncleanStarts = 0
    /// The device runs with it, and has not said that it ends.
    package var isRunning = false
    /// What the slot's `previous` was before.
    package var formerPrevious: ModelChoice?
    /// The command that asked for it; nil: it came by stick.
    package var command: String?
    /// `HH:MM-HH:MM` UTC in which it may be tried and exchanged; nil: at any time.
    package var window: String?

    package init(unit: UpdateUnit, phase: UpdatePhase, command: String? = nil, window: String? = nil) {
      self.unit = unit
      self.phase = phase
      self.command = command
      self.window = window
    }

    private enum CodingKeys: String, CodingKey {
      case unit, phase, durations, trials, shadows, agreements, figures, captures, command, window
      case spentSeconds = "spent_s"
      case isStalled = "stalled"
      case uncleanStarts = "unclean_starts"
      case isRunning = "running"
      case formerPrevious = "former_previous"
    }
  }

  package struct Floor: Sendable, Equatable, Codable {
    package var version: Int64
    /// The only file that may come in under this very version.
    package var fileSHA256: String

    private enum CodingKeys: String, CodingKey {
      case version
      case fileSHA256 = "file_sha256"
    }
  }

  /// An update that is over.
  package struct End: Sendable, Equatable, Codable {
    package var unit: UpdateUnit
    package var result: UpdateResult
    package var reason: String?
  }

  package var schema = Self.schema
  package var slots: [Slot] = ModelSlot.allCases.map { Slot(slot: $0) }
  /// The highest version of each model that was ever confirmed here, by its id: nothing below it comes in again.
  package var floors: [String: Floor] = [:]
  package var update: Update?
  /// The one unit that is wanted, and comes in parts.
  package var order: UpdateOrder?
  /// The newest last.
  package var ends: [End] = []
  /// What is still to be told the far side, oldest first.
  package var notes: [UpdateNote] = []
  /// Of the last note that was made.
  package var noteNumber: Int64 = 0
  /// What is used of the day's bytes that parts may take of a metered line, when parts were last asked for; nil: nothing.
  package var partBytesUsed: Int64?

  package init() {}

  private enum CodingKeys: String, CodingKey {
    case schema, slots, floors, update, order, ends, notes
    case noteNumber = "note_number"
    case partBytesUsed = "part_bytes_used"
  }

  package subscript(_ slot: ModelSlot) -> Slot {
    get { slots.first { $0.slot == slot } ?? Slot(slot: slot) }
    set {
      slots.removeAll { $0.slot == slot }
      slots.append(newValue)
      slots.sort { $0.slot.rawValue < $1.slot.rawValue }
    }
  }

  /// The files of the store that are needed: all others may go.
  package var neededFiles: Set<String> {
    let choices = slots.flatMap { [$0.active.unit, $0.previous?.unit] } + [update?.unit, update?.formerPrevious?.unit]
    return Set(choices.compactMap { $0?.fileSHA256 })
  }

  // MARK: - On disk

  /// - Throws: what is wrong with the file, for a person.
  package init(json: [UInt8]) throws(UpdateBookError) {
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(json))
    } catch {
      throw UpdateBookError(reason: "is no record of updates that this program can read: \(error)")
    }
    guard schema == Self.schema else {
      throw UpdateBookError(reason: "schema \(schema); expected \(Self.schema): it was written by another program")
    }
    let units =
      slots.flatMap { [$0.active.unit, $0.previous?.unit] } + ends.map { Optional($0.unit) }
      + [update?.unit, update?.formerPrevious?.unit]
    guard units.allSatisfy({ $0?.isSound != false }), order?.isSound != false,
      Set(slots.map(\.slot)).count == slots.count,
      floors.values.allSatisfy({ UnitTarget.versions.contains($0.version) }),
      (0...(1 << 40)).contains(partBytesUsed ?? 0)
    else { throw UpdateBookError(reason: "holds a unit or a version that cannot be; expected what this program wrote") }
    if let update {
      let counts = [update.trials, update.shadows, update.agreements, update.captures, update.uncleanStarts]
      guard counts.allSatisfy({ (0...1000).contains($0) }), update.spentSeconds >= 0,
        update.spentSeconds <= 1 << 40, update.durations.values.allSatisfy({ (0...(1 << 40)).contains($0) })
      else { throw UpdateBookError(reason: "holds a count that cannot be; expected what this program wrote") }
    }
  }

  package func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(of: self) }
}

package struct UpdateBookError: Error, Sendable, Equatable, CustomStringConvertible {
  package var reason: String
  package var description: String { reason }
}

/// A unit that is wanted: what signed metadata says of its file, which comes in parts.
package struct UpdateOrder: Sendable, Equatable, Codable {
  package var model: String
  package var version: Int64
  package var fileSHA256: String
  package var bytes: Int
  package var command: String?
  package var window: String?
  /// Seconds that the device has run since.
  package var spentSeconds: Int64 = 0
  /// How often all parts came and were not what was signed.
  package var spoiled = 0

  package init(_ target: UnitTarget, fileSHA256: String, bytes: Int, command: String?, window: String?) {
    model = target.model
    version = target.version
    self.fileSHA256 = fileSHA256
    self.bytes = bytes
    self.command = command
    self.window = window
  }

  /// What it is called where phases are named.
  package static let state = "received"

  package var target: UnitTarget { UnitTarget(unchecked: model, version) }

  /// Parts of its file: all of `UpdateRules.partBytes` but the last.
  package var parts: Int { (bytes + UpdateRules.partBytes - 1) / UpdateRules.partBytes }

  /// Bytes of the part of this index, 0 being the first.
  package func partBytes(_ index: Int) -> Int {
    min(UpdateRules.partBytes, bytes - index * UpdateRules.partBytes)
  }

  private enum CodingKeys: String, CodingKey {
    case model, version, bytes, command, window, spoiled
    case fileSHA256 = "file_sha256"
    case spentSeconds = "spent_s"
  }

  var isSound: Bool {
    UnitTarget(model: model, version: version) != nil && UpdateUnit.isDigest(fileSHA256)
      && (1...UpdateRules.unitBytesMaximum).contains(bytes) && (0...(1 << 40)).contains(spentSeconds)
      && (0...1000).contains(spoiled)
  }
}

/// A state of an update on its way to the far side.
package struct UpdateNote: Sendable, Equatable, Codable {
  /// Rises by one; the same number is the same note.
  package var number: Int64
  package var model: String
  package var version: Int64
  /// nil while its file is not here.
  package var slot: ModelSlot?
  package var unitSHA256: String?
  /// `received`, `waiting`, `trial`, `stalled`, `active`, `confirmed`, `rolled-back`, `refused` or `superseded`.
  package var state: String
  package var reason: String?
  package var command: String?
  /// Seconds that the device ran in each phase.
  package var durations: [String: Int64]
  package var shadows: Int
  package var agreements: Int
  package var figures: TrialFigures?
}

/// What the trial measured on this device.
package struct TrialFigures: Sendable, Equatable, Codable {
  /// Golden samples whose every byte was equal.
  package var samples: Int
  /// The fastest invocation of several; nil for `current`: there is no model yet.
  package var candidateMicroseconds: Int64
  package var currentMicroseconds: Int64?

  package init(samples: Int, candidateMicroseconds: Int64, currentMicroseconds: Int64?) {
    self.samples = samples
    self.candidateMicroseconds = candidateMicroseconds
    self.currentMicroseconds = currentMicroseconds
  }

  private enum CodingKeys: String, CodingKey {
    case samples
    case candidateMicroseconds = "candidate_us"
    case currentMicroseconds = "current_us"
  }

  /// Why it is too slow; nil: it is not.
  package var complaint: String? {
    guard let currentMicroseconds else { return nil }
    let allowed = max(
      UpdateRules.latencyFactor * max(currentMicroseconds, 0), UpdateRules.latencyFloorMicroseconds)
    guard candidateMicroseconds > allowed else { return nil }
    return "takes \(candidateMicroseconds) us where the present model takes \(currentMicroseconds); expected at most "
      + "\(allowed)"
  }
}
