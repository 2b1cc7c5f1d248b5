import Synchronization

/// Events on their way to the one task that handles them. What waits is taken at once: outcomes of publishes come by
/// the hundred, and a look at the outbox for each of them would cost more than the sending.
final class EventQueue<Event: Sendable>: Sendable {
  private let capacity: Int
  private let waiting = Mutex<[Event]>([])
  private let continuation: AsyncStream<Void>.Continuation
  /// One element, or several, whenever something waits.
  let arrivals: AsyncStream<Void>

  init(capacity: Int) {
    self.capacity = capacity
    (arrivals, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Returns false, and keeps what it has, when `capacity` events are waiting.
  func send(_ event: Event) -> Bool {
    let count = waiting.withLock { waiting in
      guard waiting.count < capacity else { return 0 }
      waiting.append(event)
      return waiting.count
    }
    if count == 1 { continuation.yield() }
    return count > 0
  }

  /// All events that wait, oldest first.
  func takeAll() -> [Event] {
    waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}
