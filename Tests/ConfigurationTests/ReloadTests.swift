import Configuration
import Testing

@Suite struct ReloadTests {
  @Test func onlyLiveKeysTakeTheirNewValue() {
    let running = Settings()
    var new = Settings()
    new.log.level = .debug
    new.gates.ambientMaximumCelsius = 26.5
    new.broker.host = "broker.example"
    let (settings, changes) = running.reloaded(with: new)
    #expect(
      changes.map(\.description) == [
        "gates.ambient_maximum_celsius: 25.0 -> 26.5",
        "broker.host: unset -> \"broker.example\", after a restart",
        "log.level: \"info\" -> \"debug\"",
      ])
    var expected = running
    expected.log.level = .debug
    expected.gates.ambientMaximumCelsius = 26.5
    #expect(settings == expected)
    // What waits for a restart is said again, what was taken is not.
    #expect(settings.reloaded(with: new).changes.map(\.key) == ["broker.host"])
    #expect(running.reloaded(with: running).changes.isEmpty)
  }

  @Test func safeModeIsForUnusableConfigurations() throws {
    let scratch = try Scratch()
    try scratch.write(identity)
    #expect(SafeMode(scratch.read()) == nil)
    let main = try scratch.write(
      identity + "[log]\nlevel = \"debug\"\n[paths]\nruntime_directory = \"/run/x\"\n[camra]\n")
    let mode = try #require(SafeMode(scratch.read()))
    #expect(mode.log.level == .debug)
    #expect(mode.paths.runtimeDirectory == "/run/x")
    #expect(SafeMode.Activity.allCases.filter(mode.allows) == [.status, .doctor])
    #expect(mode.summary.hasPrefix("safe mode, the configuration is not usable: \(main):9:2: unknown table [camra]"))
    #expect(!mode.summary.contains("more:"))
  }
}
