import CloudLink
import Forwarding
import Foundation
import TestSupport
import Testing

/// What the client makes of every kind of broken line at every step of the protocol.
@Suite struct LineFaultTests {
  /// Where the line breaks, in bytes that went through before.
  struct Step: Sendable, CustomTestStringConvertible {
    var name: String
    var toClient = Int.max
    var toBroker = Int.max
    var isSecure = false

    var testDescription: String { name }

    static let all = [
      Step(name: "accepted", toClient: 0),
      Step(name: "within CONNACK", toClient: 3),
      Step(name: "within a PUBLISH", toBroker: 100_000),
      Step(name: "among PUBACKs", toClient: 45),
      Step(name: "TLS accepted", toClient: 0, isSecure: true),
      Step(name: "within the TLS handshake", toClient: 700, isSecure: true),
      Step(name: "within a PUBLISH over TLS", toBroker: 100_000, isSecure: true),
    ]
  }

  @Test(arguments: FaultProxy.Fault.allCases, Step.all)
  func survives(fault: FaultProxy.Fault, step: Step) async throws {
    let authority = try TestAuthority()
    let broker =
      step.isSecure
      ? try authority.broker(try authority.issue("server"), requireCertificate: false) : try MosquittoBroker()
    try await broker.start()
    let line = try FaultProxy(
      to: broker.port,
      FaultProxy.Plan(
        fault: fault, afterBytesToClient: step.toClient, afterBytesToBroker: step.toBroker, connections: 1,
        dripMilliseconds: 200, garbageSeed: UInt64(step.name.utf8.count)))
    var settings = step.isSecure ? authority.settings(line.port, nil) : LinkSettings.plain(line.port)
    settings.keepAliveSeconds = 5
    // Only a line that says nothing, or next to nothing, is to run out of time.
    settings.connectTimeoutMilliseconds = [.silence, .drip].contains(fault) ? 3000 : 30_000
    let probe = try LinkProbe()
    probe.client.connect(settings)
    try await eventually("connected or not") { probe.connections.count + probe.failures.count == 1 }
    if probe.connections.count == 1 {
      let payload = [UInt8](repeating: 7, count: 60_000)
      for token in 1...20 as ClosedRange<UInt64> {
        probe.client.publish(OutgoingMessage(topic: "up/a", payload: payload), token: PublishToken(rawValue: token))
      }
      // A line that trickles is alive: its connection stays, and ends because we say so.
      if fault == .drip {
        probe.client.disconnect()
      }
      try await eventually("the end was noticed") { probe.disconnections.count == 1 }
    }
    let end = try #require((probe.failures + probe.disconnections).first)
    #expect(!end.detail.isEmpty)
    switch fault {
    // Both ends give a silent line up after one and a half keep-alives; either may be first.
    case .silence: #expect([.timeout, .closedByPeer].contains(end.kind))
    case .drip: #expect([.timeout, .requested].contains(end.kind))
    case .garbage: #expect([.protocolError, .tls, .unreachable, .closedByPeer, .brokerDisconnect].contains(end.kind))
    case .reset, .finish: #expect([.tls, .unreachable, .closedByPeer].contains(end.kind))
    }
    // The next connection goes through a whole line, and nothing is left of the broken one.
    try await probe.connectAtLast(settings)
    let outcome = try await probe.publish(OutgoingMessage(topic: "up/b", payload: [1]), token: 99)
    #expect(outcome == .acknowledged(reason: 0x10))
    await probe.client.stop()
  }

  @Test(arguments: Step.all)
  func stopsWhateverTheLineDoes(step: Step) async throws {
    let authority = try TestAuthority()
    let broker =
      step.isSecure
      ? try authority.broker(try authority.issue("server"), requireCertificate: false) : try MosquittoBroker()
    try await broker.start()
    let line = try FaultProxy(
      to: broker.port,
      FaultProxy.Plan(fault: .silence, afterBytesToClient: step.toClient, afterBytesToBroker: step.toBroker))
    let settings = step.isSecure ? authority.settings(line.port, nil) : LinkSettings.plain(line.port)
    let probe = try LinkProbe()
    probe.client.connect(settings)
    try await eventually("the line is silent or stands") { line.connections == 1 }
    try await Task.sleep(for: .milliseconds(100))
    let payload = [UInt8](repeating: 7, count: 60_000)
    for token in 1...20 as ClosedRange<UInt64> {
      probe.client.publish(OutgoingMessage(topic: "up/a", payload: payload), token: PublishToken(rawValue: token))
    }
    let clock = ContinuousClock()
    let elapsed = await clock.measure { await probe.client.stop() }
    // The contract is 2 s; a test machine that stands still for a while must not fail the test.
    #expect(elapsed < .seconds(10))
    #expect((probe.failures + probe.disconnections).allSatisfy { $0.kind == .requested })
  }

  @Test func aHangingLookUpIsBounded() async throws {
    // A name server that never answers: resolv.conf cannot be changed here, so a name with many labels and no answer
    // within the bound stands for it; with a resolver that answers at once the failure is the resolver's.
    let probe = try LinkProbe()
    var settings = LinkSettings.plain(1883)
    settings.host = "nowhere.invalid"
    settings.connectTimeoutMilliseconds = 1
    let failure = try await probe.failure(of: settings)
    #expect(failure.kind == .nameResolution)
    #expect(failure.detail.hasPrefix("nowhere.invalid: "))
    await probe.client.stop()
  }

  @Test func aPacketBeyondTheLimitIsNotSwallowed() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let probe = try LinkProbe()
    var settings = LinkSettings.plain(broker.port)
    settings.subscriptions = ["up/#"]
    // Under 3.1.1 the broker is not told of the limit, so the client must keep it by itself.
    settings.protocolVersion = .mqtt311
    settings.incomingPacketBytesMaximum = 50_000
    try await probe.connect(settings)
    try await eventually("subscribed") { probe.notices.count == 1 }
    let sender = try LinkProbe()
    try await sender.connect(.plain(broker.port, "sender"))
    let large = OutgoingMessage(topic: "up/a", payload: [UInt8](repeating: 1, count: 20_000_000))
    sender.client.publish(large, token: PublishToken(rawValue: 1))
    try await eventually("the connection was ended") { probe.disconnections.count == 1 }
    #expect(probe.disconnections.first?.kind == .protocolError)
    #expect(probe.messages.isEmpty)
    await probe.client.stop()
    await sender.client.stop()
  }
}
