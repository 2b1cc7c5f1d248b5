import Forwarding

/// How long the broker takes to settle a message: a bounded list of what is under way. What has no room is not timed.
struct PublishStopwatch: Sendable {
  /// The window of delivery is at most 100.
  private static let mostTimed = 128

  private var started: [(token: PublishToken, nanoseconds: UInt64)] = []

  init() { started.reserveCapacity(Self.mostTimed) }

  mutating func start(_ token: PublishToken, at nanoseconds: UInt64) {
    guard started.count < Self.mostTimed else { return }
    started.append((token, nanoseconds))
  }

  /// - Returns: milliseconds since it was handed over; nil when it was not timed.
  mutating func stop(_ token: PublishToken, at nanoseconds: UInt64) -> Int? {
    guard let index = started.firstIndex(where: { $0.token == token }) else { return nil }
    let began = started.remove(at: index).nanoseconds
    return Int(clamping: (max(nanoseconds, began) - began) / 1_000_000)
  }

  /// The connection ended: nothing that is under way gets an outcome.
  mutating func forgetAll() { started.removeAll(keepingCapacity: true) }
}
