import CloudLink
import Forwarding
import Foundation
import LinuxIO
import Provenance
import Receiving
import Storage
import Synchronization
import TestSupport
import Testing

/// The fault matrix as far as somebody says no: certificates, access rules, quotas, clocks, receipts that lie.
@Suite struct RefusalFaultTests {
  private static let captures = FaultMatrix.fewCaptures
  private static let backlog = FaultMatrix.count("THERMOGRAPH_FAULT_BACKLOG", 150)
  private static let devices = FaultMatrix.count("THERMOGRAPH_FAULT_DEVICES", 0)

  // MARK: - Certificates

  enum CertificateFault: String, CaseIterable, Sendable {
    case ourCertificateEnded, brokersCertificateEnded, brokerOfAnotherAuthority, brokerOfAnotherName
  }

  @Test(arguments: CertificateFault.allCases)
  func aCertificateThatIsRefusedAndThenReplaced(fault: CertificateFault) async throws {
    let row = FaultRow("certificate: \(fault.rawValue), then replaced")
    let authority = try TestAuthority()
    try authority.makeAuthority("other")
    let server =
      switch fault {
      case .brokersCertificateEnded: try authority.issue("server", days: -1)
      case .brokerOfAnotherAuthority: try authority.issue("server", by: "other")
      case .brokerOfAnotherName: try authority.issue("server", "DNS:elsewhere.example")
      case .ourCertificateEnded: try authority.issue("server")
      }
    let identity = try authority.issue("unit-1", days: fault == .ourCertificateEnded ? -1 : 20)
    let plain = try FreePort.take()
    let broker = try authority.broker(
      server, extra: ["listener \(plain) 127.0.0.1", "persistence true", "persistence_location @DIR@/"])
    try await broker.start()
    let receiver = try await ReceiverEnd(plain)
    let device = try DeviceBench()
    var settings = authority.settings(broker.port, identity)
    settings.keepAliveSeconds = 5
    settings.connectTimeoutMilliseconds = 5000
    try device.start(settings)
    let ids = try await row.store(Self.captures, in: device)
    try await eventually("refused again and again") {
      try await device.line()?.counters.failures[.tls, default: 0] ?? 0 >= 3
    }
    #expect(try await device.line()?.counters.connections == 0)
    // Replaced on disk, file by file; the device is not restarted.
    if fault == .ourCertificateEnded {
      try authority.replace(identity, by: try authority.issue("unit-1-new"))
    } else {
      try authority.replace(server, by: try authority.issue("server-new"))
      broker.kill()
      try await broker.start()
    }
    try await row.verify(device, receiver, ids)
  }

  // MARK: - Rights and quotas

  @Test(arguments: [ProtocolVersion.mqtt5, .mqtt311])
  func aTopicThatTheAccessRulesRefuseAndThenAllow(version: ProtocolVersion) async throws {
    let row = FaultRow("topic refused by access rules, then allowed, \(version)")
    let broker = try MosquittoBroker(
      extra: ["allow_anonymous true", "acl_file @DIR@/rules"],
      files: ["rules": "topic readwrite tg/#\ntopic deny tg/v1/clinic/unit-1/up/capture\n"])
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let device = try DeviceBench()
    let ids = try await row.store(Self.captures, in: device)
    try device.start(broker.port, version: version)
    // The images flow although the records are refused.
    try await eventually("images arrive") { try receiver.ledger().stored.count >= Self.captures }
    if version == .mqtt5 {
      try await eventually("records are refused") {
        try await device.line()?.counters.refused[DeliveryClass.capture.rawValue] ?? 0 >= 2
      }
    }
    #expect(receiver.completed == 0)
    #expect(try await device.outbox.accounts().backlog(.capture).rows == Self.captures)
    try Data("topic readwrite tg/#\n".utf8).write(to: broker.directory.appending(path: "rules"))
    broker.reload()
    try await row.verify(device, receiver, ids, orderKept: version == .mqtt5)
  }

