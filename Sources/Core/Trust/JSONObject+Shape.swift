/// Why a tree is not what was expected: which member, what it is, what it should be.
package struct ShapeFault: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }

  /// The same fault, seen from the member that holds it.
  package func within(_ name: String) -> ShapeFault { ShapeFault("\(name): \(description)") }
}

/// Typed members. Each accessor throws a `ShapeFault` that names the member; `optional...` are nil when it is missing.
extension JSONObject {
  private func required(_ name: ExactText) throws(ShapeFault) -> JSONValue {
    guard let value = self[name] else { throw ShapeFault("'\(name)' is missing") }
    return value
  }

  private static func fault(_ name: ExactText, _ value: JSONValue, _ expected: String) -> ShapeFault {
    ShapeFault("'\(name)' is \(value.kind); expected \(expected)")
  }

  package func text(_ name: ExactText) throws(ShapeFault) -> ExactText {
    let value = try required(name)
    guard case .string(let text) = value else { throw Self.fault(name, value, "text") }
    return text
  }

  package func optionalText(_ name: ExactText) throws(ShapeFault) -> ExactText? {
    self[name] == nil ? nil : try text(name)
  }

  package func integer(_ name: ExactText, in range: ClosedRange<Int64>) throws(ShapeFault) -> Int64 {
    let value = try required(name)
    guard case .integer(let integer) = value else { throw Self.fault(name, value, "an integer") }
    guard range.contains(integer) else {
      throw ShapeFault("'\(name)' is \(integer); expected \(range.lowerBound)...\(range.upperBound)")
    }
    return integer
  }

  package func optionalInteger(_ name: ExactText, in range: ClosedRange<Int64>) throws(ShapeFault) -> Int64? {
    self[name] == nil ? nil : try integer(name, in: range)
  }

  package func boolean(_ name: ExactText) throws(ShapeFault) -> Bool {
    let value = try required(name)
    guard case .boolean(let boolean) = value else { throw Self.fault(name, value, "true or false") }
    return boolean
  }

  package func object(_ name: ExactText) throws(ShapeFault) -> JSONObject {
    let value = try required(name)
    guard case .object(let object) = value else { throw Self.fault(name, value, "an object") }
    return object
  }

  package func optionalObject(_ name: ExactText) throws(ShapeFault) -> JSONObject? {
    self[name] == nil ? nil : try object(name)
  }

  /// - Parameter maximum: elements that are taken.
  package func list(_ name: ExactText, maximum: Int) throws(ShapeFault) -> [JSONValue] {
    let value = try required(name)
    guard case .array(let elements) = value else { throw Self.fault(name, value, "a list") }
    guard elements.count <= maximum else {
      throw ShapeFault("'\(name)' has \(elements.count) elements; expected at most \(maximum)")
    }
    return elements
  }

  /// A list of objects.
  package func objects(_ name: ExactText, maximum: Int) throws(ShapeFault) -> [JSONObject] {
    var objects: [JSONObject] = []
    for (index, element) in try list(name, maximum: maximum).enumerated() {
      guard case .object(let object) = element else {
        throw ShapeFault("'\(name)' element \(index) is \(element.kind); expected an object")
      }
      objects.append(object)
    }
    return objects
  }

  /// A list of texts.
  package func texts(_ name: ExactText, maximum: Int) throws(ShapeFault) -> [ExactText] {
    var texts: [ExactText] = []
    for (index, element) in try list(name, maximum: maximum).enumerated() {
      guard case .string(let text) = element else {
        throw ShapeFault("'\(name)' element \(index) is \(element.kind); expected text")
      }
      texts.append(text)
    }
    return texts
  }
}
