/// What a key accepts, for everything that needs to know: the check, the effective listing, the JSON Schema.
package enum ValueShape: Sendable, Equatable {
  case integer(ClosedRange<Int>)
  case integerChoice([Int])
  case number(ClosedRange<Double>)
  case boolean
  case text(TextForm)
  case choice([String])
  /// Distinct choices, one up to all of them.
  case choices([String])
  case secret
  case pin
  /// So many tables with these keys, all of which must be there.
  case items(ClosedRange<Int>, [ItemShape])

  /// A key of such a table.
  package struct ItemShape: Sendable, Equatable {
    package var name: String
    package var shape: ValueShape
  }

  /// What a fault says after "expected".
  package var expectation: String {
    switch self {
    case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
    case .integerChoice(let allowed): alternatives(allowed.map { "\($0)" })
    case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
    case .boolean: "true or false"
    case .text(let form): form.expectation
    case .choice(let allowed): alternatives(allowed.map { "\"\($0)\"" })
    case .choices(let allowed): "a list of \(alternatives(allowed.map { "\"\($0)\"" })), each at most once"
    case .secret: "the absolute path of a file, or \"credential:NAME\""
    case .items(let counts, let fields):
      "a list of \(counts.lowerBound) to \(counts.upperBound) tables { "
        + fields.map { "\($0.name) = ..." }.joined(separator: ", ") + " }"
    case .pin: "a line's name such as \"GPIO17\", or its offset on the chip from 0 to 511"
    }
  }
}

/// `a, b or c`.
func alternatives(_ names: [String]) -> String {
  guard let last = names.last, names.count > 1 else { return names.first ?? "" }
  return names.dropLast().joined(separator: ", ") + " or " + last
}

/// Why a value does not fit its key.
struct Mismatch: Error {
  /// nil: where the key stands.
  var place: SourcePlace?
  /// Follows the key's name: `is 5`.
  var what: String
  var expected: String
  var suggestion: String?
}

/// How one kind of value is read and written.
struct ValueFormat<Value: Sendable & Equatable>: Sendable {
  let shape: ValueShape
  let parse: @Sendable (LocatedValue) throws(Mismatch) -> Value
  /// As JSON.
  let json: @Sendable (Value) -> JSONTree
  /// As TOML; nil: the JSON written as TOML.
  var toml: (@Sendable (Value) -> String)?

  func render(_ value: Value) -> String { toml?(value) ?? json(value).toml }
}

extension ValueFormat {
  static func mismatch(_ value: LocatedValue, _ shape: ValueShape, suggestion: String? = nil) -> Mismatch {
    Mismatch(place: value.place, what: "is \(value.summary)", expected: shape.expectation, suggestion: suggestion)
  }
}

extension ValueFormat where Value: BinaryInteger {
  static func integer(_ range: ClosedRange<Int>) -> Self {
    let shape = ValueShape.integer(range)
    return Self(
      shape: shape,
      parse: { (value) throws(Mismatch) in
        guard case .integer(let wide) = value.content, let whole = Int(exactly: wide), range.contains(whole),
          let number = Value(exactly: whole)
        else { throw mismatch(value, shape) }
        return number
      },
      json: { .integer(Int($0)) })
  }
}

extension ValueFormat {
  /// Values that files write as whole numbers.
  static func oneOf(_ allowed: [Value], as number: @escaping @Sendable (Value) -> Int) -> Self {
    let shape = ValueShape.integerChoice(allowed.map(number))
    return Self(
      shape: shape,
      parse: { (value) throws(Mismatch) in
        guard case .integer(let wide) = value.content, let found = allowed.first(where: { number($0) == wide }) else {
          throw mismatch(value, shape)
        }
        return found
      },
      json: { .integer(number($0)) })
  }
}

extension ValueFormat<Double> {
  /// A whole number is a number too.
  static func number(_ range: ClosedRange<Double>) -> Self {
    let shape = ValueShape.number(range)
    return Self(
      shape: shape,
      parse: { (value) throws(Mismatch) in
        let number: Double? =
          switch value.content {
          case .integer(let whole): Double(whole)
          case .real(let real): real
          default: nil
          }
        // NaN is in no range.
        guard let number, range.contains(number) else { throw mismatch(value, shape) }
        return number
      },
      json: { .number($0) })
  }
}

