import Foundation
import Testing

/// What a nurse or a technician reads is said as others say it.
@Suite struct PlainEnglishTests {
  /// The words, and what is said in their place.
  private static let replaced = [
    ("nobody vouches", "the clock is not synchronised"), ("to be had", "available"),
    ("no longer here", "no longer stored"), ("What was taken is saved", "what is saved, by number"),
    ("are the most.", "It should be at most ..."), ("heeded", "what to do with it"),
    ("and away the others", "hold only one"), ("the line rests", "sending is paused"),
    ("asks no more", "asks for no receipt"),
    ("keep on with", "keep holding"), ("certificate has ended", "expired"), ("stand between", "in between"),
  ]

  @Test func whatAPersonReadsHasNoPrivateIdioms() throws {
    var looked = 0
    for file in try House.swiftFiles(under: "Sources") {
      for (number, line) in try House.lines(of: file).enumerated()
      where line.contains("\"") && !line.drop(while: { $0 == " " }).hasPrefix("//") {
        looked += 1
        for (words, better) in Self.replaced where line.contains(words) {
          Issue.record("\(file):\(number + 1): \"\(words)\"; say: \(better)")
        }
      }
    }
    #expect(looked > 1000, "the texts were looked at: \(looked)")
  }
}
