import Provenance

extension JSONValue {
  /// The JSON text without white space, members in their order.
  package func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    write(into: &bytes, escapesControls: true, sortsMembers: false)
    return bytes
  }

  /// Canonical JSON as TUF signs it (OLPC): members sorted by their bytes, no white space, and in text only `"` and `\`
  /// are escaped, so that a line end stands there as it is.
  ///
  /// - Throws: `ShapeFault` for a number with a fraction, which that form does not know.
  package func canonicallyEncoded() throws(ShapeFault) -> [UInt8] {
    guard !holdsDecimal else {
      throw ShapeFault("a number with a fraction or an exponent; canonical JSON has none")
    }
    var bytes: [UInt8] = []
    write(into: &bytes, escapesControls: false, sortsMembers: true)
    return bytes
  }

  private var holdsDecimal: Bool {
    switch self {
    case .decimal: true
    case .array(let elements): elements.contains(where: \.holdsDecimal)
    case .object(let object): object.members.contains { $0.value.holdsDecimal }
    case .null, .boolean, .integer, .string: false
    }
  }

  private func write(into bytes: inout [UInt8], escapesControls: Bool, sortsMembers: Bool) {
    switch self {
    case .null: bytes += "null".utf8
    case .boolean(let value): bytes += (value ? "true" : "false").utf8
    case .integer(let value): bytes += String(value).utf8
    case .decimal(let text): bytes += text.utf8
    case .string(let text): Self.write(text, into: &bytes, escapesControls: escapesControls)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        element.write(into: &bytes, escapesControls: escapesControls, sortsMembers: sortsMembers)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let object):
      let members = sortsMembers ? object.members.sorted { $0.name < $1.name } : object.members
      bytes.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        Self.write(member.name, into: &bytes, escapesControls: escapesControls)
        bytes.append(UInt8(ascii: ":"))
        member.value.write(into: &bytes, escapesControls: escapesControls, sortsMembers: sortsMembers)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ text: ExactText, into bytes: inout [UInt8], escapesControls: Bool) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case ..<0x20 where escapesControls:
        bytes += "\\u00".utf8
        bytes += [Hexadecimal.digit(of: byte >> 4), Hexadecimal.digit(of: byte & 15)]
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
