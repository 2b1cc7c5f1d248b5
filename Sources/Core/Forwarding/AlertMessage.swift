import Provenance

/// The JSON on `up/alert`: something a person should look at. It names no patient.
package struct AlertMessage: Sendable, Equatable, Codable {
  package static let schema = "thermograph.alert.v1"

  package enum Severity: String, Sendable, Codable, CaseIterable {
    case warning
    case critical
  }

  package var schema = Self.schema
  /// Short and fixed, e.g. `outbox-filling`: what rules and dashboards go by.
  package var code: String
  package var severity: Severity
  /// For a person.
  package var detail: String
  /// RFC 3339.
  package var at: String

  package init(code: String, severity: Severity, detail: String, at: Timestamp) {
    self.code = code
    self.severity = severity
    self.detail = detail
    self.at = at.rfc3339
  }

  /// The JSON on the wire.
  package func encoded() throws -> [UInt8] {
    try CanonicalJSON.bytes(of: self)
  }
}
