import CMosquitto
import Forwarding
import Glibc

/// What a session's end is called.
extension BrokerConnection {
  /// The failure behind a code of libmosquitto, or behind a reason code of the broker's DISCONNECT (from 0x80 on).
  func failure(code: Int32, errnoCode: Int32) -> LinkFailure {
    if code >= 0x80 { return .brokerDisconnect(reason: UInt8(truncatingIfNeeded: code)).at(place) }
    if let tls,
      stage == .securing || code == Int32(MOSQ_ERR_TLS.rawValue)
        || (stage == .greeting && callbacks.lastErrorLine != nil)
    {
      return tls.handshakeFailure(log: callbacks.lastErrorLine)
    }
    switch code {
    case Int32(MOSQ_ERR_PROTOCOL.rawValue), Int32(MOSQ_ERR_MALFORMED_PACKET.rawValue),
      Int32(MOSQ_ERR_MALFORMED_UTF8.rawValue), Int32(MOSQ_ERR_DUPLICATE_PROPERTY.rawValue):
      return LinkFailure(kind: .protocolError, detail: "\(place): \(LinkLibraryError.text(code, errnoCode: 0))")
    case Int32(MOSQ_ERR_KEEPALIVE.rawValue):
      return LinkFailure(kind: .timeout, detail: "\(place): no answer to PINGREQ")
    default: break
    }
    switch stage {
    case .connecting where tls != nil && (errnoCode == EPROTO || errnoCode == ECONNRESET || errnoCode == EPIPE),
      .securing:
      return LinkFailure(kind: .tls, detail: "\(place): \(Self.brokenHandshake)")
    case .connecting:
      let kind: LinkFailure.Kind = errnoCode == ETIMEDOUT ? .timeout : .unreachable
      return LinkFailure(kind: kind, detail: "\(place): \(LinkLibraryError.text(code, errnoCode: errnoCode))")
    case .greeting where tls != nil:
      return LinkFailure(
        kind: .tls,
        detail: "\(place): \(Self.brokenHandshake)")
    case .greeting:
      return LinkFailure(kind: .unreachable, detail: "\(place): the broker closed the connection before CONNACK")
    case .open, .closing, .closed:
      let timedOut = code == Int32(MOSQ_ERR_ERRNO.rawValue) && errnoCode == ETIMEDOUT
      let words = LinkLibraryError.text(code, errnoCode: errnoCode)
      return LinkFailure(kind: timedOut ? .timeout : .closedByPeer, detail: "\(place): \(words)")
    }
  }
}

extension LinkFailure {
  func at(_ place: String) -> LinkFailure { LinkFailure(kind: kind, detail: "\(place): \(detail)") }
}
