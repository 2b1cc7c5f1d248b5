/// One measured half of an image as it was read: RAM words 0x0400...0x073F with the registers that give them meaning.
package struct SubPage: Sendable, Hashable {
  package static let wordCount = 832

  /// 832 words in host order: 768 pixels row-major, then the auxiliary words (see `AuxiliaryIndex`).
  package var words: [UInt16]
  /// The control register in force: it gives the reading pattern and the converter's resolution.
  package var control: ControlRegister
  /// 0 or 1, from the status register before the block was read.
  package var number: Int
  /// When data-ready was seen, on the driver's clock; 0 for words from a file.
  package var readyMicroseconds: UInt64

  /// - Parameters:
  ///   - words: exactly 832 words.
  ///   - number: 0 or 1.
  package init(
    words: [UInt16], control: ControlRegister, number: Int, readyMicroseconds: UInt64 = 0
  ) throws(WordCountError) {
    guard words.count == Self.wordCount else {
      throw WordCountError(what: "a sub-page", expected: Self.wordCount, found: words.count)
    }
    self.words = words
    self.control = control
    self.number = number & 1
    self.readyMicroseconds = readyMicroseconds
  }

  /// Storage to read into: all words 0x7FFF ("never measured").
  package static var unread: SubPage {
    SubPage()
  }

  private init() {
    words = Array(repeating: 0x7FFF, count: Self.wordCount)
    control = .powerUpDefault
    number = 0
    readyMicroseconds = 0
  }
}
