import Configuration
import ConfigurationFiles
import Foundation
import Testing

/// What came from afar among the device's own files: what it may say, what it beats and what beats it.
@Suite struct RemoteLayerTests {
  private static func proposed(
    _ toml: String, main: String = "", dropIn: String? = nil
  ) throws -> (faults: [String], reading: ConfigurationReading) {
    let scratch = try Scratch()
    try scratch.write(identity + main)
    if let dropIn { try scratch.write(dropIn, to: "conf.d/20-clinic.toml") }
    var folder = ConfigurationFolder(mainFile: scratch.folder + "/thermograph.toml")
    folder.fromAfar = .proposed(Array(toml.utf8), file: "configuration")
    let reading = folder.read()
    return (scratch.lines(reading.faults), reading)
  }

  /// Thirty texts with a mistake, and the places that a person has to look at, counted by hand.
  @Test(arguments: [
    ("[broker]\nport = 0\n", ["2:8"]),
    ("[broker]\nport = 65536\n", ["2:8"]),
    ("[broker]\nport = \"1883\"\n", ["2:8"]),
    ("[broker]\nport = 1883.5\n", ["2:8"]),
    ("[broker]\nhost = \"mqtt://broker\"\n", ["2:8"]),
    ("[broker]\nhost = \"\"\n", ["2:8"]),
    ("[broker]\nhost = 5\n", ["2:8"]),
    ("[broker]\nhots = \"broker\"\n", ["2:1"]),
    ("[brokr]\nhost = \"broker\"\n", ["1:2"]),
    ("host = \"broker\"\n", ["1:1"]),
    ("[broker]\nkeepalive_seconds = 4\n", ["2:21"]),
    ("[broker]\n  keepalive_seconds = 1201\n", ["2:23"]),
    ("[broker]\nprotocol_version = \"4\"\n", ["2:20"]),
    ("[broker]\nuser_name = \"with space\"\n", ["2:13"]),
    ("[broker]\nsync_window = \"25:00-01:00\"\n", ["2:15"]),
    ("[broker]\nretry_minimum_seconds = 60\nretry_maximum_seconds = 5\n", ["2:1"]),
    ("[broker]\nhost = \"broker.example\"\n", ["2:1"]),
    ("[broker]\nhost = broker\n", ["2:8"]),
    ("[broker\nhost = \"b\"\n", ["1:8"]),
    ("[log]\nlevel = \"loud\"\n", ["2:9"]),
    ("[log]\nlevel = \"debug\"\nlevel = \"info\"\n", ["3:9"]),
    ("[session]\nviews = []\n", ["2:9"]),
    ("[session]\nviews = [\"frontal\", \"frontal\"]\n", ["2:21"]),
    ("[session]\nacclimatisation_minimum_seconds = 900\nacclimatisation_maximum_seconds = 60\n", ["2:1"]),
    ("schema = 2\n[log]\nlevel = \"debug\"\n", ["1:10"]),
    // Nobody may set these from afar, whatever the value.
    ("[device]\nid = \"other\"\n", ["2:1"]),
    ("[broker]\nca_file = \"/tmp/ca.pem\"\nallow_plaintext = true\n", ["2:1", "3:1"]),
    ("[gates]\nhard = [\"motion\"]\n[patients]\nunknown_tag = \"accept\"\n", ["2:1", "4:1"]),
    ("[remote]\nconfiguration_keys_file = \"/tmp/k\"\npinned = [\"log.level\"]\n", ["2:1", "3:1"]),
    ("[paths]\nstate_directory = \"/tmp\"\n[outbox]\nkey_file = \"/tmp/k\"\n", ["2:1", "4:1"]),
    ("[profile]\nname = \"x\"\n", ["1:2"]),
  ])
  func aMistakeIsNamedWithLineAndColumn(_ toml: String, _ places: [String]) throws {
    let (faults, _) = try Self.proposed(toml)
    #expect(
      faults.map { String($0.prefix(while: { $0 != " " }).dropLast()) } == places.map { "configuration:\($0)" },
      "\(faults)")
  }

  /// Every key of the table: the ones without the trait are refused by name, the others are taken.
  @Test func theTraitIsTheListOfWhatMayBeSet() throws {
    for key in SettingKey.all {
      let right = SettingKeyTests.values(of: key.shape).right[0]
      let (faults, reading) = try Self.proposed("[\(key.table)]\n\(key.name) = \(right)\n")
      let isRefused = faults.contains { $0.hasPrefix("configuration:2:1: \(key.path) cannot be set from afar") }
      #expect(isRefused != key.isRemote, "\(key.path): \(faults)")
      if case .remote = reading.origins[key.path] { #expect(key.isRemote) }
    }
    // What nobody may ever reach: files, keys, ids, the ways of trust, gates, consent.
    let words = [
      "_file", "_directory", "key", "allow_", "require_", "unknown_tag", "confirm", "questions", "maintenance",
    ]
    for path in RemoteKey.allCases.map(\.path) {
      let table = path.prefix { $0 != "." }
      #expect(
        !["device", "paths", "gates", "patients", "lines", "remote", "outbox", "simulation"].contains(String(table)),
        "\(path)")
      #expect(
        !words.contains {
          path.contains($0) && path != "reader.confirmation_frames" && path != "reader.confirmation_window_milliseconds"
        }, "\(path)")
    }
    #expect(RemoteKey.allCases.count >= 30)
  }

  @Test func itBeatsTheMainFileAndYieldsToADropIn() throws {
    let (faults, reading) = try Self.proposed(
      "[camera]\nframes_averaged = 8\n[log]\nlevel = \"debug\"\n",
      main: "[camera]\nframes_averaged = 4\n[log]\nlevel = \"error\"\n",
      dropIn: "[log]\nlevel = \"warning\"\n")
    #expect(faults == [])
    #expect(reading.settings.camera.framesAveraged == 8)
    #expect(reading.settings.log.level == .warning)
    #expect(
      reading.origins["camera.frames_averaged"] == .remote(SourcePlace(file: "configuration", line: 2, column: 1)))
    #expect(reading.effectiveListing().contains("# from afar, configuration:2:1"))
    #expect(reading.notices.contains { $0.what == "log.level stands here, so that configuration:4:1 has no effect" })
  }

  @Test func aPinnedKeyStaysAsTheDevicesOwnFilesSay() throws {
    let pinned = "[remote]\npinned = [\"log.level\"]\n[log]\nlevel = \"error\"\n"
    let (faults, _) = try Self.proposed("[health]\ninterval_seconds = 60\n[log]\nlevel = \"debug\"\n", main: pinned)
    #expect(
      faults == ["configuration:4:1: log.level is pinned on this device; expected it as the device's own files say"])
    // A drop-in pins as well.
    let (others, _) = try Self.proposed("[log]\nlevel = \"debug\"\n", dropIn: "[remote]\npinned = [\"log.level\"]\n")
    #expect(others.count == 1)
    let (none, reading) = try Self.proposed("[health]\ninterval_seconds = 60\n", main: pinned)
    #expect(none == [] && reading.settings.health.intervalSeconds == 60 && reading.settings.log.level == .error)
  }

  @Test func aPinThatNamesNoSuchKeyIsAFault() throws {
    let scratch = try Scratch()
    #expect(
      try scratch.faults(of: identity + "[remote]\npinned = [\"broker.hots\"]\n").map { $0.contains("broker.host") }
        == [true])
  }
}
