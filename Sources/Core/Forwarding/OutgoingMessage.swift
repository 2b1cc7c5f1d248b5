/// One MQTT PUBLISH as the delivery logic wants it; `CloudLink` turns it into bytes.
package struct OutgoingMessage: Sendable, Equatable {
  /// The complete topic name, e.g. `tg/v1/clinic-7/unit-3/up/capture`.
  package var topic: String
  /// The application message, at most `ConnectionLimits.maximumPacketBytes` less the headers.
  package var payload: [UInt8]
  /// MQTT 5 Content Type (section 3.3.2.3.9); MQTT 3.1.1 has no place for it.
  package var contentType: String?
  /// MQTT 5 user properties in the order in which they are sent; MQTT 3.1.1 has no place for them.
  package var userProperties: [UserProperty]
  package var qualityOfService: QualityOfService
  package var retain: Bool
  /// MQTT 5 Message Expiry Interval; nil means that the broker keeps the message for as long as it likes.
  package var expirySeconds: UInt32?

  package init(
    topic: String, payload: [UInt8], contentType: String? = nil, userProperties: [UserProperty] = [],
    qualityOfService: QualityOfService = .atLeastOnce, retain: Bool = false, expirySeconds: UInt32? = nil
  ) {
    self.topic = topic
    self.payload = payload
    self.contentType = contentType
    self.userProperties = userProperties
    self.qualityOfService = qualityOfService
    self.retain = retain
    self.expirySeconds = expirySeconds
  }

  /// The size of the PUBLISH packet on the wire in bytes, never less than the true one: fixed header (at most 5),
  /// topic, packet identifier, property length (at most 4) and properties (MQTT 5 section 3.3).
  package var packetBytesUpperBound: Int {
    var count = 5 + 2 + topic.utf8.count + 2 + 4 + payload.count
    if let contentType { count += 3 + contentType.utf8.count }
    if expirySeconds != nil { count += 5 }
    for property in userProperties { count += 5 + property.name.utf8.count + property.value.utf8.count }
    return count
  }
}

/// A name and a value that travel beside a message (MQTT 5 section 3.3.2.3.7).
package struct UserProperty: Sendable, Equatable {
  package var name: String
  package var value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

/// The levels that the house uses; level 2 is left out because the idempotency key does its work.
package enum QualityOfService: UInt8, Sendable {
  case atMostOnce = 0
  case atLeastOnce = 1
}

/// A message from the broker.
package struct IncomingMessage: Sendable, Equatable {
  package var topic: String
  package var payload: [UInt8]
  package var contentType: String?
  package var userProperties: [UserProperty]
  package var qualityOfService: QualityOfService
  package var retain: Bool
  /// The broker delivers it again because it saw no acknowledgement (MQTT 5 section 3.3.1.1).
  package var duplicate: Bool

  package init(
    topic: String, payload: [UInt8], contentType: String? = nil, userProperties: [UserProperty] = [],
    qualityOfService: QualityOfService = .atLeastOnce, retain: Bool = false, duplicate: Bool = false
  ) {
    self.topic = topic
    self.payload = payload
    self.contentType = contentType
    self.userProperties = userProperties
    self.qualityOfService = qualityOfService
    self.retain = retain
    self.duplicate = duplicate
  }
}
