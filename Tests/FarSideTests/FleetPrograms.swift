import Foundation
import Synchronization
import TestSupport

/// A program of this build, or any other, that a test starts and may kill.
final class FleetProgram: Sendable {
  private let process = Mutex<Process?>(nil)
  private let output: String
  /// It must not go while the program, or its output, is still of use.
  private let folder: ScratchFolder

  /// - Parameters:
  ///   - name: a path, or the name of a program beside the test bundle.
  ///   - environment: beside that of the test.
  init(
    _ name: String, _ arguments: [String], in folder: ScratchFolder, environment: [String: String] = [:]
  ) throws {
    self.folder = folder
    output = folder.file("output-\(UUID().uuidString.prefix(8))")
    try Data().write(to: URL(filePath: output))
    let started = Process()
    started.executableURL = name.hasPrefix("/") ? URL(filePath: name) : builtProgram(name)
    started.arguments = arguments
    started.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    started.standardInput = FileHandle.nullDevice
    let handle = try FileHandle(forWritingTo: URL(filePath: output))
    started.standardOutput = handle
    started.standardError = handle
    try withOpenSignals { try started.run() }
    process.withLock { $0 = started }
  }

  deinit { end(SIGKILL) }

  var text: String { (try? String(contentsOfFile: output, encoding: .utf8)) ?? "" }
  var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }

  /// Sends `signal` and waits for the end; the status or the signal that ended it.
  @discardableResult
  func end(_ signal: Int32) -> Int32 {
    guard let running = process.withLock({ $0 }) else { return 0 }
    if running.isRunning { kill(running.processIdentifier, signal) }
    running.waitUntilExit()
    return running.terminationStatus
  }

  /// Its end; the status, or the signal that ended it.
  func wait() -> Int32 {
    guard let running = process.withLock({ $0 }) else { return 0 }
    running.waitUntilExit()
    return running.terminationStatus
  }

  func says(_ words: String, withinSeconds limit: Double = 60) async throws {
    do {
      try await eventually("'\(words)' is said", withinSeconds: limit) {
        if self.text.contains(words) { return true }
        guard self.isRunning else { throw TestFault(description: "it ended") }
        return false
      }
    } catch {
      throw TestFault(description: "\(error); it said:\n\(text)")
    }
  }
}

/// HAProxy before the brokers: devices know one address. As in `Fleet/haproxy.cfg`, a broker that came up is left to the
/// workers at first.
enum Front {
  static let executable = "/usr/sbin/haproxy"

  static func start(before brokers: [UInt16], in folder: ScratchFolder) throws -> (program: FleetProgram, port: UInt16)
  {
    let port = try FreePort.take()
    let servers = brokers.enumerated().map {
      "  server m\($0.offset) 127.0.0.1:\($0.element) check inter 300 fall 1 rise 10 on-marked-down shutdown-sessions"
    }
    let text = """
      global
        maxconn 4000
      defaults
        mode tcp
        timeout connect 2s
        timeout client 1h
        timeout server 1h
        timeout check 1s
      listen mqtt
        bind 127.0.0.1:\(port)
        balance leastconn
      \(servers.joined(separator: "\n"))

      """
    try text.write(toFile: folder.file("haproxy.cfg"), atomically: true, encoding: .utf8)
    return (try FleetProgram(executable, ["-db", "-f", folder.file("haproxy.cfg")], in: folder), port)
  }
}
