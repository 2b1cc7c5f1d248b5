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

  /// Every model that is shipped is a demonstration, and none of its outcomes may alarm anybody: no page and no example offers
  /// a rule that would.
  @Test func noPageOffersAnOutcomeAsAnAlert() throws {
    let pages = try ["Docs", "systemd", "Fleet"].flatMap { folder in
      try FileManager.default.subpathsOfDirectory(atPath: House.path(folder))
        .filter { $0.hasSuffix(".md") || $0.hasSuffix(".toml") || $0.hasSuffix(".conf") }.map { folder + "/" + $0 }
    }
    #expect(pages.count > 20 && pages.contains("Docs/session.md") && pages.contains("systemd/thermograph.toml"))
    for page in pages {
      for (number, line) in try House.lines(of: page).enumerated() {
        #expect(!line.contains(/on\s*=\s*"outcome/), "\(page):\(number + 1): \(line)")
      }
    }
  }

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
