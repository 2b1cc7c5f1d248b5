import CloudLink
import Forwarding
import Foundation
import Logging
import Provenance
import Screening
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Device

@Suite struct HealthServiceTests {
  private let scratch: ScratchFolder
  private var folder: String { scratch.path }

  init() throws { scratch = try ScratchFolder() }

  private let clock = ManualClock(
    Timestamp(
      utcNanoseconds: (ClockFloor.releaseSeconds + 86_400) * 1_000_000_000, bootID: "b",
      monotonicNanoseconds: 1_000_000_000, synchronised: true))
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private func openOutbox() throws -> Outbox {
    var generator = SystemRandomNumberGenerator()
    let key = try KeyFile.create(path: folder + "/key", digests: OpenSSLDigests(), using: &generator)
    return try Outbox(OutboxConfiguration(path: folder + "/outbox.sqlite", keys: KeyRing(current: key)), time: clock)
  }

  /// A certificate that ends in so many days by the real clock, made now.
  private func certificate(days: Int) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder + "/c.key",
      "-out", folder + "/c.pem", "-subj", "/CN=unit-1", "-days", "\(days)",
    ]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return folder + "/c.pem"
  }

  @Test func thatReceiptsNeedNoSignatureIsSaidOnceADay() throws {
    var alerts = ReceiptAlerts(.unsigned)
    var told: [Int64] = []
    for minutes in Int64(0)..<(3 * 1440) {
      let now = Timestamp(
        utcNanoseconds: 0, bootID: "b", monotonicNanoseconds: UInt64(minutes) * 60_000_000_000, synchronised: false)
      guard let alert = alerts.due(at: now) else { continue }
      #expect(alert.code == "receipts-unsigned" && alert.severity == .warning)
      told.append(minutes)
    }
    #expect(told == [0, 1440, 2880])
  }

  @Test func tellsHealthWritesTheFileAndWarnsOfTheCertificate() async throws {
    let outbox = try openOutbox()
    clock.change { $0.utcNanoseconds = Int64(Date().timeIntervalSince1970 * 1e9) }
    let certificate = try certificate(days: 10)
    let drift = InputDriftCounter(model: "m")
    var assessment = Assessment(
      gates: [],
      verdict: Verdict(
        outcome: .uncertain, rawOutput: [0], score: 0.5, probability: 0.5, thresholds: .init(lower: 0, upper: 1),
        leftRightDifference: nil, viewScores: [:], modelID: "m", modelSHA256: "", demonstration: true, reasons: ["-"]))
    var generator = SystemRandomNumberGenerator()
    // What was not scored does not count.
    drift.note(.saved(captureID: RandomIdentifier(using: &generator), assessment))
    for position in [InputStatistics.Position(above: [.maximum]), .init(below: [.atZero], above: [.maximum]), .init()] {
      assessment.inputs = position
      drift.note(.saved(captureID: RandomIdentifier(using: &generator), assessment))
    }
    let service = HealthService(
      monitor: DeliveryMonitor(outbox: outbox, delivery: nil, time: clock), outbox: outbox, time: clock,
      logger: logger, firmware: "1.2.3", intervalSeconds: 300, prometheusFile: folder + "/thermograph.prom",
      certificatePath: certificate, clockFloor: ClockFloor(path: folder + "/trusted-time", logger: logger),
      receiptTrouble: nil, drift: drift)
    let running = Task { try await service.run() }
    let deadline = ContinuousClock.now + .seconds(180)
    while true {
      let accounts = try await outbox.accounts()
      if accounts.total(.alert).rows > 0, accounts.total(.health).rows > 0 { break }
      try #require(ContinuousClock.now < deadline, "waited in vain")
      try await Task.sleep(for: .milliseconds(5))
    }
    running.cancel()
    try await running.value

    let health = try #require(try await outbox.pending(.health, after: 0, limit: 2).first)
    let message = try JSONDecoder().decode(HealthMessage.self, from: Data(await outbox.payload(of: health.id)))
    #expect(message.schema == "thermograph.health.v1" && message.firmware == "1.2.3" && message.clockSynchronised)
    #expect(
      message.inputs == HealthMessage.Inputs(model: "m", captures: 3, below: ["at_zero": 1], above: ["maximum": 2]))
    #expect(message.classes.keys.sorted() == DeliveryClass.allCases.map(\.name).sorted())
    let alert = try #require(try await outbox.pending(.alert, after: 0, limit: 2).first)
    let warning = try JSONDecoder().decode(AlertMessage.self, from: Data(await outbox.payload(of: alert.id)))
    // Ten days are left: the threshold of fourteen was reached, once.
    #expect(warning.code == "certificate-expiring" && warning.severity == .warning)
    #expect(try await outbox.accounts().total(.alert).rows == 1)
    let text = try String(contentsOfFile: folder + "/thermograph.prom", encoding: .utf8)
    #expect(text.contains("thermograph_connected 0\n") && text.contains("thermograph_clock_synchronised 1\n"))
    await outbox.close()
  }

  @Test func theClockFloorRisesWithTrustedTimeAndSurvivesARestart() throws {
    let path = folder + "/trusted-time"
    var now = clock.now()
    let floor = ClockFloor(path: path, logger: logger)
    // Whoever vouches for the clock: plain NTP can be spoofed.
    #expect(floor.seconds == ClockFloor.releaseSeconds)
    now.synchronised = false
    #expect(floor.seconds == ClockFloor.releaseSeconds)
    // What nobody vouches for is not remembered.
    try floor.note(now)
    #expect(!FileManager.default.fileExists(atPath: path))
    now.synchronised = true
    try floor.note(now)
    now.synchronised = false
    let again = ClockFloor(path: path, logger: logger)
    #expect(again.seconds == ClockFloor.releaseSeconds + 86_400)
    // A file of nonsense is as none.
    try Data("next week\n".utf8).write(to: URL(fileURLWithPath: path))
    #expect(ClockFloor(path: path, logger: logger).seconds == ClockFloor.releaseSeconds)
    // So is one of a number that no time is; a new trusted time takes its place.
    for nonsense in [Int64.min, -1, Int64.max, 253_402_300_800] {
      try Data("\(nonsense)\n".utf8).write(to: URL(fileURLWithPath: path))
      let floor = ClockFloor(path: path, logger: logger)
      #expect(floor.seconds == ClockFloor.releaseSeconds)
      now.synchronised = true
      try floor.note(now)
      now.synchronised = false
      #expect(ClockFloor(path: path, logger: logger).seconds == ClockFloor.releaseSeconds + 86_400)
    }
  }

  /// Spoofed time: 2040 for an hour, then 2020. Neither ends the certificates nor makes expired ones valid.
  @Test func theTrustedTimeFollowsNoLeap() throws {
    let path = folder + "/trusted-time"
    let floor = ClockFloor(path: path, logger: logger)
    var now = clock.now()
    let start = now.utcNanoseconds / 1_000_000_000
    func say(_ seconds: Int64, after minutes: UInt64) throws {
      now.utcNanoseconds = seconds * 1_000_000_000
      now.monotonicNanoseconds += minutes * 60_000_000_000
      try floor.note(now)
    }
    try say(start, after: 0)
    #expect(floor.seconds == start)
    let year2040: Int64 = 2_208_988_800
    for _ in 0..<12 { try say(year2040, after: 5) }
    // The release, an hour of real time, and one day; how often it was said does not matter.
    #expect(floor.seconds == ClockFloor.releaseSeconds + 86_400 + 3600)
    let before = floor.seconds
    try say(1_577_836_800, after: 5)
    #expect(floor.seconds == before && ClockFloor(path: path, logger: logger).seconds == before)
    // True time again: days pass, and the trusted time follows them.
    try say(start + 10 * 86_400, after: 10 * 24 * 60)
    #expect(floor.seconds == start + 10 * 86_400)
  }

  @Test func aTechnicianMayLowerTheTrustedTimeButNotBelowTheRelease() throws {
    let path = folder + "/trusted-time"
    try Data("2208988800\n".utf8).write(to: URL(fileURLWithPath: path))
    #expect(ClockFloor(path: path, logger: logger).seconds == 2_208_988_800)
    try ClockFloor.trust(ClockFloor.releaseSeconds + 60, path: path)
    #expect(ClockFloor(path: path, logger: logger).seconds == ClockFloor.releaseSeconds + 60)
    #expect(throws: (any Error).self) { try ClockFloor.trust(ClockFloor.releaseSeconds - 1, path: path) }
    #expect(ClockFloor(path: path, logger: logger).seconds == ClockFloor.releaseSeconds + 60)
  }

  /// 9999-12-31 is RFC 5280's way to say that there is no end; `doctor` and the running service read such dates.
  @Test func aCertificateWithoutAnEndIsReadByDoctorAndService() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let path = try certificate(days: 2_900_000)
    // Read after it was made: a certificate is not valid before its own second.
    clock.change { $0.utcNanoseconds = Int64(Date().timeIntervalSince1970 * 1e9) }
    let dates = try CertificateDates(own: path, authority: path, now: clock.now())
    #expect(dates.fault == nil)
    #expect(dates.what.contains("\(path) until 99"))
    #expect(try CertificateValidity(ofCertificateAt: path).daysLeft(at: clock.now()) > 2_800_000)
    // Whatever a certificate or the clock says, there is an answer.
    for notAfter in [Int64.max, Int64.min, 0] {
      let validity = CertificateValidity(notBeforeSeconds: notAfter, notAfterSeconds: notAfter)
      var watch = CertificateWatch()
      _ = watch.check(validity, at: clock.now())
      #expect((validity.daysLeft(at: clock.now()) > 0) == (notAfter > 0))
    }
  }
}
