import CloudLink
import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

/// The fault matrix as far as it concerns the line: nothing lost, nothing twice after the key, order kept.
///
/// The counts are small here and grow with the environment: THERMOGRAPH_FAULT_CAPTURES (captures a case),
/// THERMOGRAPH_FAULT_ROUNDS (faults a case).
@Suite struct DeliveryFaultTests {
  private static let rounds = FaultMatrix.rounds
  private static let captures = FaultMatrix.captures
  private static let hangGuardSeconds = Double(60 + 10 * rounds)

  @Test func aLineThatBreaksAgainAndAgain() async throws {
    let row = FaultRow("RST, FIN, garbage, silence again and again")
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let line = try FaultProxy(to: broker.port)
    let device = try DeviceBench()
    try device.start(line.port)
    var generator = SystemRandomNumberGenerator()
    let faults: [FaultProxy.Fault] = [.reset, .finish, .garbage, .silence]
    var ids: [RandomIdentifier] = []
    for round in 0..<Self.rounds * faults.count {
      let fault = faults[round % faults.count]
      // Somewhere within the next two captures, or after a few acknowledgements.
      let early = Bool.random(using: &generator)
      line.change(
        FaultProxy.Plan(
          fault: fault, afterBytesToClient: early ? Int.random(in: 0...40, using: &generator) : .max,
          afterBytesToBroker: early ? .max : Int.random(in: 0...400_000, using: &generator), connections: 1,
          garbageSeed: generator.next()))
      // The fault strikes the next connection, which the one under way has to make room for.
      line.breakConnections()
      ids += try await row.store(max(2, Self.captures / (Self.rounds * faults.count)), in: device)
      try await eventually("fault \(round) struck", withinSeconds: Self.hangGuardSeconds) { line.connections >= 2 }
    }
    line.change(FaultProxy.Plan())
    try await row.verify(device, receiver, ids, hangGuardSeconds: Self.hangGuardSeconds)
  }

  @Test(arguments: [false, true])
  func aBrokerThatIsKilledAndRestarted(keepsSessions: Bool) async throws {
    let row = FaultRow(
      "broker killed and restarted \(Self.rounds) times, \(keepsSessions ? "with" : "without") session")
    let persistence =
      keepsSessions ? ["persistence true", "persistence_location @DIR@/", "autosave_interval 1"] : []
    let broker = try MosquittoBroker(extra: ["allow_anonymous true"] + persistence)
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let device = try DeviceBench()
    try device.start(broker.port)
    var ids: [RandomIdentifier] = []
    for _ in 0..<Self.rounds {
      ids += try await row.store(max(1, Self.captures / Self.rounds), in: device)
      broker.kill()
      try await broker.start()
    }
    // What the broker acknowledged and lost comes later, after its receipt is missed: order is not asked for.
    try await row.verify(device, receiver, ids, orderKept: false, hangGuardSeconds: Self.hangGuardSeconds)
  }

  @Test(arguments: [ProtocolVersion.mqtt5, .mqtt311])
  func aBrokerThatTakesSmallPacketsOnly(version: ProtocolVersion) async throws {
    let row = FaultRow("maximum packet 20 KB, \(version)")
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_packet_size 20000"])
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let device = try DeviceBench()
    let ids = try await row.store(FaultMatrix.fewCaptures, in: device)
    try device.start(broker.port, version: version)
    try await row.verify(device, receiver, ids, orderKept: false)
  }

  @Test func aBrokerThatTakesOneAtATime() async throws {
    let row = FaultRow("Receive Maximum 1")
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_inflight_messages 1"])
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    let device = try DeviceBench()
    let ids = try await row.store(Self.captures, in: device)
    try device.start(broker.port)
    try await row.verify(device, receiver, ids)
  }

  @Test func acknowledgementsThatAreWithheld() async throws {
    let row = FaultRow("PUBACK withheld on \(Self.rounds) connections")
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    // CONNACK and SUBACK come, then not one PUBACK: the stalled-acknowledgement time-out must end it.
    let line = try FaultProxy(
      to: broker.port, FaultProxy.Plan(fault: .silence, afterBytesToClient: 30, connections: Self.rounds))
    let device = try DeviceBench()
    let ids = try await row.store(Self.captures, in: device)
    try device.start(line.port)
    try await row.verify(device, receiver, ids, hangGuardSeconds: Self.hangGuardSeconds)
    #expect(line.connections > Self.rounds)
  }

  @Test func aReceiverThatDiedAfterTheAcknowledgement() async throws {
    let row = FaultRow("receiver killed after PUBACK")
    let broker = try MosquittoBroker()
    try await broker.start()
    // The broker has its PUBACK for these, and they are gone.
    let receiver = try await ReceiverEnd(broker.port, forget: Self.captures)
    let device = try DeviceBench()
    let ids = try await row.store(Self.captures, in: device)
    try device.start(broker.port)
    try await row.verify(device, receiver, ids, orderKept: false)
  }
}
