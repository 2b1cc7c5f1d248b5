import CMosquitto
import Forwarding
import Glibc

/// A libmosquitto property list that frees itself.
struct PropertyList: ~Copyable {
  private(set) var head: OpaquePointer?

  deinit {
    var head = head
    mosquitto_property_free_all(&head)
  }

  init() {}

  /// Gives the list away: the caller, or libmosquitto, must free it.
  mutating func release() -> OpaquePointer? {
    defer { head = nil }
    return head
  }

  /// The properties of a PUBLISH or of a will.
  init(of message: OutgoingMessage) throws(LinkLibraryError) {
    self.init()
    if let contentType = message.contentType { try add(MQTT_PROP_CONTENT_TYPE, contentType) }
    if let seconds = message.expirySeconds { try add(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, seconds) }
    for property in message.userProperties {
      try check(
        mosquitto_property_add_string_pair(
          &head, Int32(MQTT_PROP_USER_PROPERTY.rawValue), property.name, property.value), "user property")
    }
  }

  mutating func add(_ identifier: mqtt5_property, _ text: String) throws(LinkLibraryError) {
    try check(mosquitto_property_add_string(&head, Int32(identifier.rawValue), text), "property")
  }

  mutating func add(_ identifier: mqtt5_property, _ number: UInt32) throws(LinkLibraryError) {
    try check(mosquitto_property_add_int32(&head, Int32(identifier.rawValue), number), "property")
  }

  mutating func add(_ identifier: mqtt5_property, _ number: UInt16) throws(LinkLibraryError) {
    try check(mosquitto_property_add_int16(&head, Int32(identifier.rawValue), number), "property")
  }
}

/// Reads the properties that a callback was given; the list stays libmosquitto's.
enum ReceivedProperties {
  /// User properties kept of one message; a peer that sends more is not ours.
  static let userPropertiesMaximum = 32

  static func string(_ list: OpaquePointer?, _ identifier: mqtt5_property) -> String? {
    guard list != nil else { return nil }
    var text: UnsafeMutablePointer<CChar>?
    guard mosquitto_property_read_string(list, Int32(identifier.rawValue), &text, false) != nil else { return nil }
    defer { free(text) }
    return text.map { String(cString: $0) }
  }

  static func int16(_ list: OpaquePointer?, _ identifier: mqtt5_property) -> UInt16? {
    guard list != nil else { return nil }
    var number: UInt16 = 0
    let found = mosquitto_property_read_int16(list, Int32(identifier.rawValue), &number, false)
    return found == nil ? nil : number
  }

  static func int32(_ list: OpaquePointer?, _ identifier: mqtt5_property) -> UInt32? {
    guard list != nil else { return nil }
    var number: UInt32 = 0
    let found = mosquitto_property_read_int32(list, Int32(identifier.rawValue), &number, false)
    return found == nil ? nil : number
  }

  static func userProperties(_ list: OpaquePointer?) -> [UserProperty] {
    var properties: [UserProperty] = []
    var position = list
    var skipFirst = false
    while position != nil, properties.count < userPropertiesMaximum {
      var name: UnsafeMutablePointer<CChar>?
      var value: UnsafeMutablePointer<CChar>?
      position = mosquitto_property_read_string_pair(
        position, Int32(MQTT_PROP_USER_PROPERTY.rawValue), &name, &value, skipFirst)
      skipFirst = true
      if position != nil, let name, let value {
        properties.append(UserProperty(String(cString: name), String(cString: value)))
      }
      free(name)
      free(value)
    }
    return properties
  }
}
