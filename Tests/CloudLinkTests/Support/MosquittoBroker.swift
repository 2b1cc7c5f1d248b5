import Foundation
import Synchronization

/// A mosquitto of the test's own: loopback, an ephemeral port, a directory that goes with it.
final class MosquittoBroker: Sendable {
  struct Fault: Error, CustomStringConvertible {
    var description: String
  }

  static let executable = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  let port: UInt16
  let directory: URL
  private let process = Mutex<Process?>(nil)

  /// Writes the configuration: `extra` lines are added to a listener on `port`. A log of every packet slows it down.
  init(
    extra: [String] = ["allow_anonymous true"], files: [String: String] = [:], logsEverything: Bool = true
  ) throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "broker-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    port = try FreePort.take()
    for (name, text) in files { try Data(text.utf8).write(to: directory.appending(path: name)) }
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
    try? FileManager.default.removeItem(at: directory)
  }

  /// Starts the broker and returns when it listens.
  func start() async throws {
    guard let executable = Self.executable else { throw Fault(description: "mosquitto is not installed") }
    try? FileManager.default.removeItem(at: directory.appending(path: "mosquitto.log"))
    let started = Process()
    started.executableURL = URL(filePath: executable)
    started.arguments = ["-c", directory.appending(path: "mosquitto.conf").path]
    started.standardOutput = FileHandle.nullDevice
    started.standardError = FileHandle.nullDevice
    try Self.run(started)
    process.withLock { $0 = started }
    try await eventually("mosquitto listens on \(port)") {
      guard started.isRunning else { throw Fault(description: "mosquitto ended at once:\n\(self.log)") }
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

  var processIdentifier: Int32? { process.withLock { $0?.processIdentifier } }

  /// SIGKILL, and waits for the end.
  func kill() {
    let running = process.withLock { process in
      defer { process = nil }
      return process
    }
    guard let running else { return }
    Foundation.kill(running.processIdentifier, SIGKILL)
    running.waitUntilExit()
  }

  /// Has the broker read its access rules again.
  func reload() {
    if let processIdentifier { Foundation.kill(processIdentifier, SIGHUP) }
  }

  var log: String {
    (try? String(contentsOf: directory.appending(path: "mosquitto.log"), encoding: .utf8)) ?? "(no log)"
  }
}

enum FreePort {
  /// A port of 127.0.0.1 that nobody listened on a moment ago.
  static func take() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw MosquittoBroker.Fault(description: "socket: \(errno)") }
    defer { close(descriptor) }
    var address = loopback(0)
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
    }
    var length = size
    let named = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    guard bound == 0, named == 0 else { throw MosquittoBroker.Fault(description: "bind: \(errno)") }
    return UInt16(bigEndian: address.sin_port)
  }

  /// Whether somebody accepts a connection there.
  static func answers(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = loopback(port)
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    } == 0
  }

  static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    return address
  }
}

/// Polls `condition` until it holds; the limit only guards against a hang.
func eventually(
  _ what: String, withinSeconds limit: Double = 30, _ condition: () async throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + .seconds(limit)
  while try await !condition() {
    guard ContinuousClock.now < deadline else {
      throw MosquittoBroker.Fault(description: "did not happen within \(limit) s: \(what)")
    }
    try await Task.sleep(for: .milliseconds(5))
  }
}
