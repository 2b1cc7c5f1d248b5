import CMosquitto
import Forwarding

/// Tells a slow line, and a slow receiver, from a dead one.
///
/// Dead is a line on which the peer's TCP was not heard for one and a half times the keep-alive: no data, no
/// acknowledgement, no answer to a probe of its closed window. Whoever is heard may be slow. libmosquitto would end the
/// connection when no answer to PINGREQ came within the keep-alive, although PINGREQ waits behind publishes that are
/// getting through all the while; so we let it ask and judge only when nothing of ours is on its way.
struct LinkWatch {
  enum Verdict: Equatable {
    /// What we sent is on its way; whether it arrives is for the next looks to tell.
    case busy
    /// Nothing speaks against asking (PINGREQ), or against libmosquitto's judgement.
    case mayAsk
    /// The peer was not heard.
    case silent(milliseconds: Int64)
    /// The peer's TCP answers and takes everything, but no word comes, not even to PINGREQ.
    case unanswered(milliseconds: Int64)
    /// The peer's TCP answers, but it takes nothing of what waits for it.
    case stalled(milliseconds: Int64)
  }

  /// Fewer bytes are acknowledgements of the other direction and show no progress of a publish.
  private static let movementBytes: UInt64 = 1024

  private let keepAliveMilliseconds: Int64
  private let stallMilliseconds: Int64
  private var acknowledged: UInt64 = 0
  private var received: UInt64 = 0
  private var lastReceived: Int64
  /// Since when nothing speaks against asking and nothing has come.
  private var mayAskSince: Int64?
  /// Bytes that the peer had acknowledged then.
  private var acknowledgedAtAsking: UInt64 = 0
  /// When bytes last moved, in either direction.
  private var lastMoved: Int64
  /// Bytes that the peer had acknowledged when movement was last told of.
  private var toldAcknowledged: UInt64 = 0
  /// Bytes received when a packet was last complete.
  private var receivedAtPacket: UInt64 = 0

  /// `now` in milliseconds of a monotonic clock.
  init(keepAliveSeconds: UInt16, stallMilliseconds: Int64, now: Int64) {
    keepAliveMilliseconds = Int64(keepAliveSeconds) * 1000
    self.stallMilliseconds = max(stallMilliseconds, 1000)
    lastReceived = now
    lastMoved = now
  }

  /// Looks at the socket. `publishes`: those without PUBACK.
  mutating func check(descriptor: Int32, publishes: Int, now: Int64) -> Verdict {
    var progress = link_socket_progress()
    guard link_socket_progress_read(descriptor, &progress) == 0 else { return .mayAsk }
    return judge(progress, publishes: publishes, now: now)
  }

  /// The rule itself, without a socket.
  mutating func judge(_ progress: link_socket_progress, publishes: Int, now: Int64) -> Verdict {
    if progress.acknowledged_bytes != acknowledged {
      acknowledged = progress.acknowledged_bytes
      lastMoved = now
    }
    if progress.received_bytes != received {
      received = progress.received_bytes
      lastMoved = now
      lastReceived = now
      mayAskSince = nil
    }
    // PINGRESP and the like complete no packet that we see.
    if received &- receivedAtPacket <= 16 { receivedAtPacket = received }
    let unheard = Int64(clamping: progress.unheard_milliseconds)
    let still = now - lastMoved
    if unheard > keepAliveMilliseconds * 3 / 2 { return .silent(milliseconds: unheard) }
    if progress.outstanding_bytes > 0 { return still > stallMilliseconds ? .stalled(milliseconds: still) : .busy }
    // Behind more of ours than the question itself an answer may take its time.
    if acknowledged &- acknowledgedAtAsking >= Self.movementBytes { mayAskSince = nil }
    // The question goes out one keep-alive after the last word, and its answer needs no more than the line.
    if let mayAskSince, now - max(lastReceived + keepAliveMilliseconds, mayAskSince) > keepAliveMilliseconds * 7 / 10 {
      return .unanswered(milliseconds: now - lastReceived)
    }
    // Our TCP is rid of everything, but something between us and the broker may still hold it.
    if publishes > 0, still < keepAliveMilliseconds { return .busy }
    // PINGRESP may be right behind what just came.
    guard now - lastReceived >= keepAliveMilliseconds / 5 else { return .busy }
    if mayAskSince == nil { (mayAskSince, acknowledgedAtAsking) = (now, acknowledged) }
    return .mayAsk
  }

  /// Whether the peer's TCP took more of `publishes` since the last answer of true.
  mutating func takeMovement(publishes: Int) -> Bool {
    guard publishes > 0 else {
      toldAcknowledged = acknowledged
      return false
    }
    guard acknowledged &- toldAcknowledged >= Self.movementBytes else { return false }
    toldAcknowledged = acknowledged
    return true
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
