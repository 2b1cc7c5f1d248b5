import CMosquitto
import Forwarding
import Glibc

/// What libmosquitto's callbacks tell of one connection, kept until the loop takes it.
///
/// The callbacks run within `mosquitto_loop_read` and the like, on the link's thread, with libmosquitto's locks held:
/// they only append. They are plain functions of the file, because a C callback written inside isolated code traps.
final class ConnectionCallbacks {
  enum Fact {
    case connectAnswer(reason: UInt8, flags: Int32, limits: ConnectionLimits, reasonString: String?)
    case publishAnswer(packetIdentifier: Int32, reason: UInt8)
    case subscribeAnswer(packetIdentifier: Int32, reasons: [UInt8])
    case received(IncomingMessage)
    /// libmosquitto has closed the socket: an MQTT reason code from 0x80 on, or one of its own codes below.
    case closed(code: Int32, errnoCode: Int32)
  }

  private(set) var facts: [Fact] = []
  /// Counts everything that arrived; the loop measures progress with it.
  private(set) var factCount = 0
  /// The last line that libmosquitto logged as an error.
  private(set) var lastErrorLine: String?
  private let version: ProtocolVersion

  init(version: ProtocolVersion) {
    self.version = version
  }

  /// The facts so far, which are then forgotten.
  func takeFacts() -> [Fact] {
    guard !facts.isEmpty else { return [] }
    let taken = facts
    facts.removeAll(keepingCapacity: true)
    return taken
  }

  /// Registers the callbacks at `client`, whose user data must be this object, unretained.
  static func register(at client: OpaquePointer) {
    mosquitto_connect_v5_callback_set(client, onConnect)
    mosquitto_disconnect_v5_callback_set(client, onDisconnect)
    mosquitto_publish_v5_callback_set(client, onPublish)
    mosquitto_subscribe_v5_callback_set(client, onSubscribe)
    mosquitto_message_v5_callback_set(client, onMessage)
    mosquitto_log_callback_set(client, onLog)
  }

  /// Formatting log lines costs more than sending: they are only wanted while a connection comes up.
  static func silenceLog(of client: OpaquePointer) {
    mosquitto_log_callback_set(client, nil)
  }

  fileprivate func append(_ fact: Fact) {
    facts.append(fact)
    factCount += 1
  }

  fileprivate func connectAnswered(reason: UInt8, flags: Int32, properties: OpaquePointer?) {
    let packetBytes = ReceivedProperties.int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE)
    let limits = ConnectionLimits(
      protocolVersion: version,
      receiveMaximum: Int(ReceivedProperties.int16(properties, MQTT_PROP_RECEIVE_MAXIMUM) ?? 65_535),
      maximumPacketBytes: packetBytes.map { Int($0) }, sessionPresent: flags & 1 != 0)
    append(
      .connectAnswer(
        reason: reason, flags: flags, limits: limits,
        reasonString: ReceivedProperties.string(properties, MQTT_PROP_REASON_STRING)))
  }

  fileprivate func logged(_ line: String) {
    // The queue of OpenSSL ends with the most general reason: the first line is the one to keep.
    if lastErrorLine == nil { lastErrorLine = line }
  }
}

private func callbacks(_ userData: UnsafeMutableRawPointer?) -> ConnectionCallbacks? {
  userData.map { Unmanaged<ConnectionCallbacks>.fromOpaque($0).takeUnretainedValue() }
}

private func onConnect(
  _ client: OpaquePointer?, _ userData: UnsafeMutableRawPointer?, _ reason: Int32, _ flags: Int32,
  _ properties: OpaquePointer?
) {
  callbacks(userData)?.connectAnswered(
    reason: UInt8(truncatingIfNeeded: reason), flags: flags, properties: properties)
}

private func onDisconnect(
  _ client: OpaquePointer?, _ userData: UnsafeMutableRawPointer?, _ code: Int32, _ properties: OpaquePointer?
) {
  let errnoCode = errno
  callbacks(userData)?.append(.closed(code: code, errnoCode: errnoCode))
}

private func onPublish(
  _ client: OpaquePointer?, _ userData: UnsafeMutableRawPointer?, _ packetIdentifier: Int32, _ reason: Int32,
  _ properties: OpaquePointer?
) {
  callbacks(userData)?.append(
    .publishAnswer(packetIdentifier: packetIdentifier, reason: UInt8(truncatingIfNeeded: reason)))
}

private func onSubscribe(
  _ client: OpaquePointer?, _ userData: UnsafeMutableRawPointer?, _ packetIdentifier: Int32, _ count: Int32,
  _ granted: UnsafePointer<Int32>?, _ properties: OpaquePointer?
) {
  let reasons = UnsafeBufferPointer(start: granted, count: granted == nil ? 0 : Int(max(0, count)))
  callbacks(userData)?.append(
    .subscribeAnswer(
      packetIdentifier: packetIdentifier, reasons: reasons.map { UInt8(truncatingIfNeeded: $0) }))
}

private func onMessage(
  _ client: OpaquePointer?, _ userData: UnsafeMutableRawPointer?, _ message: UnsafePointer<mosquitto_message>?,
  _ properties: OpaquePointer?
) {
  guard let message = message?.pointee, let topic = message.topic else { return }
  let bytes = UnsafeRawBufferPointer(start: message.payload, count: Int(max(0, message.payloadlen)))
  callbacks(userData)?.append(
    .received(
      IncomingMessage(
        topic: String(cString: topic), payload: [UInt8](bytes),
        contentType: ReceivedProperties.string(properties, MQTT_PROP_CONTENT_TYPE),
        userProperties: ReceivedProperties.userProperties(properties),
        qualityOfService: message.qos == 0 ? .atMostOnce : .atLeastOnce, retain: message.retain,
        duplicate: false)))
}

private func onLog(
  _ client: OpaquePointer?, _ userData: UnsafeMutableRawPointer?, _ level: Int32, _ line: UnsafePointer<CChar>?
) {
  guard level == MOSQ_LOG_ERR, let line else { return }
  callbacks(userData)?.logged(String(cString: line))
}