  @Test func aQuotaThatIsUsedUpAndThenFree() async throws {
    let row = FaultRow("quota refused (0x97), then free")
    // The first forty publishes of records and images are refused for the quota (0x97), whatever they are.
    let broker = try ScriptedBroker { topic, number in
      topic.contains("/up/status") || number > 40 ? 0 : 0x97
    }
    let device = try DeviceBench()
    let ids = try await row.store(Self.captures, in: device)
    try device.start(broker.port, confirm: .broker)
    try await eventually("everything is taken at last", withinSeconds: 120) { try await device.backlog() == 0 }
    try await device.stop()
    #expect(broker.refused.count >= 30)
    let records = broker.accepted.filter { $0.hasSuffix("/up/capture") }
    #expect(records.count == ids.count)
    // The largest of the three images goes in two parts.
    let images = broker.accepted.filter { $0.contains("/up/image/") }
    #expect(Set(images).count == 4 * ids.count)
    // One image may have had its first part refused as the last and its second taken, and both sent again.
    #expect(images.count - Set(images).count <= 1)
    // A refusal is no fault of the message: nothing was set aside.
    #expect(try await device.outbox.accounts()[.capture, .quarantined].rows == 0)
    #expect(try await device.outbox.accounts()[.image, .quarantined].rows == 0)
    row.report(
      "\(4 * ids.count) messages taken once each, \(broker.refused.count) refusals, none set aside")
  }

  // MARK: - Clocks

  /// The machine's clock with a wall time that can be set.
  private final class SettableClock: TimeSource {
    private let clock: SystemClock
    private let shift = Mutex<Int64>(0)

    init() throws { clock = try SystemClock() }

    func now() -> Timestamp {
      var now = clock.now()
      now.utcNanoseconds += shift.withLock { $0 }
      return now
    }

    func set(year: Int64) {
      let wanted = (year - 1970) * 31_556_952 * 1_000_000_000
      let present = clock.now().utcNanoseconds
      shift.withLock { $0 = wanted - present }
    }

    func step(days: Int64) { shift.withLock { $0 += days * 86_400_000_000_000 } }
    func correct() { shift.withLock { $0 = 0 } }
  }

  @Test(arguments: [1970, 2040] as [Int64])
  func aClockThatIsWrongAtTheStartAndStepsLater(year: Int64) async throws {
    let row = FaultRow("clock at \(year), corrected, then steps of a day")
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let clock = try SettableClock()
    clock.set(year: year)
    let device = try DeviceBench(time: clock)
    try device.start(broker.port)
    var ids = try await row.store(max(1, Self.captures / 3), in: device)
    clock.correct()
    for step in [1, -2, 1] as [Int64] {
      clock.step(days: step)
      ids += try await row.store(max(1, Self.captures / 3), in: device)
    }
    try await row.verify(device, receiver, ids)
  }

  @Test func belowTheClockFloorCapturesGoOnAndAreDeliveredAfterTheCorrection() async throws {
    let row = FaultRow("clock below its floor, then corrected")
    let authority = try TestAuthority()
    let plain = try FreePort.take()
    let broker = try authority.broker(try authority.issue("server"), extra: ["listener \(plain) 127.0.0.1"])
    try await broker.start()
    let receiver = try await ReceiverEnd(plain)
    let clock = try SettableClock()
    clock.set(year: 1970)
    let device = try DeviceBench(time: clock)
    var settings = authority.settings(broker.port, try authority.issue("unit-1"))
    let floor = Int64(Date().timeIntervalSince1970) - 86_400
    settings.keepAliveSeconds = 5
    try device.start(settings, clockFloorSeconds: floor)
    let ids = try await row.store(Self.captures, in: device)
    try await eventually("no attempt is made") {
      try await device.line()?.counters.failures[.clock, default: 0] ?? 0 >= 2
    }
    #expect(try await device.line()?.counters.connections == 0)
    clock.correct()
    try await row.verify(device, receiver, ids)
  }

  // MARK: - Receipts

