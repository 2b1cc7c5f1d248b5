import Configuration
import Provenance
import Remote
import Screening
import Storage

/// Takes models out of a repository that signed metadata vouches for, and orders their trial.
package struct UpdateImporter {
  /// What a repository offers, verified.
  package struct Repository {
    /// Units that the metadata names.
    var targets: () throws -> [UnitTarget]
    /// The verified bytes of one; nil: the repository does not have the file.
    var bytes: (UnitTarget) throws -> [UInt8]?

    package init(targets: @escaping () throws -> [UnitTarget], bytes: @escaping (UnitTarget) throws -> [UInt8]?) {
      self.targets = targets
      self.bytes = bytes
    }
  }

  /// What became of one model.
  package struct Line: Sendable, Equatable {
    package var text: String
    package var isTaken: Bool
    package var isFault: Bool
  }

  private let store: UpdateStore
  private let settings: Settings
  private let digests = OpenSSLDigests()

  package init(_ settings: Settings) {
    self.settings = settings
    store = UpdateStore(stateDirectory: settings.paths.stateDirectory)
  }

  /// The newest unit of each model that this device has, or of those that are named.
  ///
  /// - Parameters:
  ///   - models: ids; empty: the device's own.
  ///   - version: of the one model that is named.
  ///   - isHeld: they wait for the command `update-install`, and nothing is tried before it.
  package func take(
    from repository: Repository, models: [String] = [], version: Int64? = nil, isHeld: Bool = false
  ) throws -> [Line] {
    let book = try store.read()
    let own = [
      settings.screening.model, settings.quality.model, book[.screening].active.unit?.model,
      book[.quality].active.unit?.model,
    ].compactMap { $0 }
    let wanted = Set(models.isEmpty ? own : models)
    let targets = try repository.targets().filter { target in
      wanted.contains(target.model) && (version ?? target.version) == target.version
    }
    var lines = wanted.filter { name in !targets.contains { $0.model == name } }.sorted().map {
      Line(text: "\($0): the repository has no such unit", isTaken: false, isFault: !models.isEmpty)
    }
    let newest = Dictionary(grouping: targets, by: \.model).compactMap { $1.max { $0.version < $1.version } }
    for target in newest.sorted(by: { $0.model < $1.model }) {
      lines.append(line(target, try store.read(), repository, isHeld: isHeld))
    }
    return lines
  }

  private func line(
    _ target: UnitTarget, _ book: UpdateBook, _ repository: Repository, isHeld: Bool
  ) -> Line {
    let name = "\(target.model) \(target.version)"
    let isActive = ModelSlot.allCases.contains {
      book[$0].active.unit?.model == target.model && book[$0].active.unit?.version == target.version
    }
    if isActive { return Line(text: "\(name): decides already", isTaken: false, isFault: false) }
    do {
      guard let bytes = try repository.bytes(target) else {
        return Line(text: "\(name): is named, but its file is not there", isTaken: false, isFault: true)
      }
      let unit = try unit(of: bytes, as: target)
      if isHeld {
        try store.hold(bytes, as: target)
        return Line(text: "\(name): kept; the command update-install begins its trial", isTaken: true, isFault: false)
      }
      try store.stage(unit, bytes)
      return Line(
        text: "\(name): taken; its trial begins after five minutes without a session", isTaken: true, isFault: false)
    } catch {
      return Line(text: "\(error)".hasPrefix(name) ? "\(error)" : "\(name): \(error)", isTaken: false, isFault: true)
    }
  }

  /// Reads a verified file as what its name says.
  package func unit(of bytes: [UInt8], as target: UnitTarget) throws -> UpdateUnit {
    let folder = try ModelFolder(ModelFiles(unit: bytes, path: target.path), digests: digests)
    guard folder.manifest.id == target.model else {
      throw ModelFolderError(
        path: target.path, reason: "is a unit of \(folder.manifest.id); expected one of \(target.model)")
    }
    let slot: ModelSlot
    switch folder.manifest.purpose {
    case .screening: slot = .screening
    case .quality: slot = .quality
    case .sentinel, .comparison:
      throw ModelFolderError(
        path: target.path,
        reason:
          "is for \(folder.manifest.purpose.rawValue), which takes no place on a device; expected screening or quality")
    }
    guard (slot == .screening ? settings.screening.model : settings.quality.model) != nil else {
      throw ModelFolderError(
        path: target.path,
        reason: "this device's configuration names no \(slot.rawValue) model (\(slot.rawValue).model)")
    }
    return UpdateUnit(
      target: target, slot: slot, fileSHA256: Hexadecimal.text(of: digests.sha256(bytes)),
      unitSHA256: folder.unitSHA256, bytes: bytes.count)
  }
}
