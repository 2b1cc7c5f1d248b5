/// SplitMix64: the same numbers on every run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

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
