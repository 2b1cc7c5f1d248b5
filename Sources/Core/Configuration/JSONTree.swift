/// JSON whose members are known only at run time, e.g. the table of keys. `CanonicalJSON` writes it.
package enum JSONTree: Sendable, Equatable, Encodable {
  case string(String)
  case integer(Int)
  case number(Double)
  case boolean(Bool)
  case array([JSONTree])
  case object([String: JSONTree])

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .string(let text): try container.encode(text)
    case .integer(let number): try container.encode(number)
    case .number(let number): try container.encode(number)
    case .boolean(let flag): try container.encode(flag)
    case .array(let items): try container.encode(items)
    case .object(let members): try container.encode(members)
    }
  }
}

extension JSONTree: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
  package init(stringLiteral text: String) { self = .string(text) }
  package init(integerLiteral number: Int) { self = .integer(number) }
  package init(booleanLiteral flag: Bool) { self = .boolean(flag) }
}

extension JSONTree: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral {
  package init(dictionaryLiteral members: (String, JSONTree)...) {
    self = .object(Dictionary(members) { _, last in last })
  }
  package init(arrayLiteral items: JSONTree...) { self = .array(items) }
}

extension JSONTree {
  static func strings(_ texts: [String]) -> JSONTree { .array(texts.map { .string($0) }) }
}
