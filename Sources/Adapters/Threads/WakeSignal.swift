import CLinux
import Glibc
import LocalFiles

/// Interrupts a thread that waits in `poll`: an eventfd (eventfd(2)) that any thread may signal.
package final class WakeSignal: Sendable {
  private let descriptor: OwnedDescriptor

  package init() throws(SystemCallError) {
    descriptor = OwnedDescriptor(takingOver: try systemCall("eventfd", on: "wake signal") { clinux_eventfd() })
  }

  /// The descriptor to poll for reading.
  package var number: Int32 { descriptor.number }

  /// Wakes the waiting thread, or the next one that comes to wait.
  package func signal() {
    var one: UInt64 = 1
    do throws(SystemCallError) {
      try systemCall("write", on: "wake signal") { write(descriptor.number, &one, 8) }
    } catch {
      // It can fail only with EAGAIN, when 2^64 - 2 signals are pending: the waiter is woken all the same.
    }
  }

  /// Waits until somebody signals, and takes that back, or for so long.
  package func wait(milliseconds: Int) {
    var watched = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    // A wait that a signal to the process ends early is like one that was long enough.
    if poll(&watched, 1, Int32(clamping: max(milliseconds, 0))) > 0 { reset() }
  }

  /// Takes back every signal so far.
  package func reset() {
    var count: UInt64 = 0
    do throws(SystemCallError) {
      try systemCall("read", on: "wake signal") { read(descriptor.number, &count, 8) }
    } catch {
      // EAGAIN: there was none.
    }
  }
}
