import Forwarding
import Foundation
import Provenance
import Testing

@Suite struct DeviceStatusTests {
  @Test func theStatusIsARetainedMessageOnItsTopicWithoutAnEmptyField() throws {
    let topics = TopicSchema(site: try TopicIdentifier("site-1"), device: try TopicIdentifier("device-1"))
    let status = DeviceStatus(
      state: .online, firmware: "1.2.3", models: ["screening": String(repeating: "0", count: 64)],
      configurationSHA256: String(repeating: "a", count: 64), connections: 3, backlog: ["capture": 2], security: "none",
      certificateDaysLeft: nil,
      at: Timestamp(utcNanoseconds: 0, bootID: "b", monotonicNanoseconds: 5, synchronised: false))
    let message = try status.message(topics: topics)
    #expect(message.topic == "tg/v1/site-1/device-1/up/status")
    #expect(message.retain && message.qualityOfService == .atLeastOnce)
    let json = try #require(try JSONSerialization.jsonObject(with: Data(message.payload)) as? [String: Any])
    #expect(json["schema"] as? String == "thermograph.status/1")
    #expect(json["state"] as? String == "online")
    #expect(json["connections"] as? Int == 3)
    #expect((json["backlog"] as? [String: Int]) == ["capture": 2])
    #expect(json["at"] as? String == "1970-01-01T00:00:00.000Z")
    #expect(json["certificate_days_left"] == nil)
  }
}
