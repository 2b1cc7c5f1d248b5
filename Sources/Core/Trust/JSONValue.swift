/// JSON as a tree, with nothing lost: members in the order of the text, unknown ones included.
package indirect enum JSONValue: Sendable, Hashable {
  case null
  case boolean(Bool)
  case integer(Int64)
  /// A number with a fraction or an exponent, as it was written. Only where `JSONLimits.decimals` lets one in; it never
  /// counts as an integer, so that `1e2` is no version.
  case decimal(String)
  case string(ExactText)
  case array([JSONValue])
  case object(JSONObject)

  package static func string(_ text: String) -> JSONValue { .string(ExactText(text)) }

  /// What a person calls it.
  package var kind: String {
    switch self {
    case .null: "null"
    case .boolean: "a boolean"
    case .integer: "an integer"
    case .decimal: "a number with a fraction or an exponent"
    case .string: "text"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

/// An object's members. No two have the same name.
package struct JSONObject: Sendable, Hashable {
  package struct Member: Sendable, Hashable {
    package let name: ExactText
    package let value: JSONValue

    package init(_ name: ExactText, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  package let members: [Member]

  /// - Precondition: the names differ.
  package init(_ members: [Member]) {
    self.members = members
  }

  package subscript(name: ExactText) -> JSONValue? {
    members.first { $0.name == name }?.value
  }

  /// The members that are not among `known`, for whoever hands an object on.
  package func members(beyond known: Set<ExactText>) -> [Member] {
    members.filter { !known.contains($0.name) }
  }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral elements: (ExactText, JSONValue)...) {
    self.init(elements.map { Member($0.0, $0.1) })
  }
}

/// What a text may hold. Every reader states its own.
package struct JSONLimits: Sendable, Equatable {
  package enum Decimals: Sendable, Equatable {
    /// A fraction or an exponent is a fault.
    case refused
    /// Kept as written, e.g. in members that a later version added.
    case kept
  }

  /// Bytes of the whole text.
  package var bytesMaximum: Int
  /// Lists and objects within one another; an object of plain members has depth 1.
  package var depthMaximum: Int
  /// Values of the whole text, for each takes some 60 bytes of memory.
  package var valuesMaximum: Int
  package var decimals: Decimals

  /// - Parameters:
  ///   - bytes: 1 or more.
  ///   - depth: 1...64, because the reader calls itself for each level.
  package init(bytes: Int, depth: Int = 8, values: Int = 65_536, decimals: Decimals = .refused) {
    bytesMaximum = bytes
    depthMaximum = max(1, min(depth, 64))
    valuesMaximum = values
    self.decimals = decimals
  }
}

/// Why a text is not taken as JSON.
package struct JSONFault: Error, Sendable, Equatable, CustomStringConvertible {
  /// Bytes before the fault.
  package let offset: Int
  package let what: String

  package init(at offset: Int, _ what: String) {
    self.offset = offset
    self.what = what
  }

  package var description: String { "byte \(offset): \(what)" }
}
