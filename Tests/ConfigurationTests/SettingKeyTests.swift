import Foundation
import Testing

@testable import Configuration

/// The table of keys against the parser: every key, one by one.
@Suite struct SettingKeyTests {
  /// A right and a wrong value of each kind, as TOML.
  static func values(of shape: ValueShape) -> (right: [String], wrong: [String]) {
    switch shape {
    case .integer(let range):
      (
        ["\(range.lowerBound)", "\(range.upperBound)"],
        ["\(range.lowerBound - 1)", "\(range.upperBound + 1)", "\"1\"", "true"]
      )
    case .integerChoice(let allowed): (allowed.map { "\($0)" }, ["\((allowed.max() ?? 0) + 1)", "\"1\""])
    case .number(let range):
      (
        ["\(range.lowerBound)", "\(range.upperBound)"],
        ["\(range.lowerBound - 0.001)", "\(range.upperBound + 0.001)", "inf", "\"1\""]
      )
    case .boolean: (["true", "false"], ["1", "\"true\""])
    case .text(.identifier): (["\"a\"", "\"a-0\""], ["\"\"", "\"A\"", "\"a_b\"", "1"])
    case .text(.label): (["\"a.B_0-\""], ["\"\"", "\".a\"", "\"a/b\"", "\"ä\""])
    case .text(.absolutePath): (["\"/a b/ä\""], ["\"\"", "\"a\"", "\"/a\\nb\"", "1"])
    case .text(.host): (["\"a.example\"", "\"10.0.0.1\"", "\"fe80::1\""], ["\"\"", "\"a:1\"", "\"mqtt://a\""])
    case .text(.sentence):
      (
        ["\"Ist die Haut \u{fc}berall frei?\""],
        ["\"\"", "\"a\\nb\"", "\"" + String(repeating: "a", count: 201) + "\""]
      )
    case .text(.affix): (["\"\"", "\"UID=\""], ["\"\u{e4}\"", "\"12345678901234567\"", "1"])
    case .text(.panelPattern):
      (
        ["\"G20\"", "\"RGBz10000 -20 *\"", "\"z400 B20 -9999\""],
        [
          "\"\"", "\"*\"", "\"G19\"", "\"G10001\"", "\"G020\"", "\"zG100\"", "\"GG100\"", "\"G100  -100\"", "\"100\"",
          "1",
        ]
      )
    case .items(let counts, let fields):
      (
        // As they are written again: the first right value of each key.
        ["[{ " + fields.map { "\($0.name) = \(values(of: $0.shape).right[0])" }.joined(separator: ", ") + " }]"]
          + (counts.contains(0) ? ["[]"] : []),
        ["{}", "[1]", "[{}]", "\"a\"", "[{ nonesuch = 1 }]"]
      )
    case .text(.timeWindow):
      (["\"22:00-05:30\"", "\"00:00-23:59\""], ["\"\"", "\"24:00-01:00\"", "\"1:00-2:00\"", "\"01:00\"", "1"])
    case .text(.printable): (["\"hub/d/?a=1&b\""], ["\"\"", "\"a b\"", "\"ä\"", "1"])
    case .choice(let names): (names.map { "\"\($0)\"" }, ["\"nonesuch\"", "1"])
    case .choices(let names):
      (
        ["[\"\(names[0])\"]", "[" + names.map { "\"\($0)\"" }.joined(separator: ", ") + "]"],
        ["[]", "[1]", "\"\(names[0])\""]
      )
    case .secret:
      (["\"/nonexistent/key\"", "\"credential:a.key\""], ["\"key\"", "\"credential:\"", "\"credential:../a\"", "1"])
    case .pin: (["0", "511", "\"GPIO17\""], ["-1", "512", "\"\"", "true"])
    }
  }

  /// A whole file that sets `key`, and the line of it.
  static func file(_ key: SettingKey, _ value: String) -> (text: String, line: Int) {
    let device = ["id = \"d\"", "site = \"s\""].filter { key.table != "device" || !$0.hasPrefix(key.name + " ") }
    let head = ["schema = 1", "[device]"] + device
    let lines =
      key.table == "device" ? head + ["\(key.name) = \(value)"] : head + ["[\(key.table)]", "\(key.name) = \(value)"]
    return (lines.joined(separator: "\n"), lines.count)
  }