extension ValueFormat<Bool> {
  static var flag: Self {
    Self(
      shape: .boolean,
      parse: { (value) throws(Mismatch) in
        guard case .boolean(let flag) = value.content else { throw mismatch(value, .boolean) }
        return flag
      },
      json: { .boolean($0) })
  }
}

extension ValueFormat<String> {
  static func text(_ form: TextForm) -> Self {
    let shape = ValueShape.text(form)
    return Self(
      shape: shape,
      parse: { (value) throws(Mismatch) in
        guard case .string(let text) = value.content, form.accepts(text) else { throw mismatch(value, shape) }
        return text
      },
      json: { .string($0) })
  }
}

extension ValueFormat where Value: CaseIterable {
  static func choice(of name: @escaping @Sendable (Value) -> String) -> Self {
    let names = Value.allCases.map(name)
    let shape = ValueShape.choice(names)
    return Self(
      shape: shape,
      parse: { (value) throws(Mismatch) in
        guard case .string(let text) = value.content else { throw mismatch(value, shape) }
        guard let choice = Value.allCases.first(where: { name($0) == text }) else {
          throw mismatch(value, shape, suggestion: nearestName(to: text, among: names))
        }
        return choice
      },
      json: { .string(name($0)) })
  }
}

extension ValueFormat where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
  static var choice: Self { choice(of: { $0.rawValue }) }
}

extension ValueFormat {
  static func choices<Element: CaseIterable>(of name: @escaping @Sendable (Element) -> String) -> Self
  where Value == [Element] {
    let one = ValueFormat<Element>.choice(of: name)
    let shape = ValueShape.choices(Element.allCases.map(name))
    return Self(
      shape: shape,
      parse: { (value) throws(Mismatch) in
        guard case .array(let items) = value.content, !items.isEmpty else { throw mismatch(value, shape) }
        var found: [Element] = []
        for item in items {
          let element = try one.parse(item)
          guard !found.contains(element) else {
            throw Mismatch(place: item.place, what: "names \(item.summary) twice", expected: shape.expectation)
          }
          found.append(element)
        }
        return found
      },
      json: { .strings($0.map(name)) })
  }
}

extension ValueFormat<SecretReference> {
  static var secret: Self {
    Self(
      shape: .secret,
      parse: { (value) throws(Mismatch) in
        guard case .string(let text) = value.content, let reference = SecretReference(text) else {
          // The value is not quoted: somebody may have written the secret itself.
          throw Mismatch(
            place: value.place, what: "is not a place to read a secret from", expected: ValueShape.secret.expectation)
        }
        return reference
      },
      json: { .string($0.configurationText) })
  }
}

extension ValueFormat<PinReference> {
  static var pin: Self {
    Self(
      shape: .pin,
      parse: { (value) throws(Mismatch) in
        switch value.content {
        case .integer(let offset) where PinReference.offsets.contains(Int(clamping: offset)):
          return .offset(Int(clamping: offset))
        case .string(let name) where TextForm.label.accepts(name):
          return .name(name)
        default:
          throw mismatch(value, .pin)
        }
      },
      json: { pin in
        switch pin {
        case .name(let name): .string(name)
        case .offset(let offset): .integer(offset)
        }
      })
  }
}

extension JSONTree {
  /// The value in TOML's words; an object is an inline table.
  fileprivate var toml: String {
    switch self {
    case .string(let text): tomlString(text)
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .boolean(let flag): "\(flag)"
    case .array(let items): "[" + items.map(\.toml).joined(separator: ", ") + "]"
    case .object(let members):
      "{ " + members.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value.toml)" }.joined(separator: ", ") + " }"
    }
  }
}

/// A basic string of TOML.
private func tomlString(_ text: String) -> String {
  var out = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": out += "\\\""
    case "\\": out += "\\\\"
    default:
      if isControl(scalar) {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      } else {
        out.unicodeScalars.append(scalar)
      }
    }
  }
  return out + "\""
}
