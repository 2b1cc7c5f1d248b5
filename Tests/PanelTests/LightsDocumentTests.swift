import Foundation
import Panel
import Testing

@Suite struct LightsDocumentTests {
  /// Docs/lights.md is what a patient is shown: each signal has its row there, with the pattern that the device plays.
  @Test func thePageShowsThePatternsThatThePanelPlays() throws {
    let repository = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(contentsOf: repository.appending(path: "Docs/lights.md"), encoding: .utf8)
    let table = page.split(separator: "\n").filter { $0.hasPrefix("|") }.joined(separator: "\n") + "\n"
    #expect(table == PanelTable.standard.markdown, "make reference writes it again")
    #expect(table.split(separator: "\n").count == PanelSignal.allCases.count + 2)
  }

  /// A look is told of one signal only: a page with two equal rows teaches nobody.
  @Test func noTwoSignalsAreDescribedAlike() {
    let seen = PanelSignal.allCases.map(\.guide.seen)
    #expect(Set(seen).count == seen.count)
    for signal in PanelSignal.allCases {
      let guide = signal.guide
      #expect(!guide.seen.isEmpty && !guide.means.isEmpty && !guide.whatToDo.isEmpty && !"\(guide)".contains("|"))
    }
  }
}
