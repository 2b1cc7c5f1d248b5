import CLinux
import Glibc
import Panel
import Synchronization

/// A front panel without hardware: presses come from the test, the outputs are remembered.
package final class SimulatedPanel: PanelPins {
  private struct State: Sendable {
    var levels: [Bool] = []
    var history: [PanelOutputs] = []
    var failure: PanelError?
  }

  /// How many outputs are remembered; older ones are forgotten.
  package static let historyLimit = 4096

  private let state = Mutex(State())
  /// An eventfd: readable while something happened that a waiting thread has not seen.
  private let wake: Int32

  package init() throws(SimulationError) {
    wake = clinux_eventfd()
    guard wake >= 0 else { throw .failed("eventfd", on: "simulated panel") }
  }

  deinit {
    close(wake)
  }

  /// The button goes down (true) or up (false).
  package func setButton(isDown: Bool) {
    state.withLock { state in
      // A contact that changes faster than anybody looks loses changes, as an edge queue does.
      if state.levels.count < 64 { state.levels.append(isDown) }
    }
    interrupt()
  }

  /// From now on every use of a line fails with `error`.
  package func fail(with error: PanelError) {
    state.withLock { $0.failure = error }
    interrupt()
  }

  /// Everything that was shown, oldest first.
  package var history: [PanelOutputs] { state.withLock { $0.history } }

  package func show(_ outputs: PanelOutputs) throws(PanelError) {
    let failure = state.withLock { state in
      if state.failure == nil {
        if state.history.count == Self.historyLimit { state.history.removeFirst() }
        state.history.append(outputs)
      }
      return state.failure
    }
    if let failure { throw failure }
  }

  package func waitForButton(timeoutMilliseconds: Int) throws(PanelError) -> Bool? {
    if let level = try next() { return level }
    var watched = pollfd(fd: wake, events: Int16(POLLIN), revents: 0)
    // A wait that a signal cuts short is only looked at again sooner.
    poll(&watched, 1, Int32(clamping: max(timeoutMilliseconds, 0)))
    var count: UInt64 = 0
    // EAGAIN: the time was up and nothing had happened.
    _ = read(wake, &count, 8)
    return try next()
  }

  package func interrupt() {
    var one: UInt64 = 1
    _ = write(wake, &one, 8)
  }

  private func next() throws(PanelError) -> Bool? {
    let (level, failure) = state.withLock { state in
      (state.levels.isEmpty ? nil : state.levels.removeFirst(), state.failure)
    }
    if let failure { throw failure }
    return level
  }
}
