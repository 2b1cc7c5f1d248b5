import FoundationEssentials

/// Base64 (RFC 4648 sections 4 and 5) with its padding, one text for one value.
package enum Base64Text {
  package static func text(of bytes: [UInt8]) -> String {
    Data(bytes).base64EncodedString()
  }

  /// The bytes written as `text` in the standard or in the URL alphabet, never both; nil for anything else, be it white
  /// space, missing padding or stray bits at the end.
  package static func bytes(of text: ExactText) -> [UInt8]? {
    var standard = text.string
    if standard.utf8.contains(where: { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }) {
      guard !standard.utf8.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "/") }) else { return nil }
      standard = String(
        decoding: standard.utf8.map { byte in
          switch byte {
          case UInt8(ascii: "-"): UInt8(ascii: "+")
          case UInt8(ascii: "_"): UInt8(ascii: "/")
          default: byte
          }
        }, as: UTF8.self)
    }
    guard let data = Data(base64Encoded: standard),
      data.base64EncodedString().utf8.elementsEqual(standard.utf8)
    else { return nil }
    return [UInt8](data)
  }
}
