import CMosquitto
import Forwarding
import Glibc
import LocalFiles

/// A call to libmosquitto that failed: which one, its code, and errno when the code points there.
struct LinkLibraryError: Error, Equatable, CustomStringConvertible {
  var call: String
  var code: Int32
  var errnoCode: Int32

  var description: String { "\(call): \(Self.text(code, errnoCode: errnoCode))" }

  /// libmosquitto's words for its code; for its "look at errno" the system's words.
  static func text(_ code: Int32, errnoCode: Int32) -> String {
    if code == Int32(MOSQ_ERR_ERRNO.rawValue), errnoCode != 0 { return SystemCallError.text(of: errnoCode) }
    return String(cString: mosquitto_strerror(code)).trimmingSuffix(".")
  }
}

/// Throws when `code` is not success.
func check(_ code: Int32, _ call: String) throws(LinkLibraryError) {
  guard code == Int32(MOSQ_ERR_SUCCESS.rawValue) else {
    throw LinkLibraryError(call: call, code: code, errnoCode: errno)
  }
}

extension String {
  fileprivate func trimmingSuffix(_ suffix: String) -> String {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
  }
}

extension LinkFailure {
  /// The failure for a CONNACK that refused: `reason` is MQTT 5's (section 3.2.2.2), or 3.1.1's return code 1...5
  /// (section 3.2.2.3).
  static func refusal(reason: UInt8, reasonString: String?, version: ProtocolVersion) -> LinkFailure {
    let code = version == .mqtt311 ? (connack311[reason] ?? reason) : reason
    let kind: Kind =
      switch code {
      case 0x88, 0x89, 0x97, 0x9C...0x9F: .busy
      case 0x84...0x8C: .refused
      default: .protocolError
      }
    let hint = code == 0x84 ? "; the broker does not speak this version of MQTT, try the other one" : ""
    return LinkFailure(kind: kind, detail: "CONNACK \(words(for: code, reasonString))\(hint)")
  }

  /// The failure for a DISCONNECT that the broker sent.
  static func brokerDisconnect(reason: UInt8) -> LinkFailure {
    LinkFailure(
      kind: reason == 0x8E ? .sessionTaken : .brokerDisconnect, detail: "DISCONNECT \(words(for: reason, nil))")
  }

  private static let connack311: [UInt8: UInt8] = [1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87]

  private static func words(for reason: UInt8, _ reasonString: String?) -> String {
    let code = "0x" + (reason < 16 ? "0" : "") + String(reason, radix: 16)
    let text = String(cString: mosquitto_reason_string(Int32(reason)))
    guard let reasonString, !reasonString.isEmpty else { return "\(code) (\(text))" }
    return "\(code) (\(text): \(reasonString.prefix(200)))"
  }
}
