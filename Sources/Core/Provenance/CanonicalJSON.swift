import FoundationEssentials

/// The one way the house writes JSON: sorted keys, slashes as they are; equal values are equal bytes.
package enum CanonicalJSON {
  /// One line, without white space.
  package static func bytes(of value: some Encodable) throws -> [UInt8] { try [UInt8](encoder().encode(value)) }

  /// The same as text.
  package static func text(of value: some Encodable) throws -> String {
    String(decoding: try encoder().encode(value), as: UTF8.self)
  }

  /// Over several lines, for files and output that people read; without a newline at the end.
  package static func indentedText(of value: some Encodable) throws -> String {
    let encoder = encoder()
    encoder.outputFormatting.insert(.prettyPrinted)
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  private static func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }
}
