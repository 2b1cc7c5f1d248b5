import Testing

@testable import Configuration
@testable import ConfigurationFiles

@Suite struct RetiredKeyTests {
  private let retired = [
    RetiredKey(path: "camera.rate_hz", since: "0.3", successor: "camera.refresh_rate_hz"),
    RetiredKey(path: "mqtt.host", since: "0.2", successor: "broker.host"),
    RetiredKey(path: "camera.warm_start", since: "0.2", successor: nil),
  ]

  private func read(_ text: String) throws -> ConfigurationReading {
    let scratch = try Scratch()
    let main = try scratch.write(identity + text)
    let layer = ConfigurationLayer(
      role: .settings, file: main, root: TOMLText(Array((identity + text).utf8), file: main).root, isPartial: false)
    return ConfigurationReading(layers: [layer], mainFile: main, retired: retired)
  }

  @Test func aFormerNameStillWorksAndIsNoted() throws {
    let reading = try read("[camera]\nrate_hz = 8\n[mqtt]\nhost = \"127.0.0.1\"\n")
    #expect(reading.isUsable, "\(reading.faults)")
    #expect(reading.settings.camera.sensor.refreshRate == .hertz8 && reading.settings.broker.host == "127.0.0.1")
    let notes = reading.notices.map { $0.what }
    #expect(notes.contains("camera.rate_hz is called camera.refresh_rate_hz since 0.3"), "\(notes)")
    #expect(notes.contains("mqtt.host is called broker.host since 0.2"), "\(notes)")
    let place = try #require(reading.notices.first { $0.what.hasPrefix("camera.rate_hz") }?.place)
    #expect(place.line == 6 && place.column == 1)
  }

  @Test func aWrongValueOfAFormerNameIsAFaultOfItsPlace() throws {
    let reading = try read("[camera]\nrate_hz = 5\n")
    #expect(reading.faults.map(\.what) == ["camera.refresh_rate_hz is 5"])
    #expect(reading.faults.first?.place.line == 6)
  }

  @Test func bothNamesInOneFileAreAFault() throws {
    let reading = try read("[camera]\nrefresh_rate_hz = 8\nrate_hz = 4\n")
    #expect(
      reading.faults.map(\.what) == [
        "camera.rate_hz is the former name of camera.refresh_rate_hz, which line 6 gives too"
      ])
  }

  @Test func aKeyWithoutEffectIsNotedAndNothingElse() throws {
    let reading = try read("[camera]\nwarm_start = { any = \"thing\" }\n")
    #expect(reading.isUsable)
    #expect(reading.notices.contains { $0.what == "camera.warm_start has no effect since 0.2" })
  }

  /// Whatever is retired one day must point at a key that exists, and must not be one itself.
  @Test func everyRetiredKeyHasItsSuccessorInTheTable() {
    let paths = Set(SettingKey.all.map(\.path))
    for key in RetiredKey.all {
      #expect(!paths.contains(key.path))
      #expect(key.successor.map(paths.contains) ?? true, "\(key.path)")
    }
  }
}
