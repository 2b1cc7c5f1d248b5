import FoundationEssentials
import Provenance

/// The retained message on `up/status`: birth, death and the will (DESIGN section 5).
package struct DeviceStatus: Sendable, Equatable, Codable {
  package static let schema = "thermograph.status/1"
  package static let mediaType = "application/json"

  package enum State: String, Sendable, Codable {
    /// Connected.
    case online
    /// Ended on purpose.
    case stopped
    /// The broker says so when the connection breaks: the will.
    case offline
  }

  package var schema = DeviceStatus.schema
  package var state: State
  package var firmware: String
  /// Model ids and the SHA-256 of their files.
  package var models: [String: String]
  package var configurationSHA256: String
  /// Connections since the process began; 0 in the will.
  package var connections: Int
  /// Messages not yet delivered, by class name.
  package var backlog: [String: Int]
  /// `none` for plain MQTT, else the protocol, e.g. `TLSv1.3`.
  package var security: String
  /// Days until the client certificate ends; nil without one.
  package var certificateDaysLeft: Int64?
  package var at: String

  package init(
    state: State, firmware: String, models: [String: String], configurationSHA256: String, connections: Int,
    backlog: [String: Int], security: String, certificateDaysLeft: Int64?, at: Timestamp
  ) {
    self.state = state
    self.firmware = firmware
    self.models = models
    self.configurationSHA256 = configurationSHA256
    self.connections = connections
    self.backlog = backlog
    self.security = security
    self.certificateDaysLeft = certificateDaysLeft
    self.at = at.rfc3339
  }

  private enum CodingKeys: String, CodingKey {
    case schema, state, firmware, models
    case configurationSHA256 = "configuration_sha256"
    case connections, backlog, security
    case certificateDaysLeft = "certificate_days_left"
    case at
  }

  /// The retained message that carries this.
  package func message(topics: TopicSchema) throws -> OutgoingMessage {
    OutgoingMessage(
      topic: topics.status, payload: try [UInt8](CanonicalJSON.encoder().encode(self)),
      contentType: Self.mediaType, qualityOfService: .atLeastOnce, retain: true)
  }
}
