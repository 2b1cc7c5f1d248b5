import Provenance

/// Which of the device's models an update takes the place of.
package enum ModelSlot: String, Sendable, Hashable, Codable, CaseIterable {
  /// Gives the score of a verdict.
  case screening
  /// Says whether a picture can be assessed.
  case quality
}

/// How a repository names a unit: `models/{id}/{version}.tar`.
package struct UnitTarget: Sendable, Hashable {
  package static let versions: ClosedRange<Int64> = 1...Int64(Int32.max)

  /// The model's id: 1 to 36 of a-z, 0-9 and hyphen.
  package let model: String
  /// Rises with each release of the model; not the version that its manifest tells a person.
  package let version: Int64

  /// nil for an id or a version outside of the ranges above.
  package init?(model: String, version: Int64) {
    let isName =
      (1...36).contains(model.utf8.count)
      && model.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
    guard isName, Self.versions.contains(version) else { return nil }
    self.model = model
    self.version = version
  }

  /// nil for any other name.
  package init?(path: String) {
    let steps = path.split(separator: "/", omittingEmptySubsequences: false)
    guard steps.count == 3, steps[0] == "models", steps[2].hasSuffix(".tar"), let version = Int64(steps[2].dropLast(4))
    else { return nil }
    self.init(model: String(steps[1]), version: version)
    // One name for one unit: no "+3", no "03".
    guard self.path == path else { return nil }
  }

  /// For what was checked when it was read.
  init(unchecked model: String, _ version: Int64) {
    self.model = model
    self.version = version
  }

  package var path: String { "models/\(model)/\(version).tar" }
}

/// A network with its manifest, thresholds, calibration, chain and golden vectors, as one signed file that lies in the
/// device's store.
package struct UpdateUnit: Sendable, Hashable, Codable {
  package let model: String
  package let version: Int64
  package let slot: ModelSlot
  /// Of the file, 64 lower-case hexadecimal digits; its name in the store.
  package let fileSHA256: String
  /// Of its manifest, which names every other file by its hash: what records call `unit_sha256`.
  package let unitSHA256: String
  package let bytes: Int

  package init(target: UnitTarget, slot: ModelSlot, fileSHA256: String, unitSHA256: String, bytes: Int) {
    model = target.model
    version = target.version
    self.slot = slot
    self.fileSHA256 = fileSHA256
    self.unitSHA256 = unitSHA256
    self.bytes = bytes
  }

  private enum CodingKeys: String, CodingKey {
    case model, version, slot, bytes
    case fileSHA256 = "file_sha256"
    case unitSHA256 = "unit_sha256"
  }

  package var target: UnitTarget { UnitTarget(unchecked: model, version) }

  /// What a state file may hold: its hash becomes the name of a file.
  var isSound: Bool {
    UnitTarget(model: model, version: version) != nil && Self.isDigest(fileSHA256) && Self.isDigest(unitSHA256)
      && (1...UpdateRules.unitBytesMaximum).contains(bytes)
  }

  static func isDigest(_ text: String) -> Bool {
    text.utf8.count == 64 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }
}

/// Where a slot's model comes from.
package struct ModelChoice: Sendable, Hashable, Codable {
  /// nil: the one that the configuration names in the installed folder.
  package var unit: UpdateUnit?

  package static let installed = ModelChoice(unit: nil)

  package init(unit: UpdateUnit?) { self.unit = unit }
}

/// The limits of updates. Times count the seconds that the device has run, so that no wrong clock shortens or stretches
/// them.
package enum UpdateRules {
  /// Network, bases and golden vectors of the largest model that a device takes, and the archive around them.
  package static let unitBytesMaximum = 24 << 20
  /// Without a session, before anything is tried or exchanged.
  package static let quietSeconds: Int64 = 300
  package static let shadowCaptures = 3
  package static let confirmingCaptures = 5
  package static let confirmingSeconds: Int64 = 86_400
  /// Starts after an unclean end, without a capture between them.
  package static let uncleanStarts = 3
  /// Trials of the golden vectors that the device's own end interrupted.
  package static let interruptedTrials = 3
  /// Until it is told that nobody comes.
  package static let stalledSeconds: Int64 = 14 * 86_400
  /// A candidate may take so many times what the present model takes.
  package static let latencyFactor: Int64 = 2
  /// Below this both are fast, and the measurement is noise. Microseconds.
  package static let latencyFloorMicroseconds: Int64 = 200
  /// Memory that the trial's process may write to, all of it.
  package static let trialMemoryBytes = 96 << 20
  /// Bytes of a part of a unit's file, but for the last.
  package static let partBytes = 64 << 10
  /// Parts that are asked for at a time: what a broker may have on its way to the device.
  package static let partsWanted = 16
  /// Without a part, before they are asked for again.
  package static let askSeconds: Int64 = 1800
  /// Within which all parts must have come.
  package static let orderSeconds: Int64 = 7 * 86_400
  /// How often parts that are not what was signed may come.
  package static let spoiledOrders = 3
  package static let endsMaximum = 8
  package static let notesMaximum = 32
  /// What one look at the clock may add: a suspended machine has not run.
  package static let stepSecondsMaximum: Int64 = 3600

  /// How long an update may be in this phase; nil: as long as it takes, for somebody has to come.
  package static func deadlineSeconds(_ phase: UpdatePhase) -> Int64? {
    switch phase {
    case .waiting, .passed: 30 * 86_400
    case .golden: 600
    case .shadow: nil
    case .active: confirmingSeconds
    }
  }
}

/// Where an update that is under way stands.
package enum UpdatePhase: String, Sendable, Codable, CaseIterable {
  /// Verified, in the store and on disk; waits for a quiet device.
  case waiting
  /// Its golden vectors are computed.
  case golden
  /// The present model decides, this one is only logged.
  case shadow
  /// The trial is over; waits for a quiet device to take its place.
  case passed
  /// It decides, and is not confirmed yet.
  case active
}

/// How an update ended.
package enum UpdateResult: String, Sendable, Codable, CaseIterable {
  case confirmed
  case rolledBack = "rolled-back"
  case refused
  case superseded
}
