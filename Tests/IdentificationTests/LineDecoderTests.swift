import Identification
import Testing

@Suite("Line readers")
struct LineDecoderTests {
  private func events(_ text: String, _ pattern: LinePattern = LinePattern()) -> [DecoderEvent] {
    var decoder = LineDecoder(pattern: pattern)
    return decoder.decode(Array(text.utf8)) + decoder.endOfBurst()
  }

  @Test func linesEndWithReturnOrFeedOrBoth() {
    for end in ["\r", "\n", "\r\n"] {
      #expect(events("67003B51C6\(end)0c000621a5\(end)").map(\.uidText) == ["67003b51c6", "0c000621a5"])
    }
  }

  @Test func aLineCountsOnlyWhole() {
    let table: [(String, FrameReject)] = [
      ("67003B51C", FrameReject(.truncated, byteCount: 9)),
      ("67003B51C\r", FrameReject(.badLength, byteCount: 9)),
      ("67003B51CG\r", FrameReject(.notADigit, byteCount: 10)),
      ("67 003B51C6\r", FrameReject(.notADigit, byteCount: 11)),
      ("6700\u{0}03B51\r", FrameReject(.notADigit, byteCount: 10)),
      ("6" + String(repeating: "7", count: 33) + "\r", FrameReject(.badLength, byteCount: 34)),
      (String(repeating: "7", count: 100) + "\r", FrameReject(.badLength, byteCount: 100)),
    ]
    for (text, reject) in table { #expect(events(text) == [.reject(reject)], "\(text)") }
  }

  @Test func theTailOfAnOverlongLineIsNoLine() {
    let found = events(String(repeating: "0", count: 1024) + "67003B51C6\r67003B51C6\r")
    #expect(found.map(\.uidText) == [nil, nil, "67003b51c6"])
  }

  @Test func decimalNumbersFillTheirBytes() {
    let ten = LinePattern(number: .decimal, digitCounts: 10...10)
    #expect(events("0003887558\n", ten).map(\.uidText) == ["003b51c6"])
    #expect(events("4294967295\n", ten).map(\.uidText) == ["ffffffff"])
    #expect(events("4294967296\n", ten) == [.reject(FrameReject(.badLength, byteCount: 10))])
    #expect(events("3887558\n", ten) == [.reject(FrameReject(.badLength, byteCount: 7))])
    #expect(events("00038875F8\n", ten) == [.reject(FrameReject(.notADigit, byteCount: 10))])
    let wide = LinePattern(number: .decimal, digitCounts: 1...39, decimalByteCount: 16)
    #expect(
      events("340282366920938463463374607431768211455\n", wide).map(\.uidText) == [String(repeating: "f", count: 32)])
    #expect(
      events("340282366920938463463374607431768211456\n", wide) == [.reject(FrameReject(.badLength, byteCount: 39))])
  }

  @Test func prefixAndSuffixAreAskedFor() {
    let pattern = LinePattern(prefix: Array("UID=".utf8), suffix: Array(";".utf8))
    #expect(events("UID=67003B51C6;\r", pattern).map(\.uidText) == ["67003b51c6"])
    for text in ["67003B51C6\r", "UID=67003B51C6\r", "uid=67003B51C6;\r", "UID=;\r", "UID=\r"] {
      #expect(events(text, pattern) == [.reject(FrameReject(.badContent, byteCount: text.utf8.count - 1))], "\(text)")
    }
  }
}
