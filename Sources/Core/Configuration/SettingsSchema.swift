/// The table of keys as JSON Schema 2020-12, for editors that complete and check TOML. It knows one key at a time;
/// conditions on several keys are the program's. `x-order` is the place in the table of keys, which JSON does not keep.
package enum SettingsSchema {
  package static var json: JSONTree {
    var tables: [String: JSONTree] = [
      "schema": ["const": .integer(Settings.schemaVersion), "description": "version of the file"]
    ]
    for (order, group) in grouped.enumerated() {
      var table: [String: JSONTree] = [
        "type": "object", "additionalProperties": false, "properties": .object(properties(of: group)),
        "x-order": .integer(order),
      ]
      let required = group.keys.filter(\.isRequired)
      if !required.isEmpty { table["required"] = .strings(required.map(\.name)) }
      tables[group.name] = .object(table)
    }
    let required = grouped.filter { $0.keys.contains(where: \.isRequired) }.map(\.name)
    return [
      "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "thermograph.toml", "type": "object",
      "additionalProperties": false, "required": .strings(["schema"] + required), "properties": .object(tables),
    ]
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

  /// The keys of a table, and the retired ones, which editors strike through.
  private static func properties(of group: (name: String, keys: [SettingKey])) -> [String: JSONTree] {
    var properties: [String: JSONTree] = [:]
    for (order, key) in group.keys.enumerated() {
      var members = key.shape.schema
      members["description"] = .string(key.summary)
      if !key.isRequired { members["default"] = key.effectiveJSON(Settings()) }
      members["x-order"] = .integer(order)
      properties[key.name] = .object(members)
    }
    let retired = RetiredKey.all.filter { $0.table == group.name }
    for (order, key) in retired.enumerated() {
      let instead = key.successor.map { "called \($0)" } ?? "without effect"
      properties[key.name] = [
        "deprecated": true, "description": .string("\(instead) since \(key.since)"),
        "x-order": .integer(group.keys.count + order),
      ]
    }
    return properties
  }
}

extension ValueShape {
  fileprivate var schema: [String: JSONTree] {
    switch self {
    case .integer(let range): Self.integers(range)
    case .integerChoice(let allowed): ["enum": .array(allowed.map { .integer($0) })]
    case .number(let range):
      ["type": "number", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound)]
    case .boolean: ["type": "boolean"]
    case .text(let form): form.schema
    case .choice(let allowed): ["enum": .strings(allowed)]
    case .choices(let allowed):
      ["type": "array", "items": ["enum": .strings(allowed)], "minItems": 1, "uniqueItems": true]
    case .secret: ["type": "string", "pattern": "^(/|credential:[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$)"]
    case .items(let counts, let fields):
      [
        "type": "array", "minItems": .integer(counts.lowerBound), "maxItems": .integer(counts.upperBound),
        "items": [
          "type": "object", "additionalProperties": false, "required": .strings(fields.map(\.name)),
          "properties": .object(
            Dictionary(fields.map { ($0.name, .object($0.shape.schema)) }) { _, last in last }),
        ],
      ]
    case .pin: ["anyOf": [.object(TextForm.label.schema), .object(Self.integers(PinReference.offsets))]]
    }
  }

  private static func integers(_ range: ClosedRange<Int>) -> [String: JSONTree] {
    ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
  }
}

extension TextForm {
  fileprivate var schema: [String: JSONTree] { ["type": "string", "pattern": .string(pattern)] }
}
