import Provenance

/// Word files: decimal or 0x-hexadecimal 16-bit words separated by white space.
package enum WordFile {
  /// Words of a frame file: RAM 0x0400...0x073F, control register 0x800D, sub-page number.
  package static let frameWordCount = SubPage.wordCount + 2
  /// A file larger than this is refused before it is parsed.
  package static let maximumBytes = 65_536

  /// - Parameter name: the file, for the error.
  package static func parse(_ text: some Collection<UInt8>, name: String) throws(WordFileError) -> [UInt16] {
    guard text.count <= maximumBytes else {
      throw WordFileError(name: name, line: 1, what: "the file has more than \(maximumBytes) bytes")
    }
    var words: [UInt16] = []
    var line = 1
    var token: [UInt8] = []
    func finish() throws(WordFileError) {
      guard !token.isEmpty else { return }
      guard let word = value(of: token) else {
        let shown = String(decoding: token.prefix(20), as: UTF8.self)
        throw WordFileError(
          name: name, line: line, what: "'\(shown)' is not a word; expected 0...65535 or 0x0...0xffff")
      }
      words.append(word)
      token.removeAll(keepingCapacity: true)
    }
    for byte in text {
      switch byte {
      case 0x20, 0x09, 0x0D: try finish()
      case 0x0A:
        try finish()
        line += 1
      default: token.append(byte)
      }
    }
    try finish()
    return words
  }

  /// An EEPROM of 832 words.
  package static func eeprom(_ text: some Collection<UInt8>, name: String) throws(WordFileError) -> EEPROMImage {
    let words = try parse(text, name: name)
    do { return try EEPROMImage(words: words) } catch {
      throw WordFileError(name: name, line: nil, what: error.description)
    }
  }

  /// A frame of 834 words.
  package static func frame(_ text: some Collection<UInt8>, name: String) throws(WordFileError) -> SubPage {
    let words = try parse(text, name: name)
    guard words.count == frameWordCount else {
      let counts = WordCountError(what: "a frame", expected: frameWordCount, found: words.count)
      throw WordFileError(name: name, line: nil, what: counts.description)
    }
    guard words[833] <= 1 else {
      throw WordFileError(name: name, line: nil, what: "the sub-page number is \(words[833]), expected 0 or 1")
    }
    do {
      return try SubPage(
        words: Array(words[..<SubPage.wordCount]), control: ControlRegister(rawValue: words[832]),
        number: Int(words[833]))
    } catch {
      throw WordFileError(name: name, line: nil, what: error.description)
    }
  }

  /// The words as a file: sixteen a line, decimal.
  package static func text(of words: [UInt16]) -> String {
    stride(from: 0, to: words.count, by: 16).map { start in
      words[start..<min(start + 16, words.count)].map { String($0) }.joined(separator: " ") + "\n"
    }.joined()
  }

  /// The words of a sub-page as a frame file.
  package static func text(of subPage: SubPage) -> String {
    text(of: subPage.words + [subPage.control.rawValue, UInt16(subPage.number)])
  }

  private static func value(of token: [UInt8]) -> UInt16? {
    let isHexadecimal = token.count > 2 && token[0] == UInt8(ascii: "0") && token[1] | 0x20 == UInt8(ascii: "x")
    let digits = isHexadecimal ? token.dropFirst(2) : token[...]
    guard digits.allSatisfy({ Hexadecimal.value(of: $0) != nil }) else { return nil }
    return UInt16(String(decoding: digits, as: UTF8.self), radix: isHexadecimal ? 16 : 10)
  }
}

/// A word file that cannot be read as one.
package struct WordFileError: Error, Equatable, Sendable, CustomStringConvertible {
  package var name: String
  /// From 1; nil when the whole file is at fault.
  package var line: Int?
  package var what: String

  package var description: String { line.map { "\(name):\($0): \(what)" } ?? "\(name): \(what)" }
}
