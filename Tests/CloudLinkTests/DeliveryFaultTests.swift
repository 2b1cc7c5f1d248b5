import CloudLink
import Forwarding
import Foundation
import Provenance
import Testing

/// The fault matrix as far as it concerns the line: nothing lost, nothing twice after the key, order kept.
///
/// The counts are small here and grow with the environment: THERMOGRAPH_FAULT_CAPTURES (captures a case),
/// THERMOGRAPH_FAULT_ROUNDS (faults a case).
@Suite struct DeliveryFaultTests {
  private static func count(_ name: String, _ standard: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
  }

  static let captures = count("THERMOGRAPH_FAULT_CAPTURES", 24)
  static let rounds = count("THERMOGRAPH_FAULT_ROUNDS", 3)
  /// A record of a few hundred bytes, 6 KB, 60 KB, and one that must be divided.
  static let imageBytes = [6_000, 60_000, 140_000]
  private static let hangGuardSeconds = Double(60 + 10 * rounds + captures)

  /// Waits until everything is there, then compares.
  private func verify(
    _ device: DeviceBench, _ receiver: ReceiverEnd, _ ids: [RandomIdentifier], orderKept: Bool
  ) async throws {
    try await eventually("all captures are complete", withinSeconds: Self.hangGuardSeconds) {
      receiver.completed >= ids.count
    }
    try await eventually("the device has heard so", withinSeconds: Self.hangGuardSeconds) {
      try await device.backlog() == 0
    }
    try await device.stop()
    await receiver.stop()
    let (stored, order) = try receiver.ledger()
    let expected = Set(
      ids.flatMap { id in
        ["\(id)/\(OutboxItem.recordName)"] + Self.imageBytes.indices.map { "\(id)/image\($0).png" }
      })
    #expect(Set(stored.keys) == expected)
    #expect(stored.values.allSatisfy { $0 == 1 }, "stored twice: \(stored.filter { $0.value > 1 })")
    #expect(receiver.completed == ids.count)
    #expect(receiver.notes.isEmpty, "\(receiver.notes)")
    #expect(Set(order) == Set(1...Int64(ids.count)))
    if orderKept { #expect(order == order.sorted()) }
  }

  private func store(_ count: Int, in device: DeviceBench) async throws -> [RandomIdentifier] {
    var ids: [RandomIdentifier] = []
    for _ in 0..<count { ids.append(try await device.store(images: Self.imageBytes)) }
    return ids
  }

  @Test func aLineThatBreaksAgainAndAgain() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let line = try FaultProxy(to: broker.port)
    let device = try DeviceBench()
    let ids = try await store(Self.captures, in: device)
    try device.start(line.port)
    var generator = SystemRandomNumberGenerator()
    let faults: [FaultProxy.Fault] = [.reset, .finish, .garbage, .silence]
    for round in 0..<Self.rounds * faults.count {
      let fault = faults[round % faults.count]
      // Somewhere within the next megabyte, or after a few acknowledgements.
      let early = Bool.random(using: &generator)
      line.change(
        FaultProxy.Plan(
          fault: fault, afterBytesToClient: early ? Int.random(in: 0...200, using: &generator) : .max,
          afterBytesToBroker: Int.random(in: 0...1_000_000, using: &generator), connections: 1,
          garbageSeed: generator.next()))
      // The fault strikes the next connection, which the one under way has to make room for.
      line.breakConnections()
      try await eventually("fault \(round) struck", withinSeconds: Self.hangGuardSeconds) {
        let isDone = receiver.completed == ids.count
        return line.connections >= 2 || isDone
      }
    }
    line.change(FaultProxy.Plan())
    try await verify(device, receiver, ids, orderKept: true)
  }

  @Test(arguments: [false, true])
  func aBrokerThatIsKilledAndRestarted(keepsSessions: Bool) async throws {
    let persistence =
      keepsSessions ? ["persistence true", "persistence_location @DIR@/", "autosave_interval 1"] : []
    let broker = try MosquittoBroker(extra: ["allow_anonymous true"] + persistence)
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let device = try DeviceBench()
    try device.start(broker.port)
    var ids: [RandomIdentifier] = []
    for _ in 0..<Self.rounds {
      ids += try await store(max(1, Self.captures / Self.rounds), in: device)
      broker.kill()
      try await broker.start()
    }
    // What the broker acknowledged and lost comes later, after its receipt is missed: order is not asked for.
    try await verify(device, receiver, ids, orderKept: false)
  }

  @Test(arguments: [ProtocolVersion.mqtt5, .mqtt311])
  func aBrokerThatTakesSmallPacketsOnly(version: ProtocolVersion) async throws {
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_packet_size 20000"])
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let device = try DeviceBench()
    let ids = try await store(max(2, Self.captures / 4), in: device)
    try device.start(broker.port, version: version)
    try await verify(device, receiver, ids, orderKept: false)
  }

  @Test func aBrokerThatTakesOneAtATime() async throws {
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_inflight_messages 1"])
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let device = try DeviceBench()
    let ids = try await store(Self.captures, in: device)
    try device.start(broker.port)
    try await verify(device, receiver, ids, orderKept: true)
  }

  @Test func acknowledgementsThatAreWithheld() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    // CONNACK and SUBACK come, then not one PUBACK: the stalled-acknowledgement time-out must end it.
    let line = try FaultProxy(
      to: broker.port, FaultProxy.Plan(fault: .silence, afterBytesToClient: 30, connections: Self.rounds))
    let device = try DeviceBench()
    let ids = try await store(Self.captures, in: device)
    try device.start(line.port)
    try await verify(device, receiver, ids, orderKept: true)
    #expect(line.connections > Self.rounds)
  }

  @Test func aReceiverThatDiedAfterTheAcknowledgement() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    // The broker has its PUBACK for these, and they are gone.
    let receiver = try await ReceiverEnd(broker.port, forget: Self.captures)
    let device = try DeviceBench()
    let ids = try await store(Self.captures, in: device)
    try device.start(broker.port)
    try await verify(device, receiver, ids, orderKept: false)
  }
}
