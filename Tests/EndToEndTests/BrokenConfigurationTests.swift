import Foundation
import Testing

/// Ten broken configurations, each with mistakes of its kind: the real binary names every one with its place and exits
/// with 78. `Scripts/check-broken-files` prints what a technician sees.
@Suite struct BrokenConfigurationTests {
  /// The folder, and each mistake as `line:column: beginning`; of a drop-in with its name before it.
  static let expected: [(folder: String, mistakes: [String])] = [
    (
      "01-misspelt-keys",
      ["6:1: unknown key camera.emissivty", "7:1: unknown key camera.frames_avaraged", "8:2: unknown table [brokr]"]
    ),
    (
      "02-wrong-table",
      [
        "2:1: key refresh_rate_hz stands outside every table", "6:1: unknown key device.keepalive_seconds",
        "8:1: unknown key reader.emissivity",
      ]
    ),
    (
      "03-out-of-range",
      [
        "6:31: not TOML: a number that does not fit; expected a whole number of at most 64 bits",
        "7:19: camera.refresh_rate_hz is 5", "8:14: camera.emissivity is 1.4",
        "9:19: camera.frames_averaged is -1", "11:8: broker.port is 88830",
      ]
    ),
    (
      "04-wrong-types",
      [
        "1:10: schema is \"1\"", "3:6: device.id is 7", "4:8: device.site is a list",
        "6:17: camera.bus_speed_khz is \"400\"", "7:33: camera.reflected_temperature_celsius is a date or time",
        "9:19: broker.allow_plaintext is \"yes\"", "10:8: broker.host is a table",
      ]
    ),
    (
      "05-not-toml",
      [
        "2:8: not TOML: in a table header: the line ends; expected ']'", "6:8: not TOML: a text without quotes",
        "7:10: not TOML: a text without quotes",
        "10:7: not TOML: no value; expected a number, a text",
      ]
    ),
    ("06-given-twice", ["5:6: id is given twice", "8:1: camera is given twice"]),
    (
      "07-together-wrong",
      [
        "6:1: camera.refresh_rate_hz 32 is more than a bus of 100 kHz carries",
        "9:1: gates.ambient_minimum_celsius 26.0 is not below",
        "12:1: broker.host \"broker.example.org\" is another machine",
        "13:1: broker.retry_minimum_seconds 60 is above",
      ]
    ),
    (
      "08-missing-and-bad-names",
      [
        "1:1: schema is missing", "1:2: device.site is missing", "2:6: device.id is \"Clinic 7\"",
        "3:1: device.board is \"raspberry-pi-9\"", "5:8: broker.host is \"mqtts://broker.example.org:8883\"",
        "7:12: outbox.key_file is not a place", "9:17: patients.site_key_file is not a place",
      ]
    ),
    ("09-bytes", ["4:10: not TOML", "6:14: not TOML"]),
    (
      "10-drop-in",
      [
        "conf.d/20-broker.toml:2:1: unknown key broker.hots", "conf.d/20-broker.toml:3:8: broker.port is 0",
        "conf.d/30-nested.toml:2:2: unknown table [a]", "conf.d/30-nested.toml:2:16: nested too deeply",
      ]
    ),
  ]

  @Test(arguments: Self.expected.indices) func everyMistakeOfAFileIsNamedAtOnce(index: Int) async throws {
    let (name, mistakes) = Self.expected[index]
    let workspace = try Workspace()
    let folder = Workspace.repository + "/Tests/ConfigurationTests/Fixtures/broken/" + name
    let result = try await Program.run(["check", "--config", folder + "/thermograph.toml"], in: workspace.folder)
    #expect(result.status == 78 && result.output == "")
    let lines = result.errors.split(separator: "\n").filter { !$0.hasPrefix("note:") }.dropLast()
    #expect(lines.count == mistakes.count, "\(result.errors)")
    for (line, mistake) in zip(lines, mistakes) {
      let place = mistake.contains(".toml:") ? folder + "/" : folder + "/thermograph.toml:"
      let beginning = mistake.first?.isNumber == true || mistake.contains(".toml:") ? mistake : " " + mistake
      #expect(line.hasPrefix(place + beginning), "\(line)\nexpected: \(place + beginning)")
      #expect(line.contains("; expected "), "\(line)")
    }
  }
}
