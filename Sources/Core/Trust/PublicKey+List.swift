extension PublicKey {
  /// A file of such keys is never longer.
  package static let listBytesMaximum = 16 * 1024

  /// The keys of a text of several PEM blocks one behind another, as `cat` puts them together. Between them only empty
  /// lines and lines that begin with `#` are taken.
  ///
  /// - Throws: `.form` for anything else in it, for no key at all and for one that stands there twice.
  package static func list(pem: [UInt8]) throws(KeyFault) -> [PublicKey] {
    guard pem.count <= listBytesMaximum, let text = String(validating: pem, as: UTF8.self) else {
      throw .form("no text of at most \(listBytesMaximum) bytes")
    }
    var keys: [PublicKey] = []
    var block: [Substring] = []
    for line in text.split(whereSeparator: \.isNewline) {
      if block.isEmpty, line.first == "#" || line.allSatisfy({ $0 == " " || $0 == "\t" }) { continue }
      block.append(line)
      guard line.hasPrefix("-----END") else { continue }
      let key = try PublicKey(pem: block.joined(separator: "\n"))
      guard !keys.contains(key) else { throw .form("there twice") }
      keys.append(key)
      block = []
    }
    guard block.isEmpty else { throw .form("not in PEM: text without an END line") }
    guard !keys.isEmpty else { throw .form("missing: no public key in PEM is there") }
    return keys
  }
}