  @Test func receiptsThatAreForgedRepeatedOrNoise() async throws {
    let row = FaultRow("receipts forged, replayed, noise")
    let broker = try MosquittoBroker()
    try await broker.start()
    let device = try DeviceBench()
    let ids = try await row.store(Self.captures, in: device)
    let liar = try LinkProbe()
    var ears = LinkSettings.plain(broker.port, "liar")
    ears.subscriptions = [device.topics.up("#")]
    try await liar.connect(ears)
    try await eventually("the liar listens") { !liar.notices.isEmpty }
    try device.start(broker.port)
    try await eventually("with the broker") {
      try await device.outbox.accounts()[.capture, .awaitingReceipt].rows > 0
    }
    // Right ids, wrong content: everything that a forger can know.
    let forged = try Receipt(
      receiver: "liar",
      entries: ids.map { .init(captureID: $0, name: OutboxItem.recordName, sha256: String(repeating: "ab", count: 32)) }
    ).encoded()
    let noise = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    var token: UInt64 = 0
    for payload in [forged, noise, Array("{}".utf8), forged] {
      token += 1
      _ = try await liar.publish(OutgoingMessage(topic: device.topics.receipts, payload: payload), token: token)
    }
    try await Task.sleep(for: .milliseconds(200))
    #expect(try await device.outbox.accounts().total(.capture).rows == Self.captures)
    #expect(try await device.outbox.figures().counters[.capture].receipted == 0)
    // The true receiver; its receipts are then replayed, all of them, twice.
    let receiver = try await ReceiverEnd(broker.port)
    try await eventually("all captures are complete", withinSeconds: 120) { receiver.completed == ids.count }
    for id in ids {
      let file = receiver.root.appending(path: "clinic/unit-1/\(id)/receipt.json")
      let receipt = [UInt8](try Data(contentsOf: file))
      for _ in 0..<2 {
        token += 1
        _ = try await liar.publish(OutgoingMessage(topic: device.topics.receipts, payload: receipt), token: token)
      }
    }
    await liar.client.stop()
    try await row.verify(device, receiver, ids, orderKept: false)
    #expect(try await device.outbox.figures().counters[.capture].receipted == ids.count)
  }

  // MARK: - Numbers

  @Test func aLongBacklog() async throws {
    let row = FaultRow("\(Self.backlog) captures waiting")
    let broker = try MosquittoBroker(logsEverything: false)
    try await broker.start()
    let device = try DeviceBench()
    var expected: Set<String> = []
    for index in 0..<Self.backlog {
      // One in twenty is of full size, so that 20,000 have a thousand of each.
      let images = index % 20 == 0 ? FaultMatrix.imageBytes : [6000]
      let id = try await device.store(images: images)
      expected.insert("\(id)/\(OutboxItem.recordName)")
      for number in images.indices { expected.insert("\(id)/image\(number).png") }
    }
    let receiver = try await ReceiverEnd(broker.port)
    try device.start(broker.port, window: 100)
    try await row.verify(device, receiver, expected)
  }

  /// Real devices with the pauses of the field; the simulated form with as many is in `ReconnectStormTests`.
  @Test(.enabled(if: devices > 0, "THERMOGRAPH_FAULT_DEVICES is not set"))
  func manyDevicesAndABrokerRestart() async throws {
    let row = FaultRow("\(Self.devices) devices and a broker restart")
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_connections -1"], logsEverything: false)
    try await broker.start()
    let devices = try (0..<Self.devices).map { try DeviceBench("unit-\($0)") }
    for device in devices {
      try device.start(.plain(broker.port, device.topics.device.text), backoff: ReconnectBackoff.Configuration())
    }
    func connected(_ connections: Int) async throws -> Int {
      var count = 0
      for device in devices where try await device.line()?.counters.connections ?? 0 >= connections { count += 1 }
      return count
    }
    try await eventually("all are connected", withinSeconds: 300) { try await connected(1) == devices.count }
    // Long enough for a connection to count as steady.
    try await Task.sleep(for: .seconds(31))
    broker.kill()
    try await broker.start()
    let clock = ContinuousClock()
    let start = clock.now
    var perSecond = [Int](repeating: 0, count: 60)
    var before = 0
    for second in 0..<60 {
      try await Task.sleep(until: start + .seconds(second + 1))
      let now = try await connected(2)
      perSecond[second] = now - before
      before = now
    }
    for device in devices { try await device.stop() }
    let busiest = perSecond.max() ?? 0
    #expect(busiest * 10 <= max(10, before), "\(perSecond)")
    row.report("\(before) back within a minute, \(busiest) in the busiest second")
  }
}
