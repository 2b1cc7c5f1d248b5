import Forwarding
import Foundation
import Logging
import Provenance
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
    var alerts = UnsignedReceiptAlerts()
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
    let service = HealthService(
      monitor: DeliveryMonitor(outbox: outbox, delivery: nil, time: clock), outbox: outbox, time: clock,
      logger: logger, firmware: "1.2.3", intervalSeconds: 300, prometheusFile: folder + "/thermograph.prom",
      certificatePath: certificate, clockFloor: ClockFloor(path: folder + "/trusted-time", logger: logger),
      acceptsUnsignedReceipts: false)
    let running = Task { try await service.run() }
    let deadline = ContinuousClock.now + .seconds(30)
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
    // A time source vouches for the clock: no floor is needed.
    #expect(floor.seconds(at: now) == 0)
    now.synchronised = false
    #expect(floor.seconds(at: now) == ClockFloor.releaseSeconds)
    // What nobody vouches for is not remembered.
    try floor.note(now)
    #expect(!FileManager.default.fileExists(atPath: path))
    now.synchronised = true
    try floor.note(now)
    now.synchronised = false
    let again = ClockFloor(path: path, logger: logger)
    #expect(again.seconds(at: now) == ClockFloor.releaseSeconds + 86_400)
    // A file of nonsense is as none.
    try Data("next week\n".utf8).write(to: URL(fileURLWithPath: path))
    #expect(ClockFloor(path: path, logger: logger).seconds(at: now) == ClockFloor.releaseSeconds)
  }
}
