/// Letters of five by seven points, enough for a view's words. Drawn for this project.
enum BitmapFont {
  static let width = 5
  static let height = 7
  /// From the left edge of a letter to that of the next.
  static let advance = 6

  /// Seven rows from the top; bit 4 is the leftmost point. Lower-case letters are drawn as capitals; what the font
  /// does not have is a box.
  static func rows(of character: Character) -> [UInt8] {
    glyphs[character] ?? glyphs[Character(character.uppercased())] ?? [31, 17, 17, 17, 17, 17, 31]
  }

  private static let glyphs: [Character: [UInt8]] = [
    " ": [0, 0, 0, 0, 0, 0, 0], "-": [0, 0, 0, 14, 0, 0, 0], ".": [0, 0, 0, 0, 0, 12, 12],
    ":": [0, 12, 12, 0, 12, 12, 0], "'": [4, 4, 8, 0, 0, 0, 0], "/": [1, 1, 2, 4, 8, 16, 16],
    "°": [12, 18, 18, 12, 0, 0, 0],
    "0": [14, 17, 19, 21, 25, 17, 14], "1": [4, 12, 4, 4, 4, 4, 14], "2": [14, 17, 1, 6, 8, 16, 31],
    "3": [31, 2, 4, 2, 1, 17, 14], "4": [2, 6, 10, 18, 31, 2, 2], "5": [31, 16, 30, 1, 1, 17, 14],
    "6": [6, 8, 16, 30, 17, 17, 14], "7": [31, 1, 2, 4, 8, 8, 8], "8": [14, 17, 17, 14, 17, 17, 14],
    "9": [14, 17, 17, 15, 1, 2, 12], "A": [14, 17, 17, 31, 17, 17, 17], "B": [30, 17, 17, 30, 17, 17, 30],
    "C": [14, 17, 16, 16, 16, 17, 14], "D": [28, 18, 17, 17, 17, 18, 28], "E": [31, 16, 16, 30, 16, 16, 31],
    "F": [31, 16, 16, 30, 16, 16, 16], "G": [14, 17, 16, 23, 17, 17, 15], "H": [17, 17, 17, 31, 17, 17, 17],
    "I": [14, 4, 4, 4, 4, 4, 14], "J": [7, 2, 2, 2, 2, 18, 12], "K": [17, 18, 20, 24, 20, 18, 17],
    "L": [16, 16, 16, 16, 16, 16, 31], "M": [17, 27, 21, 21, 17, 17, 17], "N": [17, 25, 21, 21, 19, 17, 17],
    "O": [14, 17, 17, 17, 17, 17, 14], "P": [30, 17, 17, 30, 16, 16, 16], "Q": [14, 17, 17, 17, 21, 18, 13],
    "R": [30, 17, 17, 30, 20, 18, 17], "S": [15, 16, 16, 14, 1, 1, 30], "T": [31, 4, 4, 4, 4, 4, 4],
    "U": [17, 17, 17, 17, 17, 17, 14], "V": [17, 17, 17, 17, 17, 10, 4], "W": [17, 17, 17, 21, 21, 27, 17],
    "X": [17, 17, 10, 4, 10, 17, 17], "Y": [17, 17, 10, 4, 4, 4, 4], "Z": [31, 1, 2, 4, 8, 16, 31],
  ]
}

extension RGBImage {
  /// Draws one line of text with its top left corner at (`column`, `row`); what does not fit is left out.
  package mutating func draw(_ text: String, column: Int, row: Int, color: RGBColor) {
    for (place, character) in text.enumerated() {
      for (down, points) in BitmapFont.rows(of: character).enumerated() {
        for across in 0..<BitmapFont.width where points >> UInt8(BitmapFont.width - 1 - across) & 1 == 1 {
          self[column: column + place * BitmapFont.advance + across, row: row + down] = color
        }
      }
    }
  }
}
