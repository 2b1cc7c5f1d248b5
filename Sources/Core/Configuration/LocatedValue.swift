/// A value of a configuration file and where it stands, whatever the file's syntax was.
package struct LocatedValue: Sendable {
  package enum Content: Sendable {
    case string(String)
    case integer(Int64)
    case real(Double)
    case boolean(Bool)
    /// TOML knows dates and times; no key takes one.
    case dateOrTime
    case array([LocatedValue])
    case table([Entry])
  }

  /// A key of a table. Entries stand in the order of the file.
  package struct Entry: Sendable {
    package var key: String
    package var keyPlace: SourcePlace
    package var value: LocatedValue

    package init(key: String, keyPlace: SourcePlace, value: LocatedValue) {
      self.key = key
      self.keyPlace = keyPlace
      self.value = value
    }
  }

  package var place: SourcePlace
  package var content: Content

  package init(_ content: Content, at place: SourcePlace) {
    self.content = content
    self.place = place
  }

  /// For a fault's text: the value itself where it is short, else what it is.
  var summary: String {
    switch content {
    case .string(let text): quoted(text)
    case .integer(let number): "\(number)"
    case .real(let number): "\(number)"
    case .boolean(let flag): "\(flag)"
    case .dateOrTime: "a date or time"
    case .array: "a list"
    case .table: "a table"
    }
  }
}

/// `text` in double quotes on one line: control characters escaped, shortened to 60 characters.
func quoted(_ text: String) -> String {
  var out = ""
  for scalar in text.unicodeScalars.prefix(60) {
    switch scalar {
    case "\"": out += "\\\""
    case "\\": out += "\\\\"
    case "\n": out += "\\n"
    case "\t": out += "\\t"
    default:
      if isControl(scalar) {
        out += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        out.unicodeScalars.append(scalar)
      }
    }
  }
  return text.unicodeScalars.count > 60 ? "\"\(out)...\"" : "\"\(out)\""
}

/// C0, DEL, C1, line separators and the bidirectional controls: what could disguise a line of a log or a terminal.
package func isControl(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
  default: false
  }
}
