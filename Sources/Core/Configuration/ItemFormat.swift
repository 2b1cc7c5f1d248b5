/// One key of the tables in a list.
struct ItemField<Element: Sendable & Equatable>: Sendable {
  let shape: ValueShape.ItemShape
  let assign: @Sendable (LocatedValue, inout Element) throws(Mismatch) -> Void
  let json: @Sendable (Element) -> JSONTree
  let toml: @Sendable (Element) -> String

  static func field<Value>(
    _ name: String, _ property: any WritableKeyPath<Element, Value> & Sendable, _ format: ValueFormat<Value>
  ) -> Self {
    Self(
      shape: .init(name: name, shape: format.shape),
      assign: { (value, element) throws(Mismatch) in
        do throws(Mismatch) {
          element[keyPath: property] = try format.parse(value)
        } catch {
          throw Mismatch(
            place: error.place, what: "has \(name) that \(error.what)", expected: error.expected,
            suggestion: error.suggestion)
        }
      },
      json: { format.json($0[keyPath: property]) }, toml: { format.render($0[keyPath: property]) })
  }
}

extension ValueFormat {
  /// Longer lists are written a line each, so that no line becomes longer than a file may have.
  private static var inlineByteCount: Int { 800 }

  /// A list of tables, `[{ ... }, { ... }]` or `[[table.key]]`. Every key of a table must be there.
  ///
  /// - Parameter blank: what the keys of a table are set in.
  static func items<Element>(
    _ counts: ClosedRange<Int>, of blank: Element, _ fields: [ItemField<Element>]
  ) -> Self where Value == [Element] {
    let shape = ValueShape.items(counts, fields.map(\.shape))
    let names = fields.map(\.shape.name)
    return Self(
      shape: shape,
      parse: { (value) throws(Mismatch) in
        guard case .array(let items) = value.content, counts.contains(items.count) else {
          throw mismatch(value, shape)
        }
        var elements: [Element] = []
        for item in items {
          guard case .table(let entries) = item.content else { throw mismatch(item, shape) }
          var element = blank
          for entry in entries {
            guard let field = fields.first(where: { $0.shape.name == entry.key }) else {
              throw Mismatch(
                place: entry.keyPlace, what: "has a table with the unknown key \(quoted(entry.key))",
                expected: shape.expectation, suggestion: nearestName(to: entry.key, among: names))
            }
            try field.assign(entry.value, &element)
          }
          if let missing = names.first(where: { name in !entries.contains { $0.key == name } }) {
            throw Mismatch(
              place: item.place, what: "has a table without \(missing)", expected: shape.expectation)
          }
          elements.append(element)
        }
        return elements
      },
      json: { elements in
        .array(
          elements.map { element in
            .object(Dictionary(fields.map { ($0.shape.name, $0.json(element)) }) { _, last in last })
          })
      },
      toml: { elements in
        let tables = elements.map { element in
          "{ " + fields.map { "\($0.shape.name) = \($0.toml(element))" }.joined(separator: ", ") + " }"
        }
        let inline = "[" + tables.joined(separator: ", ") + "]"
        return inline.utf8.count <= inlineByteCount
          ? inline : "[\n" + tables.map { "  \($0),\n" }.joined() + "]"
      })
  }
}
