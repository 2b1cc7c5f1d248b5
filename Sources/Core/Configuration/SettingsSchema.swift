/// The table of keys as JSON Schema 2020-12, for editors that complete and check TOML. It knows one key at a time;
/// conditions on several keys are the program's.
package enum SettingsSchema {
  package static var json: JSONText {
    var tables: [(String, JSONText)] = [
      (
        "schema",
        .object([("const", .integer(Settings.schemaVersion)), ("description", .string("version of the file"))])
      )
    ]
    for (name, keys) in grouped {
      var table: [(String, JSONText)] = [
        ("type", .string("object")), ("additionalProperties", .boolean(false)),
        ("properties", .object(keys.map { ($0.name, property($0)) } + retired(in: name))),
      ]
      let required = keys.filter(\.isRequired)
      if !required.isEmpty { table.append(("required", .array(required.map { .string($0.name) }))) }
      tables.append((name, .object(table)))
    }
    let required = grouped.filter { $0.keys.contains(where: \.isRequired) }.map(\.name)
    return .object([
      ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
      ("title", .string("thermograph.toml")),
      ("type", .string("object")),
      ("additionalProperties", .boolean(false)),
      ("required", .array((["schema"] + required).map { .string($0) })),
      ("properties", .object(tables)),
    ])
  }

  private static var grouped: [(name: String, keys: [SettingKey])] {
    var tables: [(name: String, keys: [SettingKey])] = []
    for key in SettingKey.all {
      if tables.last?.name == key.table {
        tables[tables.count - 1].keys.append(key)
      } else {
        tables.append((key.table, [key]))
      }
    }
    return tables
  }

  /// Editors strike them through.
  private static func retired(in table: String) -> [(String, JSONText)] {
    RetiredKey.all.filter { $0.table == table }.map { key in
      let instead = key.successor.map { "called \($0)" } ?? "without effect"
      return (
        key.name, .object([("deprecated", .boolean(true)), ("description", .string("\(instead) since \(key.since)"))])
      )
    }
  }

  private static func property(_ key: SettingKey) -> JSONText {
    var members = key.shape.schema
    members.append(("description", .string(key.summary)))
    if let value = key.effectiveJSON(Settings()), !key.isRequired { members.append(("default", value)) }
    return .object(members)
  }
}

extension ValueShape {
  fileprivate var schema: [(String, JSONText)] {
    switch self {
    case .integer(let range):
      [
        ("type", .string("integer")), ("minimum", .integer(range.lowerBound)), ("maximum", .integer(range.upperBound)),
      ]
    case .integerChoice(let allowed): [("enum", .array(allowed.map { .integer($0) }))]
    case .number(let range):
      [("type", .string("number")), ("minimum", .number(range.lowerBound)), ("maximum", .number(range.upperBound))]
    case .boolean: [("type", .string("boolean"))]
    case .text(let form): form.schema
    case .choice(let allowed): [("enum", .array(allowed.map { .string($0) }))]
    case .choices(let allowed):
      [
        ("type", .string("array")), ("items", .object([("enum", .array(allowed.map { .string($0) }))])),
        ("minItems", .integer(1)), ("uniqueItems", .boolean(true)),
      ]
    case .secret:
      [("type", .string("string")), ("pattern", .string("^(/|credential:[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$)"))]
    case .items(let counts, let fields):
      [
        ("type", .string("array")), ("minItems", .integer(counts.lowerBound)),
        ("maxItems", .integer(counts.upperBound)),
        (
          "items",
          .object([
            ("type", .string("object")), ("additionalProperties", .boolean(false)),
            ("required", .array(fields.map { .string($0.name) })),
            ("properties", .object(fields.map { ($0.name, .object($0.shape.schema)) })),
          ])
        ),
      ]
    case .pin:
      [
        (
          "anyOf",
          .array([
            .object(TextForm.label.schema),
            .object([
              ("type", .string("integer")), ("minimum", .integer(PinReference.offsets.lowerBound)),
              ("maximum", .integer(PinReference.offsets.upperBound)),
            ]),
          ])
        )
      ]
    }
  }
}

extension TextForm {
  fileprivate var schema: [(String, JSONText)] { [("type", .string("string")), ("pattern", .string(pattern))] }
}
