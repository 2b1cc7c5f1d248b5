import Foundation
import Testing

/// `Docs/compatibility.md` names every version of everything that is written or read.
@Suite struct CompatibilityTests {
  private static func page() throws -> String {
    try String(contentsOfFile: House.path("Docs/compatibility.md"), encoding: .utf8)
  }

  /// Names of schemas in a text, as a literal stands in the code: `thermograph.NAME.vN`, alone or in a media type.
  static func schemas(in text: String) -> Set<String> {
    Set(text.matches(of: /thermograph\.[a-z-]+\.v[0-9]+/).map { String($0.0) })
  }

  private static func sources() throws -> [String] {
    let gateway = try FileManager.default.subpathsOfDirectory(atPath: House.path("Gateway/thermograph_gateway"))
      .filter { $0.hasSuffix(".py") }.map { "Gateway/thermograph_gateway/" + $0 }
    return try House.swiftFiles(under: "Sources") + gateway
  }

  @Test func theTableNamesEverySchemaThatTheCodeKnows() throws {
    var known: Set<String> = []
    for file in try Self.sources() {
      known.formUnion(Self.schemas(in: try String(contentsOfFile: House.path(file), encoding: .utf8)))
    }
    #expect(known.count > 30, "the search finds them")
    let named = Self.schemas(in: try Self.page())
    #expect(known.subtracting(named).sorted() == [], "not in Docs/compatibility.md")
    #expect(named.subtracting(known).sorted() == [], "nothing in the code has these names")
  }

  /// Versions that are numbers in the code: the file, the line as a pattern, and what the table says of it.
  private static let numbers: [(file: String, pattern: String, row: String)] = [
    ("Sources/Adapters/Storage/Baseline/BaselineFile.swift", #"static let version = ([0-9]+)"#, "`TGBL` %"),
    ("Sources/Adapters/Storage/SealedEnvelope.swift", #"static let version: UInt8 = ([0-9]+)"#, "sealed envelope %"),
    (
      "Sources/Adapters/Storage/CaptureIndex.swift", #"static let version: Int64 = ([0-9]+)"#,
      "`user_version` %, `TGCX`"
    ),
    ("Sources/Core/Configuration/Settings.swift", #"static let schemaVersion = ([0-9]+)"#, "`schema = %`"),
    ("Sources/Core/Forwarding/TopicSchema.swift", #"var root: String \{ "tg/v([0-9]+)/"#, "`tg/v%`"),
    ("Sources/Adapters/Storage/CommitMark.swift", #""TGCOMIT([0-9]+)".utf8"#, "`TGCOMIT%`"),
    ("Sources/Adapters/Storage/NumberReserve.swift", #""TGNUMBR([0-9]+)".utf8"#, "`TGNUMBR%`"),
    ("Sources/Core/Sentinel/StoredWindow.swift", #""TGCOUNT([0-9]+)".utf8"#, "`TGCOUNT%`"),
    (
      "Sources/Core/Remote/Results/TakenCapture+Layout.swift", #"static let layoutVersion: UInt8 = ([0-9]+)"#,
      "| row % |"
    ),
  ]

  @Test func theTableHasTheNumbersOfTheCode() throws {
    let page = try Self.page()
    for (file, pattern, row) in Self.numbers {
      let text = try String(contentsOfFile: House.path(file), encoding: .utf8)
      let match = try #require(try Regex(pattern).firstMatch(in: text), "\(file) has no such line any more")
      let number = try #require(match.output[1].substring)
      #expect(page.contains(row.replacingOccurrences(of: "%", with: number)), "\(file): \(number)")
    }
    let schema = try String(contentsOfFile: House.path("Sources/Adapters/Storage/OutboxSchema.swift"), encoding: .utf8)
    let layouts = schema.components(separatedBy: "\n    Migration(\n").count - 1
    #expect(page.contains("`user_version` \(layouts), `TGOB`"), "layouts of the outbox")
  }

  /// Whoever adds a file of another form with a number of its own finds this.
  @Test func noOtherFormHasANumberOfItsOwn() throws {
    let counted = Set(Self.numbers.map(\.file))
    for file in try House.swiftFiles(under: "Sources") where !counted.contains(file) {
      let text = try String(contentsOfFile: House.path(file), encoding: .utf8)
      for match in text.matches(of: /static let (version|formatVersion|layoutVersion)(: [A-Za-z0-9]+)? = [0-9]+/) {
        Issue.record("\(file): '\(match.0)' is not in the list of this test")
      }
      for match in text.matches(of: /Array\("(TG[A-Z]+[0-9]*)".utf8\)/) {
        Issue.record("\(file): \(match.1) is not in the list of this test")
      }
    }
  }

  @Test func aNameThatIsMissingIsSeen() {
    #expect(Self.schemas(in: #"static let schema = "thermograph.new-thing.v3""#) == ["thermograph.new-thing.v3"])
    #expect(
      Self.schemas(in: #""application/vnd.thermograph.receipt.v2+json""#) == ["thermograph.receipt.v2"])
  }
}
