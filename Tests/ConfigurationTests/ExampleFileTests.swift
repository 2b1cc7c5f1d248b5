import Foundation
import Testing

@testable import Configuration

/// The commented example that technicians start from.
@Suite struct ExampleFileTests {
  private static let lines: [String] = {
    let text = try? String(contentsOfFile: Scratch.repository + "/systemd/thermograph.toml", encoding: .utf8)
    return (text ?? "").components(separatedBy: "\n")
  }()

  /// A line `#key = value` is a default or an example; `# Text` explains.
  private static func isOffered(_ line: String) -> Bool {
    line.hasPrefix("#") && !line.hasPrefix("# ") && line != "#"
  }

  @Test func itIsUsableAsItStands() throws {
    #expect(try Scratch().faults(of: Self.lines.joined(separator: "\n")) == [])
  }

  @Test func itIsUsableWithEveryKeySet() throws {
    let scratch = try Scratch()
    let everything = Self.lines.map { Self.isOffered($0) ? String($0.dropFirst()) : $0 }
      .filter { !$0.hasPrefix("board =") && !$0.hasPrefix("hardware_directory =") }
    try scratch.write(everything.joined(separator: "\n"))
    let reading = scratch.read()
    #expect(scratch.lines(reading.faults) == [])
    let unset = SettingKey.all.map(\.path).filter { reading.origins[$0] == .builtIn }
    #expect(unset == ["device.board", "paths.hardware_directory"])
  }

  @Test func itOffersEveryKeyWithItsDefault() throws {
    let defaults = Settings()
    var table = ""
    var seen: Set<String> = []
    for line in Self.lines {
      if line.hasPrefix("[") { table = String(line.dropFirst().dropLast()) }
      let setting = Self.isOffered(line) ? String(line.dropFirst()) : line
      guard let sign = setting.range(of: " = "), !setting.hasPrefix("#"), table != "" else { continue }
      let path = table + "." + setting[..<sign.lowerBound]
      let key = try #require(SettingKey.all.first { $0.path == path }, "\(path) is no key")
      seen.insert(path)
      if Self.isOffered(line), let expected = key.effectiveText(defaults) {
        let value = String(setting[sign.upperBound...])
        #expect(
          value == (path == "camera.address" ? "0x" + String(defaults.camera.sensor.address, radix: 16) : expected))
      }
    }
    #expect(seen == Set(SettingKey.all.map(\.path)))
  }
}
