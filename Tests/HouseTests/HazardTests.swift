import Foundation
import Testing

/// `Docs/hazards.md` names a test for each hazard; a control whose test is gone is no control.
@Suite struct HazardTests {
  /// A row of the table: its cells, without the header and the rule below it.
  static func rows(of table: String) -> [[String]] {
    table.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst().map { line in
      line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  static func testNames(in cell: String) -> [String] {
    cell.matches(of: /`([a-z][A-Za-z0-9]+)`/).map { String($0.1) }
  }

  /// Names of the functions marked `@Test` below `Tests`.
  static func tests() throws -> Set<String> {
    var names: Set<String> = []
    for file in try House.swiftFiles(under: "Tests") {
      let text = try String(contentsOfFile: House.path(file), encoding: .utf8)
      for match in text.matches(of: /@Test[^{]*?func ([A-Za-z0-9_]+)\(/) { names.insert(String(match.1)) }
    }
    return names
  }

  @Test func everyHazardNamesATestThatExists() throws {
    let rows = Self.rows(of: try String(contentsOfFile: House.path("Docs/hazards.md"), encoding: .utf8))
    let tests = try Self.tests()
    #expect(rows.count >= 15)
    for row in rows {
      try #require(row.count == 4, "a hazard has four cells: \(row)")
      let named = Self.testNames(in: row[3])
      #expect(!named.isEmpty, "'\(row[0])' (\(row[1])) names no test")
      for name in named { #expect(tests.contains(name), "'\(row[0])' names \(name), which is no test") }
    }
  }

  @Test func aRowWithoutATestOrWithAWrongNameIsSeen() throws {
    let rows = Self.rows(
      of: "| hazard | how | control | test |\n|---|---|---|---|\n| a | b | c | `noSuchTest` |\n| a | b | c | none |")
    #expect(rows.count == 2)
    #expect(Self.testNames(in: rows[0][3]) == ["noSuchTest"])
    #expect(Self.testNames(in: rows[1][3]).isEmpty)
    #expect(try !Self.tests().contains("noSuchTest"))
  }
}
