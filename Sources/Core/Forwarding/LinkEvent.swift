/// What the connection to the broker reports; the only input that the delivery logic takes from it.
package enum LinkEvent: Sendable, Equatable {
  /// TLS is up, e.g. `TLSv1.3`; before CONNACK.
  case secured(protocol: String)
  /// CONNACK with success.
  case connected(ConnectionLimits)
  /// An attempt to connect ended without a connection.
  case connectionFailed(LinkFailure)
  /// A standing connection ended; every publish without an outcome so far has none and will get none.
  case disconnected(LinkFailure)
  /// What became of the publish that was handed over with `token`.
  case published(token: PublishToken, outcome: PublishOutcome)
  /// The peer's TCP takes what we send, although no publish has its outcome yet; at most about once a second.
  case moving
  /// The broker granted (level 0...2) or refused (0x80...) a subscription.
  case subscribed(filter: String, reason: UInt8)
  /// The peer sends a packet beyond the bound; the end of the connection follows.
  case oversize(maximumBytes: Int)
  /// A message on a subscribed topic.
  case received(IncomingMessage)
}

/// Names one hand-over to the client; fresh for every attempt, so a late outcome never meets a later attempt.
package struct PublishToken: Sendable, Hashable {
  package let rawValue: UInt64

  package init(rawValue: UInt64) {
    self.rawValue = rawValue
  }
}

/// The protocol versions that a device may be configured to speak.
package enum ProtocolVersion: String, Sendable, CaseIterable {
  case mqtt5 = "5"
  /// A refused publish looks like success here, so only a receipt counts as delivery.
  case mqtt311 = "3.1.1"
}

/// What the broker allows on this connection (CONNACK properties, MQTT 5 section 3.2.2.3).
package struct ConnectionLimits: Sendable, Equatable {
  package var protocolVersion: ProtocolVersion
  /// Publishes without PUBACK that the broker accepts at a time, 1...65535.
  package var receiveMaximum: Int
  /// The largest packet the broker accepts in bytes, headers included; nil when it named none.
  package var maximumPacketBytes: Int?
  /// Whether the broker still held our session.
  package var sessionPresent: Bool

  package init(
    protocolVersion: ProtocolVersion = .mqtt5, receiveMaximum: Int = 65_535, maximumPacketBytes: Int? = nil,
    sessionPresent: Bool = false
  ) {
    self.protocolVersion = protocolVersion
    self.receiveMaximum = receiveMaximum
    self.maximumPacketBytes = maximumPacketBytes
    self.sessionPresent = sessionPresent
  }
}

/// The end of one publish.
package enum PublishOutcome: Sendable, Equatable {
  /// PUBACK with a reason code below 0x80: 0x00 success, 0x10 nobody subscribes (MQTT 5 section 3.4.2.1).
  case acknowledged(reason: UInt8)
  /// PUBACK with a reason code of 0x80 or more: not delivered.
  case refused(reason: UInt8)
  /// The client did not take the message (no connection, packet too large for the library); nothing was sent.
  case notSent(detail: String)
}

/// Why there is no connection (any more).
package struct LinkFailure: Error, Sendable, Equatable, CustomStringConvertible {
  /// A closed set with short names: they are metric labels and choose the floor of the next pause.
  package enum Kind: String, Sendable, Equatable, CaseIterable {
    /// The name did not resolve.
    case nameResolution = "name-resolution"
    /// Nobody listens, no route, reset while connecting.
    case unreachable
    /// No answer in time.
    case timeout
    /// TLS did not come up: certificate, host name, version.
    case tls
    /// CONNACK refused the credentials or the client id (0x84...0x8C, 0x86, 0x87).
    case refused
    /// CONNACK said unavailable, busy, quota, use another server (0x88, 0x89, 0x97, 0x9C...0x9F).
    case busy
    /// The wall clock is before the clock floor, certificates cannot be judged.
    case clock
    /// The peer closed or reset a standing connection.
    case closedByPeer = "closed-by-peer"
    /// The broker sent DISCONNECT with a reason.
    case brokerDisconnect = "broker-disconnect"
    /// Another client took our client id (0x8E).
    case sessionTaken = "session-taken"
    /// The peer broke the protocol.
    case protocolError = "protocol"
    /// We closed it: stop, reconfiguration, stalled acknowledgements.
    case requested
  }

  package var kind: Kind
  /// For a person: host, reason code, errno text.
  package var detail: String

  package init(kind: Kind, detail: String) {
    self.kind = kind
    self.detail = detail
  }

  package var description: String { "\(kind.rawValue): \(detail)" }
}
