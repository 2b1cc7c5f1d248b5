import CInferenceKernels

/// Which kernels an interpreter runs.
package enum KernelChoice: Equatable, Sendable, CustomStringConvertible {
  /// The plain Swift definition, operator by operator, nothing fused.
  case reference
  /// The fastest set this processor runs.
  case automatic
  /// A set by name, one of `levels`.
  case named(String)

  /// "reference", "auto" or the name of a set.
  package init(_ text: String) {
    switch text {
    case "reference": self = .reference
    case "auto": self = .automatic
    default: self = .named(text)
    }
  }

  package var description: String {
    switch self {
    case .reference: "reference"
    case .automatic: "auto"
    case .named(let name): name
    }
  }

  /// A kernel set by its name, and whether this processor has the instructions for it.
  package struct Level: Codable, Equatable, Sendable {
    package let name: String
    package let isAvailable: Bool

    private enum CodingKeys: String, CodingKey {
      case name
      case isAvailable = "available"
    }
  }

  /// Every set that can be forced: the Swift reference, then the instruction-set levels from the plainest on.
  package static var levels: [Level] {
    [Level(name: "reference", isAvailable: true)]
      + instructionSets.map { Level(name: $0.name, isAvailable: tgk_level_is_available($0.level)) }
  }

  private static var instructionSets: [(name: String, level: tgk_level)] {
    (0..<UInt32(TGK_LEVEL_COUNT)).compactMap { number in
      let level = tgk_level(number)
      return tgk_level_name(level).map { (String(cString: $0), level) }
    }
  }

  /// The level to run, or nil for the Swift reference.
  func resolve() throws(ModelError) -> (name: String, level: tgk_level)? {
    switch self {
    case .reference: return nil
    case .automatic:
      let best = tgk_level_best()
      return Self.instructionSets.first { $0.level == best }
    case .named(let name):
      guard let set = Self.instructionSets.first(where: { $0.name == name }) else {
        throw ModelError(
          .unavailableKernels, "\"\(name)\"",
          expected: "auto or one of \(Self.levels.map(\.name).joined(separator: ", "))")
      }
      guard tgk_level_is_available(set.level) else {
        throw ModelError(
          .unavailableKernels, "\"\(name)\", whose instructions this processor lacks",
          expected: "auto or one of \(Self.levels.filter(\.isAvailable).map(\.name).joined(separator: ", "))")
      }
      return set
    }
  }
}
