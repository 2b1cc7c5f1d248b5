import Foundation
import Testing

/// What a package brings for people: the pages, and whatever they link to.
@Suite struct PackagedDocumentsTests {
  private func documents(_ pages: [String], scripts: String = House.root) throws -> (status: Int32, folder: String) {
    let folder = NSTemporaryDirectory() + "thermograph-documents-\(UUID().uuidString.prefix(8).lowercased())"
    let process = Process()
    process.executableURL = URL(filePath: scripts + "/Scripts/debian/documents")
    process.arguments = [folder] + pages
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return (process.terminationStatus, folder)
  }

  /// Links of the pages in `folder` that lead nowhere; and how many there are in all.
  private func links(in folder: String) throws -> (broken: [String], count: Int) {
    var broken: [String] = []
    var count = 0
    for page in try FileManager.default.subpathsOfDirectory(atPath: folder) where page.hasSuffix(".md") {
      let text = try String(contentsOfFile: folder + "/" + page, encoding: .utf8)
      for match in text.matches(of: /\]\(([^)#\s]+)/) where !match.1.contains("://") && !match.1.hasPrefix("mailto:") {
        count += 1
        let place = URL(filePath: folder + "/" + page).deletingLastPathComponent().appending(path: String(match.1))
        if !FileManager.default.fileExists(atPath: place.path) { broken.append("\(page): \(match.1)") }
      }
    }
    return (broken, count)
  }

  @Test func whatThePagesOfTheDeviceLinkToShips() throws {
    let (status, folder) = try documents([])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(status == 0)
    let (broken, count) = try links(in: folder)
    #expect(broken == [] && count > 80)
    for file in ["images/lights.svg", "schemas/asyncapi.json", "examples/thingsboard.toml", "wiring.svg", "models.md"] {
      #expect(FileManager.default.fileExists(atPath: folder + "/" + file), "\(file)")
    }
  }

  @Test func whatThePageOfTheWorkerLinksToShips() throws {
    let (status, folder) = try documents(["far-side.md"])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(status == 0)
    let (broken, count) = try links(in: folder)
    #expect(broken == [] && count > 10)
    #expect(!FileManager.default.fileExists(atPath: folder + "/troubleshooting.md"), "no more than it links to")
  }

  @Test func aLinkThatLeadsNowhereIsAFault() throws {
    let tree = NSTemporaryDirectory() + "thermograph-tree-\(UUID().uuidString.prefix(8).lowercased())"
    defer { try? FileManager.default.removeItem(atPath: tree) }
    for folder in ["Docs", "Scripts/debian"] {
      try FileManager.default.createDirectory(atPath: tree + "/" + folder, withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(
      atPath: House.path("Scripts/debian/documents"), toPath: tree + "/Scripts/debian/documents")
    for (link, expected) in [("other.md", 0), ("absent.md", 1), ("../secret.md", 1), ("../../etc/passwd", 1)]
      as [(String, Int32)]
    {
      try "[a](\(link))".write(toFile: tree + "/Docs/page.md", atomically: true, encoding: .utf8)
      try "text".write(toFile: tree + "/Docs/other.md", atomically: true, encoding: .utf8)
      try "text".write(toFile: tree + "/secret.md", atomically: true, encoding: .utf8)
      let (status, folder) = try documents(["page.md"], scripts: tree)
      try? FileManager.default.removeItem(atPath: folder)
      #expect(status == expected, "\(link)")
    }
  }
}
