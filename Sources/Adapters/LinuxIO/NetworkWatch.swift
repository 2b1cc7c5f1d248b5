import CLinux
import Glibc
import LocalFiles
import Threads

/// Says when a way out of this machine appeared: an address or a default route was added (rtnetlink(7)). After a
/// power cut the router is often slower than the device, and the next attempt would be minutes away.
package final class NetworkWatch: Sendable {
  private let wake: WakeSignal
  private let thread: NamedThread

  /// - Parameter cameUp: called on the watch's thread; a burst of changes is told once or a few times.
  package init(_ cameUp: @escaping @Sendable () -> Void) throws(SystemCallError) {
    let wake = try WakeSignal()
    let number = try systemCall("socket", on: "network watch") { clinux_network_watch_open() }
    self.wake = wake
    do throws(SystemCallError) {
      thread = try NamedThread("network") {
        let socket = OwnedDescriptor(takingOver: number)
        Self.run(socket, until: wake, cameUp)
      }
    } catch {
      close(number)
      throw error
    }
  }

  /// Ends the watch and waits for its thread. Must be called exactly once.
  package func stop() {
    wake.signal()
    thread.join()
  }

  private static func run(_ socket: borrowing OwnedDescriptor, until wake: WakeSignal, _ cameUp: () -> Void) {
    while true {
      var descriptors = [
        pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: socket.number, events: Int16(POLLIN), revents: 0),
      ]
      do throws(SystemCallError) {
        try systemCall("poll", on: "network watch") { poll(&descriptors, nfds_t(descriptors.count), -1) }
      } catch {
        // As with the socket below.
        return
      }
      if descriptors[0].revents != 0 { return }
      guard descriptors[1].revents != 0 else { continue }
      let found = clinux_network_watch_read(socket.number)
      // A socket that fails stays failed; delivery then goes by its own pauses.
      guard found >= 0 else { return }
      if found > 0 { cameUp() }
    }
  }
}
