import Provenance

/// The sensor's 832 EEPROM words as read (datasheet 10.3): word `i` is at address 0x2400 + i.
package struct EEPROMImage: Sendable, Hashable {
  package static let wordCount = 832
  package let words: [UInt16]

  /// - Parameter words: exactly 832 words.
  package init(words: [UInt16]) throws(WordCountError) {
    guard words.count == Self.wordCount else {
      throw WordCountError(what: "an EEPROM", expected: Self.wordCount, found: words.count)
    }
    self.words = words
  }

  /// Words that a driver read into storage of the right size.
  init(read words: [UInt16]) {
    precondition(words.count == Self.wordCount)
    self.words = words
  }

  /// The part's unique 48-bit number (words 0x2407...0x2409) as 12 hexadecimal digits.
  package var serialNumber: String {
    Hexadecimal.text(of: words[7...9].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] })
  }

  subscript(_ index: Int) -> UInt16 { words[index] }

  /// `width` bits of word `index` from bit `lowest`, unsigned.
  func field(_ index: Int, _ lowest: Int, _ width: Int) -> Int {
    Int(words[index] >> UInt16(lowest)) & (1 << width - 1)
  }

  /// `width` bits of word `index` from bit `lowest`, two's complement.
  func signedField(_ index: Int, _ lowest: Int, _ width: Int) -> Int {
    let value = field(index, lowest, width)
    return value >= 1 << (width - 1) ? value - 1 << width : value
  }
}

/// A list of words had the wrong length.
package struct WordCountError: Error, Equatable, Sendable, CustomStringConvertible {
  package var what: String
  package var expected: Int
  package var found: Int

  package var description: String { "\(what) has \(expected) words; found \(found)" }
}
