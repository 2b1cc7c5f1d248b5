import Configuration
import ConfigurationFiles
import Foundation
import Logging
import Synchronization
import Testing

@testable import Device

@Suite struct StatusScreenTests {
  private var healthy: DeviceReport {
    var report = DeviceReport()
    (report.device, report.site, report.firmware, report.uptimeSeconds) = ("d-1", "north", "0.1.0", 7265)
    report.clock = .init(now: "2026-11-21T10:00:00Z", source: "kernel")
    report.configuration.path = "/etc/thermograph/thermograph.toml"
    report.configuration.sha256 = String(repeating: "ab", count: 32)
    report.camera.health = .good
    report.camera.serial = "0123456789ab"
    (report.camera.subPagesPerSecond, report.camera.ambientCelsius, report.camera.supplyVolts) = (16, 31.26, 3.31)
    report.reader.health = .good
    (report.reader.kind, report.reader.baud, report.reader.device) = ("rdm6300", 9600, "/dev/serial0")
    report.session = .init(state: "idle", sentence: "Hold your tag to the reader.")
    report.outbox.quotaBytes = 1_000_000_000
    report.line.state = "connected"
    (report.line.broker, report.line.protection, report.line.seconds) = ("broker:8883", "TLSv1.3", 90)
    report.models = [.init(id: "screening-fold", sha256: "c")]
    report.beats = [.init(part: "camera", secondsAgo: 0.1)]
    return report
  }

  @Test func aDeviceInOrderIsOneScreenWithoutAComplaint() {
    #expect(
      StatusScreen.text(of: healthy) == """
        OK  north/d-1  0.1.0  up 2 h 1 min

        camera    good  0123456789ab  16.0 sub-pages/s  31.3 degC  3.3 V
        reader    good  rdm6300 at 9600 on /dev/serial0  0 tags
        session   idle  Hold your tag to the reader.
        outbox    nothing waits  0 kB stored, 0 % of the quota
        line      connected  broker:8883  TLSv1.3  for 1 min
        models    screening-fold
        clock     2026-11-21T10:00:00Z  kernel
        active    camera 0.1 s ago
        config    /etc/thermograph/thermograph.toml  abababababab

        """)
    #expect(healthy.canCapture && healthy.summary == "ready for a tag; nothing waits; line connected")
  }

  @Test func whatAPersonMustSeeToStandsFirst() {
    var report = healthy
    report.camera.health = .lost
    report.camera.reason = "/dev/i2c-1: nobody answers at the address"
    report.line = .init()
    report.line.state = "waiting"
    (report.line.lastFailure, report.line.certificateDays) = ("unreachable: refused", 12)
    report.outbox.waiting = ["capture": 3, "image": 12, "health": 0]
    (report.outbox.oldestSeconds, report.outbox.quarantined) = (100_000, 2)
    report.clock.source = "none"
    report.configuration.needRestart = ["camera.lens: a -> b"]
    let lines = StatusScreen.text(of: report).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(lines.count <= 24)
    #expect(lines[0].hasPrefix("CANNOT CAPTURE  north/d-1"))
    #expect(lines[1] == "  ! camera lost: /dev/i2c-1: nobody answers at the address")
    #expect(lines[1...6].filter { $0.hasPrefix("  ! ") }.count == 5, "\(lines)")
    #expect(
      lines.contains("outbox    3 captures wait, the oldest for 1 day; also 12 images  0 kB stored, 0 % of the quota"))
    #expect(lines.contains("line      waiting  unreachable: refused  certificate 12 days"))
    #expect(!report.canCapture)
    #expect(report.summary == "no camera; 3 captures wait, the oldest for 1 day; line waiting")
  }

  @Test(arguments: [
    (0, nil, "nothing waits"), (1, 5, "1 capture waits, for 5 seconds"), (1, nil, "1 capture waits"),
    (32, 3 * 86_400 + 7, "32 captures wait, the oldest for 3 days"),
    (2, 3600, "2 captures wait, the oldest for 1 hour"),
  ])
  func daysOfflineAreSaidInWords(captures: Int, oldest: Int?, expected: String) {
    #expect(DeviceReport.backlog(captures: captures, oldestSeconds: oldest) == expected)
  }

  @Test func theReportReadsBackAsItWasWritten() throws {
    var reply = ControlReply()
    reply.status = healthy
    #expect(try ControlReply(decoding: reply.encoded()).status == healthy)
  }

  @Test(arguments: ["", "{}", "[]", "{\"request\":\"format\"}", "{\"request\":1}", "{\"request\":\"status\""])
  func whatIsNoRequestIsRefusedWithAnExample(text: String) {
    #expect(throws: ControlRefusal.self) { try ControlRequest(decoding: Array(text.utf8)) }
  }

  @Test func aRequestIsBounded() throws {
    let many = String(repeating: "\"tls\",", count: 64) + "\"tls\""
    #expect(throws: ControlRefusal.self) {
      try ControlRequest(decoding: Array("{\"request\":\"doctor\",\"parts\":[\(many)]}".utf8))
    }
    let long = String(repeating: "a", count: 129)
    #expect(throws: ControlRefusal.self) {
      try ControlRequest(decoding: Array("{\"request\":\"capture\",\"patient\":\"\(long)\"}".utf8))
    }
    #expect(try ControlRequest(decoding: Array("{\"request\":\"doctor\",\"parts\":[\"tls\"]}".utf8)).parts == ["tls"])
  }
}

