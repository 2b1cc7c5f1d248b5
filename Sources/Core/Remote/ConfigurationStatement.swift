import Provenance
import Trust

/// A configuration for one device from afar: a few keys that stand between its main file and its drop-ins.
///
/// On the wire it is the payload of a DSSE envelope on `dn/config`, and on a stick a file with the same envelope:
///
/// ```
/// {"schema": "thermograph.configuration.v1", "id": UUID, "site": ..., "device": ..., "version": 8,
///  "issued": "2026-03-01T09:30:00Z", "expires": at most 30 days later,
///  "for_boot": the challenge of the newest birth (optional), "confirm_minutes": 2 to 60 (10), "toml": ...}
/// ```
package struct ConfigurationStatement: DeviceStatement {
  package static let kind = "configuration"
  package static let payloadType: ExactText = "application/vnd.thermograph.configuration.v1+json"
  package static let schema: ExactText = "thermograph.configuration.v1"
  /// From `issued` to `expires`: a clinic may be days away from a network.
  package static let longestSeconds: Int64 = 30 * 86_400
  /// Up to what every JSON reader keeps exactly.
  package static let versions: ClosedRange<Int64> = 1...9_007_199_254_740_991
  /// How far a version may be above the highest that was taken: room for a date with its minutes, and too little for a thief
  /// of the key to take the last number in one step, after which nobody could configure the device any more.
  package static let mostStep: Int64 = 1_000_000_000_000
  package static let confirmMinutes: ClosedRange<Int64> = 2...60
  package static let confirmMinutesByDefault: Int64 = 10
  /// A file of it is never longer.
  package static let tomlBytesMaximum = Envelope.Limits.statement.payloadBytes

  package let id: RandomIdentifier
  package let site: String
  package let device: String
  /// Higher than every earlier one of this device.
  package let version: Int64
  /// Seconds since 1970.
  package let issuedSeconds: Int64
  package let expiresSeconds: Int64
  /// The start of the device that it is meant for; nil: any.
  package let challenge: ExactText?
  /// So long it is tried before it is taken back.
  package let confirmMinutes: Int64
  package let toml: [UInt8]

  package init(reading payload: [UInt8]) throws(ShapeFault) {
    let object = try Self.object(in: payload, schema: Self.schema)
    // A member that we do not know might be the one that forbids something.
    if let other = object.members(beyond: Self.members).first {
      throw ShapeFault("'\(other.name.string.prefix(40))' is no member of a configuration")
    }
    id = try Self.identifier(object)
    site = try object.text("site").string
    device = try object.text("device").string
    version = try object.integer("version", in: Self.versions)
    issuedSeconds = try Self.time(object, "issued")
    expiresSeconds = try Self.time(object, "expires")
    challenge = try object.optionalText("for_boot")
    confirmMinutes =
      try object.optionalInteger("confirm_minutes", in: Self.confirmMinutes) ?? Self.confirmMinutesByDefault
    toml = Array(try object.text("toml").utf8)
  }

  private static let members: Set<ExactText> = [
    "schema", "id", "site", "device", "version", "issued", "expires", "for_boot", "confirm_minutes", "toml",
  ]
}
