/// Why a model was refused. Raised while a model is loaded or planned, never while it runs.
package struct ModelError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The class of the fault, for callers that treat some of them differently.
  package enum Kind: String, Sendable {
    /// The bytes are no TFLite FlatBuffer.
    case notAModel = "not a model"
    /// An offset, length or index points outside its file, vector or table.
    case malformed = "malformed"
    case unsupportedOperator = "unsupported operator"
    case unsupportedType = "unsupported type"
    case invalidShape = "invalid shape"
    case invalidQuantization = "invalid quantisation"
    case invalidOption = "invalid option"
    /// A stated limit of this engine (`Model.Limits`) is exceeded.
    case tooLarge = "too large"
    /// The requested kernel set does not exist or does not run on this processor.
    case unavailableKernels = "unavailable kernels"
  }

  /// Where in the file the fault lies; nil members are unknown or do not apply.
  package struct Place: Equatable, Sendable {
    package var operatorName: String?
    package var operatorIndex: Int?
    package var tensorIndex: Int?

    package init(operatorName: String? = nil, operatorIndex: Int? = nil, tensorIndex: Int? = nil) {
      self.operatorName = operatorName
      self.operatorIndex = operatorIndex
      self.tensorIndex = tensorIndex
    }
  }

  package let kind: Kind
  package var place: Place
  /// What was found.
  package let found: String
  /// What would have been accepted.
  package let expected: String

  init(_ kind: Kind, _ found: String, expected: String, at place: Place = Place()) {
    self.kind = kind
    self.place = place
    self.found = found
    self.expected = expected
  }

  package var description: String {
    var parts: [String] = []
    if let name = place.operatorName, let index = place.operatorIndex {
      parts.append("operator \(index) (\(name))")
    }
    if let tensor = place.tensorIndex {
      parts.append("tensor \(tensor)")
    }
    let prefix = parts.isEmpty ? "model" : parts.joined(separator: ", ")
    return "\(prefix): \(kind.rawValue): \(found); expected \(expected)"
  }
}
