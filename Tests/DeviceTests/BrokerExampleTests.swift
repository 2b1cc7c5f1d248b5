import CloudLink
import Configuration
import ConfigurationFiles
import Forwarding
import Foundation
import Provenance
import Testing

@testable import Device

/// The documented configurations for the large services, against the limits that these publish.
@Suite struct BrokerExampleTests {
  private static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Docs/examples").path

  private func settings(_ name: String) throws -> Settings {
    let reading = ConfigurationFolder(mainFile: Self.folder + "/" + name, credentialsDirectory: nil).read()
    #expect(reading.faults.map { "\($0)" } == [])
    return reading.settings
  }

  /// The longest publish of a device: a part of an image with the longest names.
  private func longestMessage(_ settings: Settings) throws -> OutgoingMessage {
    var generator = SystemRandomNumberGenerator()
    let topics = TopicSchema(
      site: try TopicIdentifier(String(repeating: "s", count: 36)),
      device: try TopicIdentifier(String(repeating: "d", count: 36)))
    let id = RandomIdentifier(using: &generator)
    let bytes = settings.broker.delivery.partBytes
    let now = Timestamp(
      utcNanoseconds: 1_772_000_000_000_000_000, bootID: "b", monotonicNanoseconds: 5, synchronised: true)
    let suffix = try TopicSchema.imageSuffix(captureID: id, name: String(repeating: "n", count: 36))
    let item = OutboxItem(
      id: .max, deliveryClass: .image, topicSuffix: suffix, contentType: "application/octet-stream", captureID: id,
      sequence: .max, name: String(repeating: "n", count: 36), byteCount: 3 * bytes,
      sha256: [UInt8](repeating: 255, count: 32), created: now, attempts: 0)
    // As the delivery logic makes it: a machine is fed the item and its first publish is composed.
    var machine = DeliveryMachine(settings.broker.delivery, highestStored: .max)
    _ = machine.handle(.start, now: 1, using: &generator)
    var actions = machine.handle(.link(.connected(ConnectionLimits())), now: 2, using: &generator)
    for _ in 0..<8 {
      guard case .load(let order)? = actions.first(where: { if case .load = $0 { true } else { false } }) else { break }
      actions = machine.handle(
        .loaded(order, order.deliveryClass == .image ? [item] : []), now: 3, using: &generator)
      if case .publish(let publish)? = actions.first(where: { if case .publish = $0 { true } else { false } }) {
        return try MessageComposer(topics: topics, outboxID: id, healthExpirySeconds: 600)
          .message(for: publish[0], payload: [UInt8](repeating: 1, count: 3 * bytes))
      }
    }
    throw CocoaError(.featureUnsupported)
  }

  /// AWS General Reference, "AWS IoT Core endpoints and quotas": payload 128 KiB, topic 256 bytes of UTF-8 with at most
  /// seven slashes, client identifier 128 bytes, keep-alive 30 to 1200 s, 100 publishes a second and 100 without PUBACK
  /// for a connection, user properties 8 KiB in all.
  @Test func awsIoTCore() throws {
    let settings = try settings("aws-iot-core.toml")
    let message = try longestMessage(settings)
    #expect(message.payload.count <= 128 * 1024)
    #expect(message.topic.utf8.count <= 256)
    #expect(message.topic.utf8.count { $0 == UInt8(ascii: "/") } <= 7)
    #expect(message.userProperties.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count } <= 8 * 1024)
    #expect(settings.device.id.utf8.count <= 128)
    #expect((30...1200).contains(settings.broker.keepaliveSeconds))
    #expect(settings.broker.delivery.messagesPerSecond <= 100)
    #expect(settings.broker.delivery.window <= 100)
    #expect(settings.broker.effectivePort == 443 && settings.broker.applicationProtocol == "x-amzn-mqtt-ca")
  }

  /// "Communicate with an IoT hub using the MQTT protocol" and "IoT Hub quotas and throttling": MQTT 3.1.1 with TLS on
  /// port 8883, messages of at most 256 KiB, keep-alive of at most 1767 s, client identifier of at most 128 characters
  /// that is the device's, the prescribed topics.
  @Test func azureIoTHub() throws {
    let settings = try settings("azure-iot-hub.toml")
    #expect(settings.broker.protocolVersion == .mqtt311)
    #expect(settings.broker.effectivePort == 8883 && settings.broker.usesTLS)
    let message = try longestMessage(settings)
    #expect(message.payload.count + message.topic.utf8.count * 3 <= 256 * 1024)
    #expect(settings.broker.keepaliveSeconds <= 1767)
    #expect(settings.device.id.utf8.count <= 128)
    #expect(TopicTemplate(settings.broker.topics) == .azureIoTHub)
    let user = try #require(settings.broker.userName)
    #expect(user.hasPrefix("\(settings.broker.host ?? "")/\(settings.device.id)/?api-version="))
  }

  /// ThingsBoard's `NETTY_MAX_PAYLOAD_SIZE`: 65536 bytes a packet.
  @Test func thingsBoard() throws {
    let settings = try settings("thingsboard.toml")
    #expect(try longestMessage(settings).packetBytesUpperBound <= 65_536)
    #expect(TopicTemplate(settings.broker.topics) == nil)
  }
}
