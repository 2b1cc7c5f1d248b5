import Foundation
import Synchronization

/// A mosquitto of the test's own: loopback, an ephemeral port, a directory that goes with it.
package final class MosquittoBroker: Sendable {
  package static let executable = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  package let port: UInt16
  package var directory: URL { scratch.url }
  private let scratch: ScratchFolder
  /// Until the broker listens: nobody else gets the port, and who connects is refused.
  private let reservation: Mutex<PortReservation?>
  private let process = Mutex<Process?>(nil)

  /// Writes the configuration: `extra` lines are added to a listener on `port`. A log of every packet slows it down.
  package init(
    extra: [String] = ["allow_anonymous true"], files: [String: String] = [:], logsEverything: Bool = true
  ) throws {
    scratch = try ScratchFolder()
    let reservation = try PortReservation()
    port = reservation.port
    self.reservation = Mutex(reservation)
    for (name, text) in files { try Data(text.utf8).write(to: directory.appending(path: name)) }
    try configure(extra, logsEverything: logsEverything)
  }

  /// Takes effect at the next start.
  package func configure(_ extra: [String], logsEverything: Bool = true) throws {
    let path = directory.path
    // mosquitto gives up root for a user who cannot read the test's directory, so it is told to stay.
    let lines =
      [
        "per_listener_settings false", "user root", "listener \(port) 127.0.0.1", "persistence false",
        // Beyond a thousand it would drop what a slow receiver has not taken, acknowledged though it is.
        // 0, without a limit, would make this broker end a connection at each refused publish.
        "max_queued_messages 10000000", "log_dest file \(path)/mosquitto.log", "log_type error", "log_type warning",
        "log_type notice",
        "log_type information",
      ] + (logsEverything ? ["log_type all"] : []) + extra.map { $0.replacingOccurrences(of: "@DIR@", with: path) }
    try Data(lines.joined(separator: "\n").appending("\n").utf8).write(to: directory.appending(path: "mosquitto.conf"))
  }

  deinit {
    kill()
  }

  /// Starts the broker and returns when it listens.
  package func start() async throws {
    guard let executable = Self.executable else { throw TestFault(description: "mosquitto is not installed") }
    try? FileManager.default.removeItem(at: directory.appending(path: "mosquitto.log"))
    reservation.withLock { $0 = nil }
    let started = Process()
    started.executableURL = URL(filePath: executable)
    started.arguments = ["-c", directory.appending(path: "mosquitto.conf").path]
    started.standardOutput = FileHandle.nullDevice
    started.standardError = FileHandle.nullDevice
    try Self.run(started)
    process.withLock { $0 = started }
    try await eventually("mosquitto listens on \(port)") {
      guard started.isRunning else { throw TestFault(description: "mosquitto ended at once:\n\(self.log)") }
      // Not by connecting: under TLS mosquitto 2.0 takes the rest of a broken handshake for a fault of the next one.
      return self.log.contains(" running\n")
    }
  }

  /// A child inherits the signal mask of the thread that starts it, and a thread of the pool may have been begun by one
  /// that blocks everything: the broker would be deaf to SIGHUP and SIGTERM.
  private static func run(_ process: Process) throws {
    var (none, before) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    try process.run()
  }

  package var processIdentifier: Int32? { process.withLock { $0?.processIdentifier } }

  /// SIGKILL, and waits for the end.
  package func kill() { end(SIGKILL) }

  /// SIGTERM, and waits for the end.
  package func stop() { end(SIGTERM) }

  private func end(_ signal: Int32) {
    let running = process.withLock { process in
      defer { process = nil }
      return process
    }
    guard let running else { return }
    Foundation.kill(running.processIdentifier, signal)
    running.waitUntilExit()
  }

  /// Has the broker read its access rules again.
  package func reload() {
    if let processIdentifier { Foundation.kill(processIdentifier, SIGHUP) }
  }

  package var log: String {
    (try? String(contentsOf: directory.appending(path: "mosquitto.log"), encoding: .utf8)) ?? "(no log)"
  }
}
