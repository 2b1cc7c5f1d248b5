import CLinux
import Glibc
import LocalFiles

/// Tells systemd how the service is (sd_notify(3)): one datagram of `KEY=value` lines to the socket it named.
package struct ServiceNotifier: Sendable {
  package enum State: String, Sendable {
    case ready = "READY=1"
    case stopping = "STOPPING=1"
    case reloading = "RELOADING=1"
    case watchdog = "WATCHDOG=1"
  }

  /// The socket: a path, or a name in the abstract name space that starts with `@`.
  package let socketAddress: String
  /// The time after which systemd kills a service that sent no `watchdog`, in microseconds; nil without one. Feed it
  /// at a third of this.
  package let watchdogMicroseconds: UInt64?

  /// The notifier that `environment` asks for, or nil when systemd did not start this process.
  ///
  /// - Parameters:
  ///   - environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are looked at.
  ///   - processID: this process; a watchdog meant for another is not ours to feed.
  package init?(environment: [String: String], processID: Int32) {
    guard let address = environment["NOTIFY_SOCKET"], !address.isEmpty else { return nil }
    socketAddress = address
    let watched = environment["WATCHDOG_PID"].map { $0 == String(processID) } ?? true
    watchdogMicroseconds = watched ? environment["WATCHDOG_USEC"].flatMap { UInt64($0) } : nil
  }

  /// Sends `state` and, in the same datagram, one line of text for `systemctl status`.
  ///
  /// - Parameter status: one line; line ends in it become blanks, since each would start a key of its own.
  package func notify(_ state: State? = nil, status: String? = nil) throws(SystemCallError) {
    var lines: [String] = []
    if let state {
      lines.append(state.rawValue)
      // systemd pairs a reload with the time at which it began (sd_notify(3), RELOADING=1).
      if state == .reloading { lines.append("MONOTONIC_USEC=\(Self.monotonicMicroseconds())") }
    }
    if let status {
      lines.append("STATUS=" + String(status.map { $0.isNewline ? " " : $0 }))
    }
    guard !lines.isEmpty else { return }
    let message = Array(lines.joined(separator: "\n").utf8)
    try systemCall("sendto", on: "NOTIFY_SOCKET \(socketAddress)") {
      clinux_send_unix_datagram(socketAddress, message, message.count)
    }
  }

  private static func monotonicMicroseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
  }
}
