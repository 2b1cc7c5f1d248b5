import Provenance

/// Turns a waiting message into the PUBLISH that carries it: topic, content type and CloudEvents attributes as user
/// properties (CloudEvents MQTT binding 1.0.2, binary mode).
package struct MessageComposer: Sendable {
  private let topics: TopicSchema
  private let outboxID: String
  private let source: String
  /// By the class's number.
  private let types: [String]
  private let healthExpirySeconds: UInt32

  package init(topics: TopicSchema, outboxID: RandomIdentifier, healthExpirySeconds: UInt32) {
    self.topics = topics
    self.outboxID = "\(outboxID)"
    source = "/\(topics.root)"
    types = DeliveryClass.allCases.map { "thermograph.\($0.name).v1" }
    self.healthExpirySeconds = healthExpirySeconds
  }

  /// The names of the user properties, for senders and receivers.
  package enum Name {
    package static let specification = "specversion"
    package static let id = "id"
    package static let source = "source"
    package static let type = "type"
    package static let time = "time"
    package static let captureID = "capture_id"
    package static let outboxID = "outbox_id"
    package static let sequence = "sequence"
    package static let capturedAt = "captured_at"
    package static let replayed = "replayed"
    package static let sha256 = "sha256"
  }

  /// - Parameter payload: the whole payload; the order's range of it is sent.
  /// - Throws: `TopicError` when the order's part does not exist.
  package func message(for order: PublishOrder, payload: [UInt8]) throws(TopicError) -> OutgoingMessage {
    let item = order.item
    let topic =
      if let part = order.part {
        try topics.up(item.topicSuffix, part: part.index, of: part.count)
      } else {
        topics.up(item.topicSuffix)
      }
    let isWhole = order.range.lowerBound == 0 && order.range.upperBound == payload.count
    return OutgoingMessage(
      topic: topic, payload: isWhole ? payload : Array(payload[order.range.clamped(to: 0..<payload.count)]),
      contentType: item.contentType, userProperties: properties(order),
      expirySeconds: item.deliveryClass == .health ? healthExpirySeconds : nil)
  }

  private func properties(_ order: PublishOrder) -> [UserProperty] {
    let item = order.item
    let time = item.created.rfc3339
    var properties = [
      UserProperty(Name.specification, "1.0"),
      // Unique within the source: the message's number in its outbox, which a repeated delivery keeps.
      UserProperty(Name.id, outboxID + ":" + String(item.id)),
      UserProperty(Name.source, source),
      UserProperty(Name.type, types[item.deliveryClass.rawValue]),
      UserProperty(Name.time, time),
      UserProperty(Name.outboxID, outboxID),
      UserProperty(Name.replayed, order.replayed ? "true" : "false"),
      UserProperty(Name.sha256, Hexadecimal.text(of: item.sha256)),
    ]
    if let captureID = item.captureID {
      properties.append(UserProperty(Name.captureID, "\(captureID)"))
      properties.append(UserProperty(Name.capturedAt, time))
    }
    if let sequence = item.sequence { properties.append(UserProperty(Name.sequence, "\(sequence)")) }
    return properties
  }
}
