extension [UInt8] {
  private static let pieces: [[UInt8]] = [
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\ud800", "1e2", "1.0", "-", "0", "99999999999999999999",
    "null",
    "\u{0}", "\u{E9}", " ", "\n", "{\"a\":1,\"a\":2}", "\"keyid\":\"\"", "=", "==", "AA",
  ].map { Array($0.utf8) }

  /// One change of a kind that parsers have been broken by: a bit, a byte, a cut, a piece doubled or moved, a token put in.
  mutating func mutate(using random: inout some RandomNumberGenerator) {
    guard !isEmpty else { return }
    let place = Int.random(in: 0..<count, using: &random)
    let end = Swift.min(count, place + Int.random(in: 1...12, using: &random))
    switch Int.random(in: 0..<8, using: &random) {
    case 0: self[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: self[place] = UInt8.random(in: 0...255, using: &random)
    case 2: removeSubrange(place..<end)
    case 3: insert(contentsOf: Array(self[place..<end]), at: place)
    case 4: removeSubrange(place...)
    case 5: insert(contentsOf: Self.pieces.randomElement(using: &random) ?? [], at: place)
    case 6: replaceSubrange(place..<end, with: Self.pieces.randomElement(using: &random) ?? [])
    default:
      let piece = Array(self[place..<end])
      removeSubrange(place..<end)
      insert(contentsOf: piece, at: Int.random(in: 0...count, using: &random))
    }
  }
}
