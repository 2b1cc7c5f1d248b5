/// JSON that keeps the order of its members, which the listing and the schema want and an encoder does not give.
package indirect enum JSONText: Sendable {
  case string(String)
  case integer(Int)
  case number(Double)
  case boolean(Bool)
  case array([JSONText])
  case object([(String, JSONText)])
  /// Text that is JSON already. A value written for TOML is: the two share their numbers, strings and lists.
  case literal(String)

  /// One line, as every tool's --json prints it.
  package var compact: String {
    switch self {
    case .array(let items): "[" + items.map(\.compact).joined(separator: ",") + "]"
    case .object(let members):
      "{" + members.map { "\(tomlString($0)):\($1.compact)" }.joined(separator: ",") + "}"
    default: formatted()
    }
  }

  /// Two spaces a level; a newline between members.
  package func formatted(indent: String = "") -> String {
    let deeper = indent + "  "
    switch self {
    case .string(let text): return tomlString(text)
    case .integer(let number): return "\(number)"
    case .number(let number): return "\(number)"
    case .boolean(let flag): return "\(flag)"
    case .literal(let text): return text
    case .array(let items):
      if items.isEmpty { return "[]" }
      return "[\n" + items.map { deeper + $0.formatted(indent: deeper) }.joined(separator: ",\n") + "\n\(indent)]"
    case .object(let members):
      if members.isEmpty { return "{}" }
      return "{\n"
        + members.map { "\(deeper)\(tomlString($0)): \($1.formatted(indent: deeper))" }.joined(separator: ",\n")
        + "\n\(indent)}"
    }
  }
}
