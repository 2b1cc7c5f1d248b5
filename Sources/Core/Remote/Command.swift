import Provenance
import Trust

/// What the far side asks of one device: a statement that is signed, names its device, ends, and is done at most once.
///
/// On the wire it is the payload of a DSSE envelope on `dn/command`:
///
/// ```
/// {"schema": "thermograph.command.v1", "id": UUID, "site": ..., "device": ..., "issued": "2026-03-01T09:30:00Z",
///  "expires": at most 7 days later, "for_boot": the challenge of the newest birth (optional), "name": ...,
///  "arguments": {...}}
/// ```
package struct Command: DeviceStatement {
  package static let kind = "command"
  package static let payloadType: ExactText = "application/vnd.thermograph.command.v1+json"
  package static let schema: ExactText = "thermograph.command.v1"
  /// From `issued` to `expires`.
  package static let longestSeconds: Int64 = 7 * 86_400

  package let id: RandomIdentifier
  package let site: String
  package let device: String
  /// Seconds since 1970.
  package let issuedSeconds: Int64
  package let expiresSeconds: Int64
  /// The start of the device that it is meant for; nil: any.
  package let challenge: ExactText?
  package let name: String
  /// What is to be done, or why that cannot be read: the sender is told.
  package let action: Result<CommandAction, ShapeFault>

  /// - Throws: what is wrong with the part without which nobody could be answered.
  package init(reading payload: [UInt8]) throws(ShapeFault) {
    let object = try Self.object(in: payload, schema: Self.schema)
    id = try Self.identifier(object)
    site = try object.text("site").string
    device = try object.text("device").string
    issuedSeconds = try Self.time(object, "issued")
    expiresSeconds = try Self.time(object, "expires")
    challenge = try object.optionalText("for_boot")
    let name = try object.text("name")
    self.name = CommandAction.names.contains(name.string) ? name.string : "unknown"
    do throws(ShapeFault) {
      action = .success(try CommandAction(name, try object.optionalObject("arguments") ?? JSONObject([])))
    } catch { action = .failure(error) }
  }
}
