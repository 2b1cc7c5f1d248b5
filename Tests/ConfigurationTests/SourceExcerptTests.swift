import Configuration
import ConfigurationFiles
import Testing

@Suite struct SourceExcerptTests {
  @Test func caretStandsBelowTheColumn() {
    #expect(
      SourceExcerpt(line: "refresh_rate_hz = 5", column: 19).text == """
            refresh_rate_hz = 5
                              ^
        """)
    #expect(SourceExcerpt(line: "a\tb\u{1b}[31m", column: 99).text == "    a b [31m\n            ^")
  }

  @Test(arguments: ["key_file", "site_key_file", "password", "roster_file", "API_Token"])
  func secretsStayHidden(name: String) {
    #expect(!SourceExcerpt(line: "\(name) = \"3f9a77\"", column: 3).text.contains("3f9a77"))
  }

  @Test func theLineComesFromTheFile() throws {
    let scratch = try Scratch()
    try scratch.write(identity + "[log]\nlevel = 3\r\n")
    let fault = try #require(scratch.read().faults.first)
    #expect(ConfigurationFolder.excerpt(of: fault)?.text == "    level = 3 \n            ^")
    #expect(ConfigurationFolder.excerpt(of: ConfigurationFault(at: SourcePlace(file: scratch.folder), "x")) == nil)
  }
}
