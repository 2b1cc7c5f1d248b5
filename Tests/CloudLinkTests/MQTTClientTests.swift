import CloudLink
import Forwarding
import Foundation
import TestSupport
import Testing

@Suite struct MQTTClientTests {
  @Test(arguments: [ProtocolVersion.mqtt5, .mqtt311])
  func publishesAndReceivesWithAllProperties(version: ProtocolVersion) async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let listener = try LinkProbe()
    let sender = try LinkProbe()
    var listening = LinkSettings.plain(broker.port, "listener")
    listening.subscriptions = ["tg/v1/+/+/up/#"]
    try await listener.connect(listening)
    try await eventually("subscribed") {
      listener.notices.contains(.subscribed(filter: "tg/v1/+/+/up/#", reason: 1))
    }
    var sending = LinkSettings.plain(broker.port, "sender")
    sending.protocolVersion = version
    let limits = try await sender.connect(sending)
    #expect(limits.protocolVersion == version)
    // mosquitto 2.0 allows 20 unless told otherwise; 3.1.1 has no way to say so.
    #expect(limits.receiveMaximum == (version == .mqtt5 ? 20 : 65_535))

    let message = OutgoingMessage(
      topic: "tg/v1/clinic/unit-1/up/capture", payload: Array("{}".utf8), contentType: "application/json",
      userProperties: [UserProperty("id", "1"), UserProperty("replayed", "true")], expirySeconds: 60)
    #expect(try await sender.publish(message, token: 7) == .acknowledged(reason: 0))
    try await eventually("received") { listener.messages.count == 1 }
    let received = try #require(listener.messages.first)
    #expect(received.topic == message.topic)
    #expect(received.payload == message.payload)
    #expect(received.contentType == (version == .mqtt5 ? "application/json" : nil))
    #expect(received.userProperties == (version == .mqtt5 ? message.userProperties : []))
    await sender.client.stop()
    await listener.client.stop()
  }

  @Test func keepsOrderOfManyLargeMessages() async throws {
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_inflight_messages 0"])
    try await broker.start()
    let listener = try LinkProbe()
    let sender = try LinkProbe()
    var listening = LinkSettings.plain(broker.port, "listener")
    listening.subscriptions = ["up/#"]
    listening.receiveMaximum = 65_535
    try await listener.connect(listening)
    try await eventually("subscribed") { listener.notices.count == 1 }
    try await sender.connect(LinkSettings.plain(broker.port, "sender"))
    for number in 0..<60 {
      let payload = [UInt8](repeating: UInt8(number), count: 60_000)
      sender.client.publish(
        OutgoingMessage(topic: "up/\(number)", payload: payload), token: PublishToken(rawValue: UInt64(number)))
    }
    try await eventually("all arrived") { listener.messages.count == 60 && sender.outcomes.count == 60 }
    #expect(listener.messages.map(\.topic) == (0..<60).map { "up/\($0)" })
    #expect(listener.messages.enumerated().allSatisfy { $1.payload == [UInt8](repeating: UInt8($0), count: 60_000) })
    #expect(sender.outcomes.values.allSatisfy { $0 == .acknowledged(reason: 0) })
    await sender.client.stop()
    await listener.client.stop()
  }

  /// What is not read waits at the broker, however much it is, and comes in order when it is read again.
  @Test func whatIsNotReadWaitsAtTheBroker() async throws {
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_queued_messages 1000"])
    try await broker.start()
    let listener = try LinkProbe()
    let sender = try LinkProbe()
    var listening = LinkSettings.plain(broker.port, "listener")
    listening.subscriptions = ["up/#"]
    try await listener.connect(listening)
    try await eventually("subscribed") { listener.notices.count == 1 }
    try await sender.connect(LinkSettings.plain(broker.port, "sender"))
    listener.client.read(false)
    // The order holds once the thread has looked at it.
    let (seen, saw) = AsyncStream<Void>.makeStream()
    listener.client.ask { saw.finish() }
    for await _ in seen {}
    for number in 0..<200 {
      let payload = [UInt8](repeating: UInt8(number), count: 60_000)
      sender.client.publish(
        OutgoingMessage(topic: "up/\(number)", payload: payload), token: PublishToken(rawValue: UInt64(number)))
    }
    try await eventually("the broker has all of it") { sender.outcomes.count == 200 }
    #expect(sender.outcomes.values.allSatisfy { $0 == .acknowledged(reason: 0) })
    #expect(listener.messages.isEmpty)
    listener.client.read(true)
    try await eventually("all arrived") { listener.messages.count == 200 }
    #expect(listener.messages.map(\.topic) == (0..<200).map { "up/\($0)" })
    #expect(listener.disconnections.isEmpty)

    // A broker that dies is noticed all the same.
    listener.client.read(false)
    broker.kill()
    try await eventually("the end") { listener.disconnections.count == 1 }
    await sender.client.stop()
    await listener.client.stop()
  }

  @Test func saysThatNobodySubscribes() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let sender = try LinkProbe()
    try await sender.connect(LinkSettings.plain(broker.port))
    let outcome = try await sender.publish(OutgoingMessage(topic: "up/a", payload: [1]), token: 1)
    #expect(outcome == .acknowledged(reason: 0x10))
    await sender.client.stop()
  }

  @Test func refusedByAccessControl() async throws {
    let broker = try MosquittoBroker(
      extra: ["allow_anonymous true", "acl_file @DIR@/acl"], files: ["acl": "topic readwrite allowed/#\n"])
    try await broker.start()
    let sender = try LinkProbe()
    try await sender.connect(LinkSettings.plain(broker.port))
    let refused = try await sender.publish(OutgoingMessage(topic: "other/a", payload: [1]), token: 1)
    #expect(refused == .refused(reason: 0x87))
    let allowed = try await sender.publish(OutgoingMessage(topic: "allowed/a", payload: [1]), token: 2)
    #expect(allowed == .acknowledged(reason: 0x10))
    // The library's answer for 3.1.1 looks like success: that is why only a receipt counts there.
    let old = try LinkProbe()
    var settings = LinkSettings.plain(broker.port, "old")
    settings.protocolVersion = .mqtt311
    try await old.connect(settings)
    let silent = try await old.publish(OutgoingMessage(topic: "other/a", payload: [1]), token: 1)
    #expect(silent == .acknowledged(reason: 0))
    await sender.client.stop()
    await old.client.stop()
  }

  @Test func brokerAbsentThenThere() async throws {
    let broker = try MosquittoBroker()
    let probe = try LinkProbe()
    let failure = try await probe.failure(of: LinkSettings.plain(broker.port))
    #expect(failure.kind == .unreachable)
    #expect(failure.detail == "127.0.0.1:\(broker.port): Connection refused")
    try await broker.start()
    try await probe.connect(LinkSettings.plain(broker.port))
    await probe.client.stop()
  }

  @Test func noticesThatTheBrokerWasKilledAndConnectsAgain() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let probe = try LinkProbe()
    for round in 1...5 {
      try await probe.connect(LinkSettings.plain(broker.port))
      broker.kill()
      try await eventually("the end was noticed") { probe.disconnections.count == round }
      #expect(probe.disconnections.last?.kind == .closedByPeer)
      let outcome = try await probe.publish(
        OutgoingMessage(topic: "up/a", payload: [1]), token: UInt64(round))
      #expect(outcome == .notSent(detail: "no connection"))
      try await broker.start()
    }
    await probe.client.stop()
  }

  @Test func neverHandsOverAPacketThatTheBrokerRefuses() async throws {
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_packet_size 20000"])
    try await broker.start()
    let probe = try LinkProbe()
    let limits = try await probe.connect(LinkSettings.plain(broker.port))
    #expect(limits.maximumPacketBytes == 20_000)
    let large = OutgoingMessage(topic: "up/a", payload: [UInt8](repeating: 1, count: 60_000))
    guard case .notSent(let detail) = try await probe.publish(large, token: 1) else {
      Issue.record("the packet was sent")
      return
    }
    #expect(detail.hasSuffix("the broker takes at most 20000"))
    let fitting = OutgoingMessage(topic: "up/a", payload: [UInt8](repeating: 1, count: 19_900))
    #expect(try await probe.publish(fitting, token: 2) == .acknowledged(reason: 0x10))
    #expect(probe.disconnections.isEmpty)
    await probe.client.stop()
  }

  @Test func oversizeUnder311EndsTheConnectionAndNothingElse() async throws {
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_packet_size 20000"])
    try await broker.start()
    let probe = try LinkProbe()
    var settings = LinkSettings.plain(broker.port)
    settings.protocolVersion = .mqtt311
    try await probe.connect(settings)
    let large = OutgoingMessage(topic: "up/a", payload: [UInt8](repeating: 1, count: 60_000))
    probe.client.publish(large, token: PublishToken(rawValue: 1))
    try await eventually("the broker hung up") { probe.disconnections.count == 1 }
    try await probe.connect(settings)
    let small = OutgoingMessage(topic: "up/a", payload: [1])
    #expect(try await probe.publish(small, token: 2) == .acknowledged(reason: 0))
    #expect(probe.outcomes[1] == nil)
    await probe.client.stop()
  }

  @Test func keepsToAReceiveMaximumOfOne() async throws {
    let broker = try MosquittoBroker(extra: ["allow_anonymous true", "max_inflight_messages 1"])
    try await broker.start()
    let probe = try LinkProbe()
    let limits = try await probe.connect(LinkSettings.plain(broker.port))
    #expect(limits.receiveMaximum == 1)
    for token in 1...50 as ClosedRange<UInt64> {
      let outcome = try await probe.publish(OutgoingMessage(topic: "up/a", payload: [1]), token: token)
      #expect(outcome == .acknowledged(reason: 0x10))
    }
    #expect(probe.disconnections.isEmpty)
    await probe.client.stop()
  }

  @Test func theWillIsSentAfterAnEndWithoutGoodbyeAndOnlyThen() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let listener = try LinkProbe()
    var listening = LinkSettings.plain(broker.port, "listener")
    listening.subscriptions = ["up/status", "up/last"]
    try await listener.connect(listening)
    try await eventually("subscribed") { listener.notices.count == 2 }

    var settings = LinkSettings.plain(broker.port, "unit-1")
    settings.will = OutgoingMessage(
      topic: "up/status", payload: Array("offline".utf8), contentType: "text/plain", retain: true)
    let polite = try LinkProbe()
    try await polite.connect(settings)
    // The last publish before the good-bye arrives, and the will does not.
    polite.client.publish(
      OutgoingMessage(topic: "up/last", payload: Array("stopped".utf8)), token: PublishToken(rawValue: 1))
    await polite.client.stop()
    try await eventually("last words") { listener.messages.count == 1 }
    #expect(listener.messages.map(\.topic) == ["up/last"])

    let first = try LinkProbe()
    let second = try LinkProbe()
    try await first.connect(settings)
    // The same name again: the broker throws the first one out, which is an end without a good-bye.
    try await second.connect(settings)
    try await eventually("thrown out") { first.disconnections.count == 1 }
    // mosquitto 2.0 says nothing about it, later ones send DISCONNECT with 0x8E.
    let end = try #require(first.disconnections.first)
    #expect([.sessionTaken, .closedByPeer].contains(end.kind))
    try await eventually("will") { listener.messages.count == 2 }
    #expect(listener.messages.last?.topic == "up/status")
    #expect(listener.messages.last?.payload == Array("offline".utf8))
    #expect(listener.messages.last?.contentType == "text/plain")
    for probe in [first, second, listener] { await probe.client.stop() }
  }

  @Test func theSessionKeepsWhatCameMeanwhile() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let probe = try LinkProbe()
    var settings = LinkSettings.plain(broker.port, "unit-1")
    settings.sessionExpirySeconds = 600
    settings.subscriptions = ["dn/#"]
    #expect(try await probe.connect(settings).sessionPresent == false)
    try await eventually("subscribed") { probe.notices.count == 1 }
    probe.client.disconnect()
    try await eventually("closed") { probe.disconnections.map(\.kind) == [.requested] }
    let sender = try LinkProbe()
    try await sender.connect(LinkSettings.plain(broker.port, "sender"))
    let outcome = try await sender.publish(OutgoingMessage(topic: "dn/command", payload: [9]), token: 1)
    #expect(outcome == .acknowledged(reason: 0))
    #expect(try await probe.connect(settings).sessionPresent)
    try await eventually("the command that waited") { probe.messages.map(\.payload) == [[9]] }
    await probe.client.stop()
    await sender.client.stop()
  }

  @Test func refusesCredentialsWithAReason() async throws {
    let broker = try MosquittoBroker(extra: ["allow_anonymous false"])
    try await broker.start()
    let probe = try LinkProbe()
    let failure = try await probe.failure(of: LinkSettings.plain(broker.port))
    #expect(failure.kind == .refused)
    #expect(failure.detail.contains("CONNACK 0x87"))
    var old = LinkSettings.plain(broker.port)
    old.protocolVersion = .mqtt311
    let oldFailure = try await probe.failure(of: old)
    #expect(oldFailure.kind == .refused)
    await probe.client.stop()
  }

  @Test func aSecondAttemptIsRefusedWhileOneStands() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let probe = try LinkProbe()
    try await probe.connect(LinkSettings.plain(broker.port))
    let failure = try await probe.failure(of: LinkSettings.plain(broker.port))
    #expect(failure.kind == .requested)
    #expect(probe.disconnections.isEmpty)
    await probe.client.stop()
  }

  @Test func refusesPlaintextBeyondLoopback() async throws {
    let probe = try LinkProbe()
    var settings = LinkSettings.plain(1883)
    settings.host = "192.0.2.1"
    let failure = try await probe.failure(of: settings)
    #expect(failure.kind == .tls)
    #expect(failure.detail == "plain MQTT to 192.0.2.1 (192.0.2.1) is refused: use TLS, or allow_plaintext = true")
    await probe.client.stop()
  }

  @Test func aNameThatDoesNotExistIsSaidSo() async throws {
    let probe = try LinkProbe()
    var settings = LinkSettings.plain(1883)
    settings.host = "no-such-host.invalid"
    settings.connectTimeoutMilliseconds = 20_000
    let failure = try await probe.failure(of: settings)
    #expect(failure.kind == .nameResolution)
    #expect(failure.detail.hasPrefix("no-such-host.invalid: "))
    await probe.client.stop()
  }
}
