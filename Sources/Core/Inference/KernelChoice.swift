/// Which kernels an interpreter runs.
package enum KernelChoice: Equatable, Sendable, CustomStringConvertible {
  /// The plain Swift definition, operator by operator, nothing fused.
  case reference
  /// The fastest set this processor runs.
  case automatic
  /// A set by name, as `KernelChoice.available` lists it.
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
}