@Suite struct LiveSettingsTests {
  private let folder = NSTemporaryDirectory() + "thermograph-live-\(UUID().uuidString)"
  private var main: String { folder + "/thermograph.toml" }

  private func write(_ more: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try "schema = 1\n[device]\nid = \"d\"\nsite = \"s\"\n\(more)".write(toFile: main, atomically: true, encoding: .utf8)
  }

  private func live() throws -> LiveSettings {
    let files = ConfigurationFolder(mainFile: main)
    let reading = files.read()
    try #require(reading.isUsable, "\(reading.faults)")
    return LiveSettings(reading.settings, folder: files, logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test func aLiveKeyThatNobodyTakesOverWaitsForARestart() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try write("")
    let live = try live()
    let levels = Mutex<[Settings.Log.Level]>([])
    let always = Mutex(0)
    live.onChange(of: ["log"]) { settings in levels.withLock { $0.append(settings.log.level) } }
    live.onChange(of: ["patients"], always: true) { _ in always.withLock { $0 += 1 } }
    try write("[log]\nlevel = \"debug\"\n[gates]\ndead_pixels_maximum = 3\n[camera]\nlens = \"110x75\"\n")
    let report = try live.reload()
    #expect(report.applied == ["log.level: \"info\" -> \"debug\""])
    #expect(
      report.needRestart == ["camera.lens: \"55x35\" -> \"110x75\"", "gates.dead_pixels_maximum: 10 -> 3"])
    #expect(live.settings.log.level == .debug && live.settings.gates.deadPixelsMaximum == 10)
    // Again, with nothing new: nobody is called but who reads a file of his own.
    #expect(try live.reload().applied.isEmpty)
    #expect(levels.withLock { $0 } == [.debug] && always.withLock { $0 } == 2)
    #expect(live.needRestart.count == 2)
  }

  @Test func withAMistakeNothingChanges() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try write("")
    let live = try live()
    live.onChange(of: ["log"]) { _ in Issue.record("nothing has changed") }
    try write("[log]\nlevel = \"debug\"\nlevle = 1\n")
    do throws(ControlRefusal) {
      try live.reload()
      Issue.record("expected a refusal")
    } catch {
      #expect(error.description.contains("thermograph.toml:7:1: unknown key log.levle"), "\(error)")
    }
    #expect(live.settings.log.level == .info)
  }

  /// A key that the table calls live and nobody takes over would be a promise that is not kept.
  @Test func everyTableWithLiveKeysIsTakenOver() {
    let tables = Set(SettingKey.all.filter(\.isLive).map(\.table))
    #expect(tables == DeviceRuntime.sessionTables.union(["log"]))
  }
}
