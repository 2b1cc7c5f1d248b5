import FoundationEssentials
import Provenance

/// The retained message on `up/status`: birth at every connection, death as the will, and a farewell before a stop.
///
/// The broker publishes the will when the connection breaks; its `connect_counter` tells a receiver whether that
/// death belongs to the newest birth or to an older connection.
package struct StatusMessage: Sendable, Equatable {
  package static let schema = "thermograph.status.v1"

  package enum State: String, Sendable, Codable {
    case online
    /// An orderly end.
    case stopped
    /// The will: the line or the device died.
    case offline
  }

  package struct Model: Sendable, Equatable, Codable {
    package var id: String
    package var sha256: String

    package init(id: String, sha256: String) {
      self.id = id
      self.sha256 = sha256
    }
  }

  /// What waits in one class.
  package struct Backlog: Sendable, Equatable, Codable {
    package var rows: Int
    package var bytes: Int

    package init(_ usage: OutboxUsage) {
      rows = usage.rows
      bytes = usage.bytes
    }
  }

  /// The state of the line's protection.
  package struct Line: Sendable, Equatable, Codable {
    /// e.g. `TLSv1.3`; `none` for plain MQTT.
    package var protection: String
    /// Days until our certificate ends; nil without one.
    package var certificateDays: Int?
    /// The configuration allows plain MQTT to other hosts.
    package var plaintextAllowed: Bool

    package init(protection: String, certificateDays: Int?, plaintextAllowed: Bool) {
      self.protection = protection
      self.certificateDays = certificateDays
      self.plaintextAllowed = plaintextAllowed
    }

    private enum CodingKeys: String, CodingKey {
      case protection
      case certificateDays = "certificate_days"
      case plaintextAllowed = "plaintext_allowed"
    }
  }

  /// What came from afar.
  package struct Configuration: Sendable, Equatable, Codable {
    /// Of the one in force; nil: none.
    package var version: Int64?
    /// The one in force is tried, and not confirmed yet.
    package var isTried: Bool
    /// The highest version that was ever taken, whatever became of it; the next one must be higher.
    package var highest: Int64

    package init(version: Int64?, isTried: Bool, highest: Int64) {
      self.version = version
      self.isTried = isTried
      self.highest = highest
    }

    private enum CodingKeys: String, CodingKey {
      case version, highest
      case isTried = "tried"
    }
  }

  package var state: State
  package var site: String
  package var device: String
  /// Connections since the outbox was made or the program began, as the device counts.
  package var connectCounter: Int
  package var firmware: String
  package var models: [Model]
  package var configurationSHA256: String
  package var outboxID: RandomIdentifier
  /// By `DeliveryClass.name`; empty in a will, which is written before anything is known.
  package var backlog: [String: Backlog]
  package var line: Line?
  /// The number of the oldest capture that the broker has and no receiver has confirmed; nil when there is none. A
  /// receiver that has it, or later ones, says so again.
  package var oldestWithoutReceipt: Int64?
  /// Of this start of the device: a command that names it is of the present, whatever the clock says. nil when no
  /// command is taken.
  package var challenge: String?
  /// nil when no configuration is taken from afar.
  package var configuration: Configuration?
  /// Versions of the signed metadata that is trusted, by root (`vendor`, `site`) and role, e.g. `timestamp`. A root whose
  /// metadata is not to be used has no role; nil when no root is installed.
  package var trust: [String: [String: Int64]]?
  /// RFC 3339; nil in a will.
  package var at: String?

  package init(
    state: State, site: String, device: String, connectCounter: Int, firmware: String, models: [Model],
    configurationSHA256: String, outboxID: RandomIdentifier, accounts: OutboxAccounts?, line: Line?,
    oldestWithoutReceipt: Int64? = nil, challenge: String? = nil, configuration: Configuration? = nil,
    trust: [String: [String: Int64]]? = nil, at: Timestamp?
  ) {
    self.state = state
    self.site = site
    self.device = device
    self.connectCounter = connectCounter
    self.firmware = firmware
    self.models = models
    self.configurationSHA256 = configurationSHA256
    self.outboxID = outboxID
    self.line = line
    self.oldestWithoutReceipt = oldestWithoutReceipt
    self.challenge = challenge
    self.configuration = configuration
    self.trust = trust
    self.at = at?.rfc3339
    backlog = [:]
    if let accounts {
      for deliveryClass in DeliveryClass.allCases {
        backlog[deliveryClass.name] = Backlog(accounts.backlog(deliveryClass))
      }
    }
  }

  /// Reads a status message; its size is the caller's to bound.
  package init(decoding bytes: [UInt8]) throws {
    self = try JSONDecoder().decode(Self.self, from: Data(bytes))
  }

  /// The JSON on the wire.
  package func encoded() throws -> [UInt8] {
    try CanonicalJSON.bytes(of: self)
  }
}

extension StatusMessage: Codable {
  private enum CodingKeys: String, CodingKey {
    case schema, state, site, device, firmware, models, backlog, line, challenge, trust, at
    case configuration = "remote_configuration"
    case connectCounter = "connect_counter"
    case configurationSHA256 = "configuration_sha256"
    case outboxID = "outbox_id"
    case oldestWithoutReceipt = "oldest_without_receipt"
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let schema = try container.decode(String.self, forKey: .schema)
    guard schema == Self.schema else {
      throw DecodingError.dataCorruptedError(
        forKey: .schema, in: container, debugDescription: "unknown schema; expected \(Self.schema)")
    }
    state = try container.decode(State.self, forKey: .state)
    site = try container.decode(String.self, forKey: .site)
    device = try container.decode(String.self, forKey: .device)
    connectCounter = try container.decode(Int.self, forKey: .connectCounter)
    firmware = try container.decode(String.self, forKey: .firmware)
    models = try container.decode([Model].self, forKey: .models)
    configurationSHA256 = try container.decode(String.self, forKey: .configurationSHA256)
    outboxID = try container.decode(RandomIdentifier.self, forKey: .outboxID)
    backlog = try container.decode([String: Backlog].self, forKey: .backlog)
    line = try container.decodeIfPresent(Line.self, forKey: .line)
    oldestWithoutReceipt = try container.decodeIfPresent(Int64.self, forKey: .oldestWithoutReceipt)
    challenge = try container.decodeIfPresent(String.self, forKey: .challenge)
    configuration = try container.decodeIfPresent(Configuration.self, forKey: .configuration)
    trust = try container.decodeIfPresent([String: [String: Int64]].self, forKey: .trust)
    at = try container.decodeIfPresent(String.self, forKey: .at)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Self.schema, forKey: .schema)
    try container.encode(state, forKey: .state)
    try container.encode(site, forKey: .site)
    try container.encode(device, forKey: .device)
    try container.encode(connectCounter, forKey: .connectCounter)
    try container.encode(firmware, forKey: .firmware)
    try container.encode(models, forKey: .models)
    try container.encode(configurationSHA256, forKey: .configurationSHA256)
    try container.encode(outboxID, forKey: .outboxID)
    try container.encode(backlog, forKey: .backlog)
    try container.encodeIfPresent(line, forKey: .line)
    try container.encodeIfPresent(oldestWithoutReceipt, forKey: .oldestWithoutReceipt)
    try container.encodeIfPresent(challenge, forKey: .challenge)
    try container.encodeIfPresent(configuration, forKey: .configuration)
    try container.encodeIfPresent(trust, forKey: .trust)
    try container.encodeIfPresent(at, forKey: .at)
  }
}
