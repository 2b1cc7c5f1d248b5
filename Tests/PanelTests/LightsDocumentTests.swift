import Foundation
import Panel
import Testing

@Suite struct LightsDocumentTests {
  /// Docs/lights.md is what a patient is shown: each signal has its row there, with the pattern that the device plays.
  @Test func thePageShowsThePatternsThatThePanelPlays() throws {
    let repository = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(contentsOf: repository.appending(path: "Docs/lights.md"), encoding: .utf8)
    var documented: [String: String] = [:]
    for line in page.split(separator: "\n") where line.hasPrefix("|") {
      let quoted = line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
        .filter { $0.offset % 2 == 1 }.map { String($0.element) }
      guard let signal = quoted.first, let pattern = quoted.last, quoted.count >= 2 else { continue }
      documented[signal] = pattern
    }
    let expected = Dictionary(
      uniqueKeysWithValues: PanelSignal.allCases.map { ($0.rawValue, PanelTable.standard[$0]?.text ?? "none") })
    #expect(documented == expected)
  }
}
