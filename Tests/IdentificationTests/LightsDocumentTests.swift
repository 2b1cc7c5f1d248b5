import Foundation
import Identification
import Testing

@Suite struct LightsDocumentTests {
  private let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// Docs/lights.md is what a patient is shown: each signal has its row there, with the pattern that the device plays.
  @Test func thePageShowsThePatternsThatThePanelPlays() throws {
    let page = try String(contentsOf: repository.appending(path: "Docs/lights.md"), encoding: .utf8)
    var documented: [String: String] = [:]
    for line in page.split(separator: "\n") where line.hasPrefix("|") {
      let quoted = line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
        .filter { $0.offset % 2 == 1 }.map { String($0.element) }
      guard let signal = quoted.first, let pattern = quoted.last, quoted.count >= 2 else { continue }
      documented[signal] = pattern
    }
    let expected = Dictionary(uniqueKeysWithValues: PanelTable.standardTexts.map { ($0.key.rawValue, $0.value) })
    #expect(documented == expected)
  }

  @Test func thePictureShowsThePagesPatterns() throws {
    let drawn = FileManager.default.temporaryDirectory.appending(path: "lights-\(UUID().uuidString).svg")
    #expect(FileManager.default.createFile(atPath: drawn.path, contents: nil))
    defer { try? FileManager.default.removeItem(at: drawn) }
    let drawing = Process()
    drawing.executableURL = repository.appending(path: "Scripts/lights-picture")
    drawing.standardOutput = try FileHandle(forWritingTo: drawn)
    try drawing.run()
    drawing.waitUntilExit()
    #expect(drawing.terminationStatus == 0)
    let shipped = try Data(contentsOf: repository.appending(path: "Docs/images/lights.svg"))
    #expect(try Data(contentsOf: drawn) == shipped, "make reference draws it again")
    #expect(shipped.count > 4000)
  }
}
