extension UTCTime {
  /// Milliseconds since 1970 of `YYYY-MM-DDTHH:MM:SS[.fraction]Z` with 1 to 9 digits of a fraction, rounded down; or nil.
  package static func milliseconds(of text: ExactText) -> Int64? {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z") else { return nil }
    let whole = String(decoding: bytes[..<19], as: UTF8.self) + "Z"
    guard let seconds = seconds(of: ExactText(whole)) else { return nil }
    guard bytes.count > 20 else { return seconds * 1000 }
    let fraction = bytes[20..<(bytes.count - 1)]
    guard bytes[19] == UInt8(ascii: "."), (1...9).contains(fraction.count),
      fraction.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    var thousandths: Int64 = 0
    for place in 0..<3 {
      let index = fraction.startIndex + place
      thousandths = thousandths * 10 + (fraction.indices.contains(index) ? Int64(fraction[index] - 0x30) : 0)
    }
    return seconds * 1000 + thousandths
  }
}