  @Test(arguments: SettingKey.all.map(\.path)) func keyTakesItsValuesAndRefusesOthers(path: String) throws {
    let key = try #require(SettingKey.all.first { $0.path == path })
    let scratch = try Scratch()
    let values = Self.values(of: key.shape)
    for value in values.right {
      let (text, line) = Self.file(key, value)
      let main = try scratch.write(text)
      let reading = scratch.read()
      #expect(reading.origins[path] == .file(SourcePlace(file: main, line: line, column: 1)))
      #expect(key.effectiveText(reading.settings) == value)
      // Several keys together may be refused, this value alone may not.
      #expect(
        !reading.faults.contains { $0.what.hasPrefix(path + " is \(value)") && $0.expected == key.shape.expectation })
    }
    for value in values.wrong {
      let (text, line) = Self.file(key, value)
      let main = try scratch.write(text)
      let fault = scratch.read().faults.first { $0.what.hasPrefix(path + " ") }
      #expect(fault?.place.file == main && fault?.place.line == line, "\(path) = \(value) was taken")
      // A fault inside a list says what the element should have been.
      let isList =
        switch key.shape {
        case .items, .choices: true
        default: false
        }
      #expect(fault?.expected == key.shape.expectation || isList)
    }
  }

  @Test func namesAreUniqueAndSaid() {
    #expect(Set(SettingKey.all.map(\.path)).count == SettingKey.all.count)
    for key in SettingKey.all {
      #expect(key.path.split(separator: ".").count == 2)
      #expect(!key.summary.isEmpty && !key.summary.hasSuffix("."))
    }
  }

  @Test func theListingReadsBackAsTheSameSettings() throws {
    let scratch = try Scratch()
    try scratch.write(
      identity
        + """
        [camera]
        reflected_temperature_celsius = -4
        emissivity = 0.123456789012345678e1
        [paths]
        state_directory = "/a \\"b\\" \\\\ \\u00e9"
        [lines]
        chip = "gpiochip0"
        button = 4
        led = "GPIO27"
        [outbox]
        key_file = "credential:outbox"
        """.replacing("0.123456789012345678e1", with: "0.9123456789012345678"))
    let first = scratch.read()
    #expect(first.isUsable)
    try scratch.write(first.effectiveListing())
    let second = scratch.read()
    #expect(scratch.lines(second.faults) == [])
    #expect(second.settings == first.settings)
    #expect(second.canonicalText == first.canonicalText)
  }

  @Test func defaultsAreInsideTheirRanges() throws {
    let scratch = try Scratch()
    var settings = Settings()
    settings.device.id = "d"
    settings.device.site = "s"
    try scratch.write(ConfigurationReading(settings: settings).effectiveListing())
    let reading = scratch.read()
    #expect(scratch.lines(reading.faults) == [])
    #expect(reading.settings == settings)
  }

  @Test func defaultsThatDependOnOtherKeys() throws {
    let scratch = try Scratch()
    try scratch.write(identity + "[paths]\nstate_directory = \"/srv/t\"\n[patients]\nsite_key_file = \"/k\"\n")
    let settings = scratch.read().settings
    #expect(settings.outbox.keyFile == .file("/srv/t/keys/outbox.key"))
    #expect(settings.patients.siteKeyFile == .file("/k"))
    var reader = Settings.Reader()
    #expect(reader.effectiveBaud == 9600 && reader.kind.requiredFrames == 3)
    reader.kind = .pn532HSU
    #expect(reader.effectiveBaud == 115_200 && reader.kind.requiredFrames == 3)
    reader.kind = .id12la
    #expect(reader.effectiveBaud == 9600 && reader.kind.requiredFrames == 1)
    var broker = Settings.Broker()
    #expect(broker.effectivePort == 1883)
    broker.caFile = "/ca.pem"
    #expect(broker.effectivePort == 8883)
  }

  @Test(arguments: [
    ("refresh_rate", "refresh_rate_hz"), ("emisivity", "emissivity"), ("bsu", "bus"),
    ("framesaveraged", "frames_averaged"),
    ("Lens", "lens"), ("zzzzzz", nil), ("b", nil),
  ]) func suggestion(word: String, expected: String?) {
    let names = SettingKey.all.filter { $0.table == "camera" }.map(\.name)
    #expect(nearestName(to: word, among: names) == expected)
  }

  @Test(arguments: [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ca", "ac", 1), ("abcd", "acbd", 1)])
  func distance(left: String, right: String, expected: Int) {
    #expect(editDistance(left, right) == expected)
    #expect(editDistance(right, left) == expected)
  }

  @Test func credentialsAreFoundInTheirDirectory() {
    #expect(SecretReference("credential:site.key")?.path(credentialsDirectory: "/run/c") == "/run/c/site.key")
    #expect(SecretReference("credential:site.key")?.path(credentialsDirectory: nil) == nil)
    #expect(SecretReference("/k")?.path(credentialsDirectory: nil) == "/k")
    #expect(SecretReference("credential:.hidden") == nil)
  }
}
