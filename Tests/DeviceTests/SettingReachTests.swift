import Audit
import Configuration
import ConfigurationFiles
import Foundation
import Logging
import Screening
import Storage
import Testing

@testable import Device

/// Every key of the table from a file to what acts by it: another value in the file is seen there, and nowhere else.
@Suite struct SettingReachTests {
  private let folder = NSTemporaryDirectory() + "thermograph-reach-\(UUID().uuidString)"

  init() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try "fingerprint,role\n".write(toFile: folder + "/roster.csv", atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder + "/roster.csv")
    try FileManager.default.createDirectory(atPath: folder + "/boards", withIntermediateDirectories: true)
    try "schema = 1\n[profile]\nname = \"a board that sets nothing\"\n"
      .write(toFile: folder + "/boards/other.toml", atomically: true, encoding: .utf8)
    var generator = SystemRandomNumberGenerator()
    _ = try KeyFile.create(path: folder + "/seal.key", digests: OpenSSLDigests(), using: &generator)
  }

  /// Keys that their one user reads out of the settings at the place of use, with the test that holds it there.
  static let readInPlace: [String: String] = [
    "device.board": "profileGivesAUsableDevice",
    "paths.runtime_directory": "statusIsOneScreenAndOneObject",
    "paths.hardware_directory": "boardProfileIsUnderTheFiles",
    "camera.bus": "aBusThatHangsStarvesTheWatchdogAndCannotHoldUpAStop",
    "import.require_signature": "anUnsignedFolderIsRefusedWhereTheSiteSigns",
    "patients.site_key_file": "theKeysThatTheSettingsNameAreTheOnesThatAreRead",
    "outbox.key_file": "theKeysThatTheSettingsNameAreTheOnesThatAreRead",
    "outbox.older_key_file": "theKeysThatTheSettingsNameAreTheOnesThatAreRead",
    "screening.occlusion_map": "theServicesAreGivenWhatTheSettingsSay",
    "remote.pinned": "aPinnedKeyStaysAsTheDevicesOwnFilesSay",
    "health.interval_seconds": "theServicesAreGivenWhatTheSettingsSay",
    "health.prometheus_file": "theServicesAreGivenWhatTheSettingsSay",
    "lines.case_contact": "aContactThatIsNotThereIsMissingAndTold",
    "lines.case_contact_active_low": "theContactIsAskedForAsTheSettingsSay",
    "sentinel.model": "theServicesAreGivenWhatTheSettingsSay",
    "sentinel.delta": "theServicesAreGivenWhatTheSettingsSay",
    "sentinel.lock_down": "theServicesAreGivenWhatTheSettingsSay",
    "simulation.sentinel_step_milliseconds": "whatIsCountedCanBeRecordedAndSurvivesARestart",
    "simulation.system_directory": "whatIsCountedCanBeRecordedAndSurvivesARestart",
    "simulation.captures": "threeCapturesTakenOfflineSurviveAKillAndArriveOnceInOrder",
    // Only a simulation waits; no test measures how long.
    "simulation.tag_delay_milliseconds": "everyKeyReachesWhatActs",
    "simulation.tag_interval_milliseconds": "threeCapturesTakenOfflineSurviveAKillAndArriveOnceInOrder",
  ]

  /// Where else than under its own name a key's value is seen.
  static let places: [String: [String]] = [
    "device.id": ["constants.device", "link.clientIdentifier"],
    "device.site": ["constants.site"],
    "paths.state_directory": ["outbox.path"],
    "paths.models_directory": ["models", "assessor"],
    "paths.languages_directory": ["language"],
    "camera.address": ["camera.sensor.address"],
    "camera.refresh_rate_hz": ["camera.sensor.refreshRate"],
    "camera.bus_speed_khz": ["simulated.busHertz"],
    "camera.emissivity": ["acquisition.emissivity"],
    "camera.reflected_temperature_celsius": ["acquisition.reflectedCelsius"],
    "camera.frames_averaged": ["constants.framesAveraged"],
    "camera.lens": ["constants.lens"],
    "camera.distance_centimetres": ["constants.distanceCentimetres"],
    "reader.device": ["reader.path"],
    "reader.hold_off_milliseconds": ["reader.policy.holdOffMilliseconds"],
    "reader.confirmation_frames": ["reader.policy.requiredFrames"],
    "reader.confirmation_window_milliseconds": ["reader.policy.windowMilliseconds"],
    "reader.accept_suspect_frames": ["reader.policy.acceptsUnrepeatedSuspects"],
    "reader.line_number": ["reader.linePattern.number"],
    "reader.line_digits_minimum": ["reader.linePattern.digitsMinimum"],
    "reader.line_digits_maximum": ["reader.linePattern.digitsMaximum"],
    "reader.line_decimal_bytes": ["reader.linePattern.decimalByteCount"],
    "reader.line_prefix": ["reader.linePattern.prefix"],
    "reader.line_suffix": ["reader.linePattern.suffix"],
    "reader.pn532_modulations": ["reader.pn532.modulations"],
    "patients.roster_file": ["policy.roster", "language"],
    "patients.unknown_tag": ["policy.rules.unknownTags"],
    "session.require_operator": ["policy.rules.requiresOperator"],
    "session.language": ["language"],
    "gates.hard": ["policy.limits.hardGates", "severities"],
    "gates.settling_seconds": ["camera.settlingSeconds", "acquisition.settlingSeconds"],
    "screening.model": ["models"],
    "quality.model": ["assessor"],
    "outbox.maximum_bytes": ["outbox.quota.totalBytes"],
    "outbox.maximum_image_bytes": ["outbox.quota.bytesByClass"],
    "outbox.maximum_event_bytes": ["outbox.quota.bytesByClass"],
    "outbox.maximum_messages": ["outbox.quota.rowsPerClass"],
    "outbox.free_space_floor_bytes": ["outbox.quota.freeSpaceFloorBytes"],
    "outbox.on_full": ["outbox.quota.onFull"],
    "outbox.retention_days": ["outbox.retentionSeconds"],
    "broker.host": ["link.host", "policy.rules.requiredConsent", "receipts.trouble"],
    "broker.keepalive_seconds": ["link.keepAliveSeconds"],
    "broker.allow_plaintext": ["link.security"],
    "broker.ca_file": ["link.security", "link.port"],
    "broker.certificate_file": ["link.security"],
    "broker.key_file": ["link.security"],
    "broker.application_protocol": ["link.security"],
    "broker.user_name": ["link.credentials"],
    "broker.password_file": ["link.credentials.passwordFile"],
    "broker.topics": ["link.topicTemplate"],
    "broker.connect_timeout_seconds": ["link.connectTimeoutMilliseconds"],
    "broker.confirm": ["delivery.confirm"],
    "broker.sync_window": ["delivery.syncWindow"],
    "broker.bytes_per_day": ["delivery.bytesPerDay"],
    "broker.window_messages": ["delivery.window", "link.inFlightMaximum"],
    "broker.part_size_bytes": ["delivery.partBytes"],
    "broker.pacing_messages_per_second": ["delivery.messagesPerSecond"],
    "broker.retry_minimum_seconds": ["delivery.backoff.minimumMilliseconds"],
    "broker.retry_maximum_seconds": ["delivery.backoff.maximumMilliseconds"],
    "delivery.receiver_keys_file": ["receipts.rules.requiresSignature", "receipts.trouble"],
    "delivery.require_signed_receipts": ["receipts.rules.requiresSignature"],
    "delivery.send_view": ["constants.sendsRenderings"],
    "remote.commands": ["commands.keysPath"],
    "remote.command_keys_file": ["commands.keysPath"],
    "remote.configuration": ["configurations.keysPath"],
    "remote.configuration_keys_file": ["configurations.keysPath"],
    "lines.chip": ["wiring.button.chip"],
    "lines.led": ["wiring.light"],
    "lines.led_red": ["wiring.red"],
    "lines.led_green": ["wiring.green"],
    "lines.led_blue": ["wiring.blue"],
    "lines.button_active_low": ["wiring.button.isActiveLow"],
    "lines.led_active_low": ["wiring.light.isActiveLow"],
    "lines.buzzer_active_low": ["wiring.buzzer.isActiveLow"],
    "lines.button_steady_milliseconds": ["button.timing.steadyMilliseconds"],
    "lines.button_long_press_milliseconds": ["button.timing.longPressMilliseconds"],
    "alerts.rules": ["policy.alerts"],
    "log.level": ["log"],
    "simulation.eeprom_file": ["simulated"],
    "simulation.seed": ["scene.seed"],
    "simulation.ambient_celsius": ["scene.backgroundCelsius"],
    "simulation.hot_spot_celsius": ["scene.spot"],
    "simulation.noise_celsius": ["simulated.noiseCelsiusAtOneHertz"],
    "simulation.sensor_fault": ["sensorFaults"],
    "simulation.sensor_fault_after_seconds": ["sensorFaults"],
  ]

  /// The gate that a limit belongs to.
  static let gates: [String: String] = [
    "contrast_minimum_celsius": "subject-present", "ambient_minimum_celsius": "ambient-range",
    "ambient_maximum_celsius": "ambient-range", "ambient_drift_maximum_celsius_per_minute": "ambient-drift",
    "subject_minimum_share": "too-far", "subject_maximum_share": "too-near", "edge_maximum_share": "cut-off",
    "off_centre_maximum_columns": "off-centre", "tilt_maximum": "rotated", "motion_maximum_celsius": "motion",
    "hot_object_maximum_celsius": "hot-object", "cold_object_maximum_celsius": "cold-object",
    "skin_minimum_celsius": "clothed", "dead_pixels_maximum": "dead-pixels",
    "checkerboard_maximum_celsius": "checkerboard", "noise_maximum_celsius": "noise",
    "picture_noise_maximum_celsius": "noise", "outline_minimum_celsius": "lens",
  ]

  /// Lines that a key needs beside it to be seen, or to be allowed.
  private func companions(of key: String) -> [String: [String]] {
    switch key {
    case "device.board": ["paths": ["hardware_directory = \"\(folder)\""]]
    case "paths.models_directory": ["screening": ["model = \"other\""], "quality": ["model = \"other\""]]
    case "paths.languages_directory": ["session": ["language = \"xx\""]]
    case "camera.bus_speed_khz": ["camera": ["refresh_rate_hz = 1"]]
    case "patients.unknown_tag": ["patients": ["roster_file = \"\(folder)/roster.csv\""]]
    case "broker.certificate_file": ["broker": ["ca_file = \"/ca\"", "key_file = \"credential:k\""]]
    case "broker.key_file": ["broker": ["ca_file = \"/ca\"", "certificate_file = \"/c\""]]
    case "broker.application_protocol": ["broker": ["ca_file = \"/ca\""]]
    case "broker.password_file": ["broker": ["user_name = \"u\""]]
    case "broker.topics": ["broker": ["protocol_version = \"3.1.1\""]]
    case "simulation.sensor_fault_after_seconds": ["simulation": ["sensor_fault = \"stuck\""]]
    case "remote.commands": ["remote": ["command_keys_file = \"/k\""]]
    case "remote.configuration": ["remote": ["configuration_keys_file = \"/k\""]]
    case "broker.retry_minimum_seconds": ["broker": ["retry_maximum_seconds = 3600"]]
    case "lines.chip", "lines.button_active_low": ["lines": ["button = \"GPIO17\""]]
    case "lines.led_active_low": ["lines": ["led = \"GPIO18\""]]
    case "lines.buzzer_active_low": ["lines": ["buzzer = \"GPIO18\""]]
    default: [:]
    }
  }

  private func runtime(_ settings: Settings) -> DeviceRuntime {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    return DeviceRuntime(
      live: LiveSettings(settings, folder: ConfigurationFolder(mainFile: folder + "/none"), logger: logger),
      configurationText: "", credentialsDirectory: nil, notifier: nil, logger: logger)
  }

  private func settings(_ key: SettingKey, _ value: String?) throws -> ConfigurationReading {
    var tables = companions(of: key.path)
    tables["device", default: []] += ["id = \"d\"", "site = \"s\""].filter {
      value == nil || key.table != "device" || !$0.hasPrefix(key.name + " ")
    }
    if let value { tables[key.table, default: []].append("\(key.name) = \(value)") }
    let text = tables.sorted { $0.key < $1.key }.map { "[\($0.key)]\n" + $0.value.joined(separator: "\n") }
    let main = folder + "/thermograph.toml"
    try ("schema = 1\n" + text.joined(separator: "\n") + "\n").write(toFile: main, atomically: true, encoding: .utf8)
    return ConfigurationFolder(mainFile: main).read()
  }

  /// A value that is not `current`, at the end of its range that goes with the defaults of the other keys.
  private func otherValue(of key: SettingKey, than current: String?) -> String {
    func first(_ candidates: [String]) -> String { candidates.first { $0 != current } ?? "none" }
    func ends(_ low: String, _ high: String) -> String {
      first(key.name.contains("maximum") ? [high, low] : [low, high])
    }
    return switch key.shape {
    case .integer(let range): ends("\(range.lowerBound)", "\(range.upperBound)")
    case .integerChoice(let allowed): first(allowed.map { "\($0)" })
    case .number(let range): ends("\(range.lowerBound)", "\(range.upperBound)")
    case .boolean: first(["true", "false"])
    case .choice(let names): first(names.map { "\"\($0)\"" })
    case .choices(let names): first(names.map { "[\"\($0)\"]" })
    case .secret: "\"credential:other\""
    case .pin: "\"GPIO4\""
    case .items(let counts, _) where counts.lowerBound == 0 && current != "[]": "[]"
    case .items: "[{ code = \"other\", sentence = \"Other?\" }]"
    case .text(.absolutePath) where key.path == "patients.roster_file": "\"\(folder)/roster.csv\""
    case .text(.absolutePath): "\"/other\""
    case .text(.host): "\"localhost\""
    case .text(.panelPattern): "\"G20\""
    case .text(.timeWindow): "\"22:00-05:30\""
    case .text: "\"other\""
    }
  }

  private func expectedPlaces(of key: SettingKey) -> [String] {
    if Self.readInPlace[key.path] != nil { return [] }
    let words = key.name.split(separator: "_")
    let property = words.dropFirst().reduce(String(words.first ?? "")) { $0 + $1.capitalized }
    if let places = Self.places[key.path] { return places }
    switch key.table {
    case "session": return ["policy.rules.\(property)"]
    case "gates":
      return ["policy.limits.\(property)", "gate.\(Self.gates[key.name] ?? "none")"]
        + (key.name == "motion_maximum_celsius" ? ["acquisition.motionLimitCelsius"] : [])
    case "panel": return ["panel." + key.name.replacing("_", with: "-")]
    case "lines": return ["wiring.\(property)"]
    case "broker": return ["link.\(property)"]
    case "simulation": return ["scene.\(property)"]
    default: return ["\(key.table).\(property)"]
    }
  }

  @Test(arguments: SettingKey.all.map(\.path)) func everyKeyReachesWhatActs(path: String) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let key = try #require(SettingKey.all.first { $0.path == path })
    let before = try settings(key, nil)
    let value = otherValue(of: key, than: key.effectiveText(before.settings))
    let after = try settings(key, value)
    #expect(after.faults.map { "\($0)" } == [])
    #expect(key.effectiveText(after.settings) == value && key.effectiveText(before.settings) != value)

    let differing = try ActingParts(after.settings, keyFile: folder + "/seal.key")
      .differing(from: ActingParts(before.settings, keyFile: folder + "/seal.key"))
    let seen = differing.filter { !$0.hasPrefix("settings.") }
    let expected = expectedPlaces(of: key)
    func covers(_ place: String, _ seen: String) -> Bool { seen == place || seen.hasPrefix(place + ".") }
    for place in expected {
      #expect(seen.contains { covers(place, $0) }, "\(path) = \(value) does not reach \(place); seen: \(seen.sorted())")
    }
    for other in seen where !expected.contains(where: { covers($0, other) }) {
      Issue.record("\(path) = \(value) is seen at \(other) too")
    }
    #expect(!differing.isEmpty)
  }

  /// The lists name keys that there are, and tests that there are.
  @Test func theListsAreOfThisTable() throws {
    let keys = Set(SettingKey.all.map(\.path))
    #expect(Set(Self.readInPlace.keys).union(Self.places.keys).subtracting(keys) == [])
    #expect(Set(Self.readInPlace.keys).intersection(Self.places.keys) == [])
    let tests = URL(fileURLWithPath: ActingParts.repository + "/Tests")
    let files = try #require(FileManager.default.enumerator(at: tests, includingPropertiesForKeys: nil))
    var sources = ""
    for case let file as URL in files where file.pathExtension == "swift" {
      sources += try String(contentsOf: file, encoding: .utf8)
    }
    for (key, test) in Self.readInPlace { #expect(sources.contains("func \(test)("), "\(key): no test \(test)") }
  }

  @Test func theServicesAreGivenWhatTheSettingsSay() async throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var settings = Settings()
    settings.paths.stateDirectory = folder
    settings.outbox.keyFile = .file(folder + "/seal.key")
    for isOn in [false, true] {
      settings.screening.occlusionMap = isOn
      settings.health.intervalSeconds = isOn ? 77 : 300
      settings.health.prometheusFile = isOn ? "/run/t.prom" : nil
      let runtime = runtime(settings)
      let common = try CommonParts(logger: runtime.logger)
      let outbox = try runtime.openOutbox(common.time)
      let services = runtime.deliveryServices(
        outbox, nil, common, clockFloor: ClockFloor(path: folder + "/time", logger: runtime.logger))
      let health = try #require(services.compactMap { $0 as? HealthService }.first)
      #expect(health.intervalSeconds == settings.health.intervalSeconds)
      #expect(health.prometheusFile == settings.health.prometheusFile)
      var draws: Bool?
      _ = runtime.sessionService(
        common, policy: SessionService.Policy(settings, logger: runtime.logger),
        assessor: try runtime.loadAssessor(network: nil, limits: GateLimits(), digests: common.digests),
        store: OutboxStore(outbox: outbox), siteKey: [], outbox: outbox
      ) { draws = $0.drawsOcclusionMap }
      #expect(draws == isOn)
      settings.sentinel.model = isOn ? "not-installed" : nil
      settings.sentinel.delta = isOn ? 0.25 : nil
      settings.sentinel.locksDown = isOn
      let changed = self.runtime(settings)
      let watch = SentinelWatch(stepMilliseconds: 10_000)
      let sentinel = changed.sentinelService(
        watch, CounterBoard(), changed.lockDown(NoAuditTrail()), outbox, common, isSimulated: true)
      #expect(sentinel.deltaPerMille == (isOn ? 250 : nil) && (sentinel.lockDown != nil) == isOn)
      #expect(sentinel.network == nil && (watch.report.problem?.contains("not-installed") == true) == isOn)
      await outbox.close()
    }
  }

  /// A device starts with its keys; each that is missing is named by the path of the settings.
  @Test func theKeysThatTheSettingsNameAreTheOnesThatAreRead() async throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var settings = Settings()
    (settings.device.id, settings.device.site) = ("d", "s")
    settings.paths.stateDirectory = folder
    settings.patients.siteKeyFile = .file(folder + "/site.key")
    settings.outbox.keyFile = .file(folder + "/new.key")
    settings.outbox.olderKeyFile = .file(folder + "/older.key")
    var generator = SystemRandomNumberGenerator()
    for name in ["site.key", "older.key", "new.key"] {
      do {
        try await runtime(settings).run()
        Issue.record("a device without \(name) runs")
      } catch {
        #expect("\(error)".contains(folder + "/" + name), "\(error)")
      }
      _ = try KeyFile.create(path: folder + "/" + name, digests: OpenSSLDigests(), using: &generator)
    }
  }
}
