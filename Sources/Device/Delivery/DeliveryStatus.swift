import CloudLink
import Forwarding
import Logging
import Provenance

extension DeliveryService {
  /// What the status message says of this run.
  package struct Identity: Sendable {
    var firmware: String
    var models: [StatusMessage.Model]
    var configurationSHA256: String
    var certificatePath: String?
    var plaintextAllowed: Bool

    package init(
      firmware: String, models: [StatusMessage.Model], configurationSHA256: String, certificatePath: String?,
      plaintextAllowed: Bool
    ) {
      self.firmware = firmware
      self.models = models
      self.configurationSHA256 = configurationSHA256
      self.certificatePath = certificatePath
      self.plaintextAllowed = plaintextAllowed
    }
  }
}

/// The retained message on `up/status`: birth, farewell, and the will that the broker speaks when the connection breaks.
struct DeliveryStatus: Sendable {
  var identity: DeliveryService.Identity
  let topics: TopicSchema
  let outboxID: RandomIdentifier
  let logger: Logger
  /// What the newest handshake agreed on, e.g. `TLSv1.3`; `none` for plain MQTT or before the first connection.
  var protection = "none"
  /// Of this start, for commands; nil when none is taken.
  var challenge: String?
  /// What came from afar; nil when none is taken.
  var remoteConfiguration: StatusMessage.Configuration?
  /// Versions of what is trusted, asked for each birth; nil: no root is installed.
  var trust: (@Sendable () -> [String: [String: Int64]]?)?

  /// - Parameter connectCounter: of the connection that the broker is to speak of.
  func will(connectCounter: Int) throws -> OutgoingMessage {
    try message(.offline, connectCounter: connectCounter, accounts: nil, line: nil, oldestWithoutReceipt: nil, at: nil)
  }

  /// - Parameter connectCounter: of the connection that the status speaks of.
  func message(
    _ state: StatusMessage.State, connectCounter: Int, accounts: OutboxAccounts, oldestWithoutReceipt: Int64?,
    at now: Timestamp
  ) throws -> OutgoingMessage {
    let line = StatusMessage.Line(
      protection: protection, certificateDays: certificateDays(at: now), plaintextAllowed: identity.plaintextAllowed)
    return try message(
      state, connectCounter: connectCounter, accounts: accounts, line: line,
      oldestWithoutReceipt: oldestWithoutReceipt, at: now)
  }

  /// Days until our certificate ends; nil without one, or when the file cannot be read, which connecting reports.
  func certificateDays(at now: Timestamp) -> Int? {
    guard let path = identity.certificatePath else { return nil }
    do {
      return Int(try CertificateValidity(ofCertificateAt: path).daysLeft(at: now))
    } catch {
      logger.debug("the certificate cannot be read", metadata: ["reason": "\(error)"])
      return nil
    }
  }

  private func message(
    _ state: StatusMessage.State, connectCounter: Int, accounts: OutboxAccounts?, line: StatusMessage.Line?,
    oldestWithoutReceipt: Int64?, at now: Timestamp?
  ) throws -> OutgoingMessage {
    let status = StatusMessage(
      state: state, site: topics.site.text, device: topics.device.text, connectCounter: connectCounter,
      firmware: identity.firmware, models: identity.models, configurationSHA256: identity.configurationSHA256,
      outboxID: outboxID, accounts: accounts, line: line,
      oldestWithoutReceipt: oldestWithoutReceipt, challenge: state == .online ? challenge : nil,
      configuration: state == .online ? remoteConfiguration : nil, trust: state == .online ? trust?() : nil, at: now)
    return OutgoingMessage(
      topic: topics.status, payload: try status.encoded(), contentType: "application/json",
      qualityOfService: .atLeastOnce, retain: true)
  }
}
