import CloudLink
import Forwarding
import Foundation
import Glibc
import LinuxIO
import Storage
import TestSupport
import Testing

/// What a broker sends down, or does not, and what the device makes of it.
@Suite struct DownlinkFaultTests {
  private static let unit = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../systemd/thermograph.service")

  /// MQTT 5 section 3.1.2.11.4: identifier 39, four bytes.
  @Test func theLargestPacketIsAnnounced() async throws {
    let broker = try ScriptedBroker()
    let probe = try LinkProbe()
    try await probe.connect(.plain(broker.port))
    let connect = try #require(broker.connects.first)
    let announced: [UInt8] = [39, 0, 4, 0, 0]
    #expect(
      (0...(connect.count - announced.count)).contains { Array(connect[$0..<($0 + announced.count)]) == announced },
      "256 KiB are not in CONNECT")
    await probe.client.stop()
  }

  @Test func aDeviceSubscribesToExactTopics() async throws {
    let broker = try ScriptedBroker()
    let device = try DeviceBench()
    try device.start(broker.port)
    try await eventually("subscribed") { !broker.subscribed.isEmpty }
    #expect(broker.subscribed == ["tg/v1/clinic/unit-1/dn/receipt"])
    try await device.stop()
    await device.outbox.close()
  }

  @Test func whatTheBrokerKeepsIsNotAskedForUnderMQTT5() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let sender = try LinkProbe()
    try await sender.connect(.plain(broker.port, "sender"))
    let kept = OutgoingMessage(topic: "dn/receipt", payload: Array("kept".utf8), retain: true)
    #expect(try await sender.publish(kept, token: 1) == .acknowledged(reason: 0x10))
    let probe = try LinkProbe()
    var settings = LinkSettings.plain(broker.port)
    settings.subscriptions = ["dn/receipt"]
    settings.takesRetained = false
    try await probe.connect(settings)
    try await eventually("subscribed") { probe.notices.count == 1 }
    _ = try await sender.publish(OutgoingMessage(topic: "dn/receipt", payload: Array("new".utf8)), token: 2)
    try await eventually("the new message is there") { !probe.messages.isEmpty }
    #expect(probe.messages.map(\.payload) == [Array("new".utf8)])
    await probe.client.stop()
    await sender.client.stop()
  }

  /// A hundred megabytes that the broker keeps for this device and, under MQTT 3.1.1, sends to every subscription.
  @Test func anOversizeRetainedMessageCostsNeitherMemoryNorDelivery() async throws {
    let scene = try await DriverScene()
    let sender = try LinkProbe()
    try await sender.connect(.plain(scene.broker.port, "sender"))
    let large = OutgoingMessage(
      topic: "tg/v1/clinic/unit-1/dn/receipt", payload: [UInt8](repeating: 1, count: 100_000_000), retain: true)
    _ = try await sender.publish(large, token: 1)
    await sender.client.stop()
    let device = try DriverProcess(
      folder: scene.folder, keyFile: scene.keyFile, port: scene.broker.port, first: 1, count: 5, options: ["mqtt=311"])
    try await eventually("everything is there") { scene.receiver.completed == 5 }
    try await eventually("the alert is stored") { try device.lines().contains { $0.contains("downlink-oversize") } }
    let peak = try device.peakMemoryBytes()
    #expect(peak < 64 << 20, "\(peak / 1_000_000) MB")
    // What the unit allows is far above, so no message ends the service by its memory.
    let unit = try String(contentsOf: Self.unit, encoding: .utf8)
    let allowed = try #require(unit.firstMatch(of: /MemoryMax=(\d+)M/).flatMap { Int($0.1) })
    #expect(peak * 2 < allowed << 20)
    // A reconnect loop would take the message again and again.
    let ends = try device.lines().count { $0.hasPrefix("log disconnected") }
    #expect(ends == 2, "once, and once more to know that it was no noise")
    #expect(try device.lines().count { $0.contains("downlink-oversize") } == 1)
    _ = try await device.terminate()
    print("peak memory of the device beside a retained message of 100 MB under MQTT 3.1.1: \(peak / 1_000_000) MB")
  }

  @Test func aRefusedSubscriptionIsAFailedConnection() async throws {
    let broker = try ScriptedBroker(subscription: 0x87)
    let device = try DeviceBench()
    try device.start(broker.port)
    try await eventually("the connection was given up") {
      try await device.line()?.lastFailure?.kind == .refused
    }
    try await device.stop()
    // Where the broker's word is enough it stands.
    try device.start(broker.port, confirm: .broker)
    try await device.store(images: [])
    try await eventually("delivered") { try await device.backlog() == 0 }
    #expect(try await device.line()?.state == .connected)
    try await device.stop()
    await device.outbox.close()
  }

  @Test func anUnansweredSubscriptionIsAFailedConnection() async throws {
    let broker = try ScriptedBroker(subscription: nil)
    let probe = try LinkProbe()
    var settings = LinkSettings.plain(broker.port)
    settings.subscriptions = ["dn/receipt"]
    settings.subscribeTimeoutMilliseconds = 300
    try await probe.connect(settings)
    try await eventually("the connection was given up") { !probe.disconnections.isEmpty }
    #expect(probe.disconnections.first?.detail.hasSuffix("no answer to a subscription") == true)
    await probe.client.stop()
  }

  /// SIGSTOP leaves the broker's TCP to the kernel, which goes on acknowledging.
  @Test(arguments: [0, 3])
  func aStoppedBrokerIsNoticedWithinTenSeconds(publishes: Int) async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let probe = try LinkProbe()
    var settings = LinkSettings.plain(broker.port)
    settings.keepAliveSeconds = 5
    try await probe.connect(settings)
    let process = try #require(broker.processIdentifier)
    #expect(Glibc.kill(process, SIGSTOP) == 0)
    defer { _ = Glibc.kill(process, SIGCONT) }
    let start = ContinuousClock.now
    for number in 0..<publishes {
      probe.client.publish(
        OutgoingMessage(topic: "up/a", payload: [1]), token: PublishToken(rawValue: UInt64(number) + 1))
    }
    try await eventually("noticed") { !probe.disconnections.isEmpty }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    // The rule is 10 s (`LinkWatchTests`); a machine that stands still for a while must not fail the test.
    #expect(seconds <= 15, "\(seconds) s")
    #expect(probe.disconnections.first?.kind == .timeout)
    _ = Glibc.kill(process, SIGCONT)
    await probe.client.stop()
  }

  /// A broker that is there before its receiver acknowledges what it gives to nobody. A receipt's timeout is ten minutes,
  /// and an alert has none: it would be gone.
  @Test func whatIsSentBeforeTheReceiverListensArrivesSoonAfterIt() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let device = try DeviceBench()
    for _ in 0..<5 { try await device.store(images: [500, 140_000]) }
    _ = try await device.outbox.enqueue(.alert(Array(#"{"code":"early"}"#.utf8), created: try SystemClock().now()))
    try device.start(broker.port, receiptTimeoutSeconds: 600)
    try await eventually("the broker has said so of record, image and alert") {
      try await device.line()?.counters.acknowledgementsByReason[0x10] ?? 0 >= 3
    }
    try await Task.sleep(for: .milliseconds(1500))
    let accounts = try await device.outbox.accounts()
    #expect(accounts[.capture, .pending].rows == 5 && accounts[.image, .pending].rows == 10)
    #expect(accounts[.alert, .pending].rows == 1)
    let start = ContinuousClock.now
    let receiver = try await ReceiverEnd(broker.port)
    try await eventually("everything is here", withinSeconds: 60) { try await device.backlog() == 0 }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    print("5 captures and an alert freed \(seconds) s after the receiver came")
    #expect(seconds < 60)
    #expect(receiver.completed == 5)
    let messages = receiver.root.appending(path: "clinic/unit-1/messages").path
    #expect(try FileManager.default.contentsOfDirectory(atPath: messages).contains { $0.hasPrefix("alert-") })
    try await device.stop()
    await device.outbox.close()
    await receiver.stop()
  }

  /// The receiver has everything, its receipts were lost while the device was away. A receipt's timeout is ten minutes.
  @Test func lostReceiptsComeAgainInSeconds() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(broker.port)
    receiver.mute(true)
    let device = try DeviceBench()
    try device.start(broker.port, receiptTimeoutSeconds: 600)
    for _ in 0..<40 { try await device.store(images: [500, 600]) }
    try await eventually("the receiver has everything") { receiver.completed == 40 }
    try await eventually("the broker has acknowledged everything") {
      let accounts = try await device.outbox.accounts()
      return accounts[.capture, .awaitingReceipt].rows == 40 && accounts[.image, .awaitingReceipt].rows == 80
    }
    #expect(try await device.outbox.oldestWithoutReceipt() == 1)
    try await device.stop()
    receiver.mute(false)
    let start = ContinuousClock.now
    try device.start(broker.port, receiptTimeoutSeconds: 600)
    try await eventually("every receipt is here", withinSeconds: 60) { try await device.backlog() == 0 }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    print("40 captures freed \(seconds) s after the device came back")
    #expect(try await device.outbox.oldestWithoutReceipt() == nil)
    // Nothing was sent again for it.
    #expect(try receiver.ledger().repeats == 0)
    try await device.stop()
    await device.outbox.close()
    await receiver.stop()
  }
}
