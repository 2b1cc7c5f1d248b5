import CMosquitto
import Forwarding

/// Tells a slow line from a dead one.
///
/// libmosquitto ends a connection when no answer to PINGREQ came within the keep-alive, although on a slow line the
/// PINGREQ waits behind a large publish that is getting through all the while. As long as the peer's TCP acknowledges
/// more and more, we do not let libmosquitto judge; when neither bytes nor acknowledgements arrive for one and a half
/// times the keep-alive, the line is dead.
struct LineWatch {
  enum Verdict: Equatable {
    /// Outgoing data is being acknowledged.
    case busy
    /// Nothing speaks against asking (PINGREQ), or against libmosquitto's judgement.
    case mayAsk
    case silent(milliseconds: Int64)
  }

  private let keepAliveMilliseconds: Int64
  private var acknowledged: UInt64 = 0
  private var received: UInt64 = 0
  private var lastAcknowledged: Int64
  private var lastProgress: Int64
  /// Bytes received when a packet was last complete.
  private var receivedAtPacket: UInt64 = 0

  /// `now` in milliseconds of a monotonic clock.
  init(keepAliveSeconds: UInt16, now: Int64) {
    keepAliveMilliseconds = Int64(keepAliveSeconds) * 1000
    lastAcknowledged = now
    lastProgress = now
  }

  /// Whether so little came that TCP_USER_TIMEOUT (three quarters of the keep-alive) may have ended the connection.
  func isSilent(at now: Int64) -> Bool { now - lastProgress > keepAliveMilliseconds * 6 / 10 }

  /// Looks at the socket.
  mutating func check(descriptor: Int32, now: Int64) -> Verdict {
    var progress = link_socket_progress()
    guard link_socket_progress_read(descriptor, &progress) == 0 else { return .mayAsk }
    return judge(progress, now: now)
  }

  /// The rule itself, without a socket.
  mutating func judge(_ progress: link_socket_progress, now: Int64) -> Verdict {
    if progress.acknowledged_bytes != acknowledged {
      acknowledged = progress.acknowledged_bytes
      lastAcknowledged = now
      lastProgress = now
    }
    if progress.received_bytes != received {
      received = progress.received_bytes
      lastProgress = now
    }
    // PINGRESP and the like complete no packet that we see.
    if received &- receivedAtPacket <= 16 { receivedAtPacket = received }
    let silence = now - lastProgress
    if silence > keepAliveMilliseconds * 3 / 2 { return .silent(milliseconds: silence) }
    let isMoving = progress.outstanding_bytes > 0 && now - lastAcknowledged < keepAliveMilliseconds / 2
    return isMoving ? .busy : .mayAsk
  }

  /// Bounds the packet being received: libmosquitto would allocate what the peer announces, up to 256 MiB.
  mutating func noteRead(descriptor: Int32, madeProgress: Bool, bytesMaximum: Int) -> LinkFailure? {
    var progress = link_socket_progress()
    guard descriptor >= 0, link_socket_progress_read(descriptor, &progress) == 0 else { return nil }
    if madeProgress {
      receivedAtPacket = progress.received_bytes
      return nil
    }
    guard progress.received_bytes &- receivedAtPacket > UInt64(clamping: bytesMaximum) else { return nil }
    return Self.tooLong(bytesMaximum)
  }

  static func tooLong(_ bytesMaximum: Int) -> LinkFailure {
    LinkFailure(kind: .protocolError, detail: "the peer sends a packet of more than \(bytesMaximum) bytes")
  }
}
