import Forwarding
import Provenance
import TestSupport
import Testing

@testable import CloudLink

@Suite struct TopicTemplateTests {
  private let filter = "tg/v1/clinic-7/unit-3/dn/#"

  @Test func azureCarriesTheSuffixAsAProperty() {
    let template = TopicTemplate.azureIoTHub
    #expect(
      template.outgoing("tg/v1/clinic-7/unit-3/up/capture") == "devices/unit-3/messages/events/topic=capture")
    #expect(
      template.outgoing("tg/v1/clinic-7/unit-3/up/image/9f.master.png/1-of-2")
        == "devices/unit-3/messages/events/topic=image%2F9f.master.png%2F1-of-2")
    #expect(template.filter(filter) == "devices/unit-3/messages/devicebound/#")
    #expect(
      template.incoming(
        "devices/unit-3/messages/devicebound/%24.to=%2Fdevices&topic=receipt&x=1", subscribed: filter)
        == "tg/v1/clinic-7/unit-3/dn/receipt")
    #expect(
      template.incoming("devices/unit-3/messages/devicebound/topic=model%2Fbreast", subscribed: filter)
        == "tg/v1/clinic-7/unit-3/dn/model/breast")
    for strange in [
      "devices/unit-3/messages/devicebound/x=1", "devices/unit-3/messages/devicebound/topic=", "devices/other/x",
      "devices/unit-3/messages/devicebound/topic=%zz", "devices/unit-3/messages/devicebound/topic=%f",
      "devices/unit-3/messages/devicebound/topic=%ff",
    ] {
      #expect(template.incoming(strange, subscribed: filter) == nil, "\(strange)")
    }
  }

  @Test func levelsOfItsOwn() {
    let template = TopicTemplate(
      uplink: "acme/{site}/{device}/data/{suffix}", downlinkFilter: "acme/{site}/{device}/cmd/#")
    #expect(template.outgoing("tg/v1/a/b/up/image/x.png") == "acme/a/b/data/image/x.png")
    #expect(template.outgoing("elsewhere") == "elsewhere")
    #expect(template.outgoing("tg/v1/a/b/dn/receipt") == "tg/v1/a/b/dn/receipt")
    #expect(template.incoming("acme/a/b/cmd/receipt", subscribed: "tg/v1/a/b/dn/#") == "tg/v1/a/b/dn/receipt")
  }

  /// AWS IoT Core: topics of at most 256 bytes with at most 7 slashes, client identifiers of at most 128 bytes,
  /// payloads of at most 128 KiB (AWS General Reference, "AWS IoT Core endpoints and quotas").
  @Test func theLongestTopicFitsAWSIoTCore() throws {
    let longest = String(repeating: "a", count: 36)
    let topics = TopicSchema(site: try TopicIdentifier(longest), device: try TopicIdentifier(longest))
    let id = try #require(RandomIdentifier("9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11"))
    let suffix = try TopicSchema.imageSuffix(captureID: id, name: longest)
    let topic = try topics.up(suffix, part: TopicSchema.maximumParts, of: TopicSchema.maximumParts)
    #expect(topic.utf8.count <= 256)
    #expect(topic.utf8.filter { $0 == UInt8(ascii: "/") }.count <= 7)
    #expect(longest.utf8.count <= 128)
    #expect(DeliveryConfiguration().partBytes <= 128 * 1024)
    #expect(DeliveryConfiguration().messagesPerSecond <= 100)
  }

  @Test func goesThroughABrokerBothWays() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let listener = try LinkProbe()
    var listening = LinkSettings.plain(broker.port, "hub")
    listening.subscriptions = ["devices/+/messages/events/#"]
    try await listener.connect(listening)
    try await eventually("subscribed") { listener.notices.count == 1 }
    let device = try LinkProbe()
    var settings = LinkSettings.plain(broker.port, "unit-3")
    settings.protocolVersion = .mqtt311
    settings.topicTemplate = .azureIoTHub
    settings.subscriptions = [filter]
    try await device.connect(settings)
    try await eventually("subscribed") { device.notices.count == 1 }
    _ = try await device.publish(OutgoingMessage(topic: "tg/v1/clinic-7/unit-3/up/capture", payload: [1]), token: 1)
    try await eventually("arrived") {
      listener.messages.map(\.topic) == ["devices/unit-3/messages/events/topic=capture"]
    }
    _ = try await listener.publish(
      OutgoingMessage(topic: "devices/unit-3/messages/devicebound/topic=receipt", payload: [2]), token: 1)
    try await eventually("the receipt") { device.messages.map(\.topic) == ["tg/v1/clinic-7/unit-3/dn/receipt"] }
    await device.client.stop()
    await listener.client.stop()
  }
}
