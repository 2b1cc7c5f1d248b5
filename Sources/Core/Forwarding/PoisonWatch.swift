/// Finds the packet at which a peer hangs up. MQTT 3.1.1 has no way to announce a largest packet: the broker just
/// closes the connection, and a device that starts with the same message again would never get past it.
///
/// A broker that restarts again and again looks alike, so nothing is given up here: images are cut smaller, any other
/// class waits a while so that the rest can flow.
struct PoisonWatch: Sendable {
  /// Ends of connections in a row with the same oldest unacknowledged message before a conclusion is drawn.
  static let patience = 3
  /// Images are not cut into packets smaller than this on suspicion alone.
  static let smallestPacketBytes = 4096

  /// The largest image packet that is still tried, once one was concluded; nil as long as there is no suspicion.
  private(set) var assumedPacketBytes: Int?
  private var suspect: Int64?
  private var repeats = 0

  enum Conclusion: Equatable {
    case assume(packetBytes: Int)
    case holdClass
  }

  /// A publish was acknowledged: the line works.
  mutating func progressed() {
    suspect = nil
    repeats = 0
  }

  /// The connection ended while `id` was the oldest publish without an outcome.
  mutating func connectionEnded(oldest id: Int64, isImage: Bool, packetBytes: Int) -> Conclusion? {
    if suspect == id { repeats += 1 } else { (suspect, repeats) = (id, 1) }
    guard repeats >= Self.patience else { return nil }
    repeats = 0
    guard isImage, packetBytes > Self.smallestPacketBytes else { return .holdClass }
    let assumed = max(Self.smallestPacketBytes, packetBytes / 2)
    assumedPacketBytes = assumed
    return .assume(packetBytes: assumed)
  }
}

extension DeliveryMachine {
  /// After a connection that the peer ended: was it the oldest message's doing?
  mutating func suspectPoison(_ failure: LinkFailure, now: UInt64, _ actions: inout [DeliveryAction]) {
    switch failure.kind {
    case .closedByPeer, .brokerDisconnect, .protocolError: break
    default: return
    }
    guard let oldest = flights.values.min(by: { $0.order < $1.order }), let message = progress[oldest.id] else {
      return
    }
    let deliveryClass = message.item.deliveryClass
    switch poison.connectionEnded(
      oldest: oldest.id, isImage: deliveryClass == .image, packetBytes: oldest.packetBytes)
    {
    case .assume(let bytes):
      actions.append(.report(.packetLimitAssumed(bytes: bytes)))
    case .holdClass:
      let milliseconds = configuration.backoff.maximumMilliseconds
      lanes[deliveryClass.rawValue].heldUntilNanoseconds = now + UInt64(milliseconds) * 1_000_000
      actions.append(.report(.hangsUp(deliveryClass, nextAttemptSeconds: (milliseconds + 999) / 1000)))
    case nil: break
    }
  }
}
