import Forwarding
import Glibc
import LocalFiles
import Synchronization
import Threads

/// Messages on their way from the brokers' threads to the database's thread.
final class Inbox: Sendable {
  struct Item: Sendable {
    let line: Int
    let message: IncomingMessage
    /// Monotonic milliseconds.
    let since: Int64
  }

  private struct State {
    var items: [Item] = []
    var bytes = 0
    var isClosed = false
    /// Since when there is no room.
    var fullSince: Int64?
  }

  /// From here on nothing more is read, and the brokers keep what comes until a batch is stored.
  struct Limits: Sendable {
    var messages = 16_384
    var bytes = 48 << 20
  }

  private let limits: Limits
  private let state = Mutex(State())
  private let wake: WakeSignal

  init(_ limits: Limits = Limits()) throws(SystemCallError) {
    self.limits = limits
    wake = try WakeSignal()
  }

  func add(_ message: IncomingMessage, from line: Int) {
    let wasEmpty = state.withLock { state in
      let wasEmpty = state.items.isEmpty
      let now = monotonicMilliseconds()
      state.items.append(Item(line: line, message: message, since: now))
      state.bytes += message.payload.count
      if !hasRoom(state.items.count, state.bytes), state.fullSince == nil { state.fullSince = now }
      return wasEmpty
    }
    if wasEmpty { wake.signal() }
  }

  var hasRoom: Bool { state.withLock { hasRoom($0.items.count, $0.bytes) } }

  private func hasRoom(_ items: Int, _ bytes: Int) -> Bool { items < limits.messages && bytes < limits.bytes }

  /// For how long there has been no room; 0 while there is.
  var fullMilliseconds: Int64 {
    state.withLock { state in state.fullSince.map { monotonicMilliseconds() - $0 } ?? 0 }
  }

  /// No more waiting: the owner looks at what is left and ends.
  func close() {
    state.withLock { $0.isClosed = true }
    wake.signal()
  }

  /// The oldest messages, at most so many; none when none came within `milliseconds`. `touch` is called before they are
  /// gone from here, so that at no moment they are nowhere.
  func take(_ count: Int, bytes: Int, waiting milliseconds: Int, touch: () -> Void) -> [Item] {
    if let items = takeNow(count, bytes, touch) { return items }
    pause(milliseconds)
    return takeNow(count, bytes, touch) ?? []
  }

  private func takeNow(_ count: Int, _ bytes: Int, _ touch: () -> Void) -> [Item]? {
    state.withLock { state in
      guard !state.items.isEmpty else { return nil }
      touch()
      var taken = 0
      var size = 0
      while taken < min(count, state.items.count),
        taken == 0 || size + state.items[taken].message.payload.count <= bytes
      {
        size += state.items[taken].message.payload.count
        taken += 1
      }
      let items = Array(state.items.prefix(taken))
      state.items.removeFirst(taken)
      state.bytes -= size
      if hasRoom(state.items.count, state.bytes) { state.fullSince = nil }
      return items
    }
  }

  /// Waits until something comes or the inbox is closed, at most so long.
  func pause(_ milliseconds: Int) {
    guard !isClosed else { return }
    var descriptor = pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0)
    if poll(&descriptor, 1, Int32(clamping: milliseconds)) > 0 { wake.reset() }
  }

  /// Waits so long, whatever comes; shorter only when the inbox is closed.
  func rest(_ milliseconds: Int) {
    let end = monotonicMilliseconds() + Int64(milliseconds)
    while !isClosed, monotonicMilliseconds() < end {
      usleep(20_000)
    }
  }

  var isClosed: Bool { state.withLock { $0.isClosed } }

  var filling: (items: Int, bytes: Int, oldestMilliseconds: Int64) {
    state.withLock { ($0.items.count, $0.bytes, $0.items.first.map { monotonicMilliseconds() - $0.since } ?? 0) }
  }

  var isHalfEmpty: Bool {
    state.withLock { $0.items.count < limits.messages / 2 && $0.bytes < limits.bytes / 2 }
  }
}

func monotonicMilliseconds() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}
