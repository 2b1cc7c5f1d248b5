import FoundationEssentials
import Provenance

/// The JSON on `up/reply`: what became of a command or a configuration. It goes through the outbox like everything else.
package struct CommandReply: Sendable, Equatable, Codable {
  package static let schema = "thermograph.reply.v1"
  /// Lines of `details`, and bytes of one.
  package static let mostDetails = 64
  package static let detailBytes = 400

  package enum State: String, Sendable, Codable {
    case done
    /// It was begun and did not succeed.
    case failed
    /// Nothing was done, and nothing will be: `reason` says why.
    case refused
    /// Nothing was done, because there is too much to do; the same command may come again.
    case busy
    /// The device was interrupted while it was at it. It may have been done, and is not begun again.
    case unknown
    /// Of a configuration: it is in force and not confirmed. The end is told in another reply of the same id.
    case trying
    /// Of a configuration: it was in force, and what was before is in force again.
    case rolledBack = "rolled-back"
  }

  /// What showed that the command is of the present.
  package enum Freshness: String, Sendable, Codable {
    /// A synchronised clock.
    case clock
    /// The challenge of this start of the device.
    case challenge
    /// Nothing; only commands without an effect are done then.
    case unproven
  }

  package var schema = Self.schema
  /// The command's or the configuration's.
  package var id: RandomIdentifier
  /// The command's name, `configuration` or `result`.
  package var name: String
  /// Of a configuration.
  package var version: Int64?
  package var state: State
  package var reason: String?
  /// Lines for a person, e.g. the doctor's findings.
  package var details: [String]?
  package var freshness: Freshness?
  /// How long the effect took.
  package var tookMilliseconds: Int?
  /// RFC 3339.
  package var at: String

  package init(to command: Command, _ state: State, reason: String? = nil, at now: Timestamp) {
    id = command.id
    name = command.name
    self.state = state
    self.reason = reason
    at = now.rfc3339
  }

  package init(to statement: ConfigurationStatement, _ state: State, reason: String? = nil, at now: Timestamp) {
    self.init(
      configuration: .init(id: statement.id, version: statement.version, sha256: []), state, reason: reason, at: now)
  }

  package init(configuration: ConfigurationRecord.Text, _ state: State, reason: String? = nil, at now: Timestamp) {
    id = configuration.id
    name = ConfigurationStatement.kind
    version = configuration.version
    self.state = state
    self.reason = reason
    at = now.rfc3339
  }

  package init(to result: ResultStatement, _ state: State, reason: String? = nil, at now: Timestamp) {
    id = result.id
    name = ResultStatement.kind
    self.state = state
    self.reason = reason
    at = now.rfc3339
  }

  package init(interrupted entry: LedgerEntry, at now: Timestamp) {
    id = entry.id
    name = entry.name
    state = .unknown
    reason = "the device was interrupted while it was at it; it may have been done, and is not begun again"
    at = now.rfc3339
  }

  /// Takes lines as far as they have room.
  package mutating func tell(_ lines: [String]) {
    details =
      lines.isEmpty
      ? nil
      : lines.prefix(Self.mostDetails).map { line in
        var line = line
        while line.utf8.count > Self.detailBytes { line.removeLast() }
        return line
      }
  }

  /// The JSON on the wire.
  package func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(of: self) }

  private enum CodingKeys: String, CodingKey {
    case schema, id, name, version, state, reason, details, freshness, at
    case tookMilliseconds = "took_ms"
  }
}
