import Forwarding

/// Everything that a connection to a broker needs to know. Files are read anew for every attempt, so certificates and
/// passwords are rotated by replacing their files atomically.
package struct LinkSettings: Sendable {
  /// DNS name or IP address.
  package var host: String
  /// 1...65535
  package var port: UInt16
  package var security: LinkSecurity
  /// Unique at the broker; the device's name, which is also the certificate's CN.
  package var clientIdentifier: String
  package var credentials: LinkCredentials?
  package var protocolVersion: ProtocolVersion = .mqtt5
  /// The time without traffic after which we ask whether the broker is still there, 5...65535 s. Silence of one and a
  /// half times this ends the connection.
  package var keepAliveSeconds: UInt16 = 60
  /// How long the broker keeps our subscriptions and what waits for us after the line broke; 0 starts clean.
  package var sessionExpirySeconds: UInt32 = 0
  /// How long the peer's TCP may answer and yet take not one byte of what waits for it, 1000... ms. A receiver that is
  /// slower than the line opens its window rarely, so this is no matter of the keep-alive.
  package var stallMilliseconds: Int = 60_000
  /// What the broker publishes for us when the connection ends without a good-bye.
  package var will: OutgoingMessage?
  /// Filters to subscribe to (QoS 1) as soon as a connection stands.
  package var subscriptions: [String] = []
  /// Whether messages are wanted that the broker keeps (MQTT 5 section 3.8.3.1, Retain Handling); MQTT 3.1.1 always sends
  /// them. A device takes none, a receiver wants each device's last status.
  package var takesRetained = true
  /// How topics are called at a broker that prescribes them; nil for any ordinary broker.
  package var topicTemplate: TopicTemplate?
  /// From the first look-up of the name to CONNACK, in all.
  package var connectTimeoutMilliseconds: Int = 30_000
  /// From asking for the subscriptions to the broker's answer.
  package var subscribeTimeoutMilliseconds: Int = 30_000
  /// Publishes without an outcome at a time, 1...1024. The broker's Receive Maximum lowers it further.
  package var inFlightMaximum: Int = 64
  /// Publishes that the broker may send us before we acknowledged (our Receive Maximum), 1...65535.
  package var receiveMaximum: UInt16 = 20
  /// The largest packet we accept in bytes; a longer one ends the connection.
  package var incomingPacketBytesMaximum: Int = 256 * 1024
  /// Below this wall-clock time (seconds since 1970) certificates cannot be judged and TLS is not attempted.
  package var clockFloorSeconds: Int64 = 0

  package init(host: String, port: UInt16, security: LinkSecurity, clientIdentifier: String) {
    self.host = host
    self.port = port
    self.security = security
    self.clientIdentifier = clientIdentifier
  }
}

/// How the line is protected.
package enum LinkSecurity: Sendable, Equatable {
  /// Only to loopback addresses, unless the technician allowed more (`allow_plaintext = true`).
  case plaintext(beyondLoopback: Bool)
  case tls(TLSFiles)
}

/// Paths of PEM files.
package struct TLSFiles: Sendable, Equatable {
  /// Certificates that may sign the broker's; nil for the system's store.
  package var authority: String?
  /// Our certificate (and its chain) and key; nil when the broker asks for none.
  package var identity: ClientIdentity?
  /// The name that the broker's certificate must carry, when it is not `LinkSettings.host`.
  package var serverName: String?
  /// ALPN name, e.g. `x-amzn-mqtt-ca` for AWS IoT Core on port 443.
  package var applicationProtocol: String?

  package init(
    authority: String?, identity: ClientIdentity? = nil, serverName: String? = nil, applicationProtocol: String? = nil
  ) {
    self.authority = authority
    self.identity = identity
    self.serverName = serverName
    self.applicationProtocol = applicationProtocol
  }
}

/// A certificate and the key that belongs to it.
package struct ClientIdentity: Sendable, Equatable {
  package var certificate: String
  package var key: String

  package init(certificate: String, key: String) {
    self.certificate = certificate
    self.key = key
  }
}

/// User name and the file that holds the password (one line).
package struct LinkCredentials: Sendable, Equatable {
  package var userName: String
  package var passwordFile: String?

  package init(userName: String, passwordFile: String? = nil) {
    self.userName = userName
    self.passwordFile = passwordFile
  }
}
