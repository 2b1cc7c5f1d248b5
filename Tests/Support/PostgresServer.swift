import Foundation
import Synchronization

/// A PostgreSQL of the tests' own: a fresh cluster on a unix socket, started as the system's user `postgres` when we are
/// root, because PostgreSQL refuses to run as root. It ends with the process that started it, also when that is killed.
package final class PostgresServer: Sendable {
  private static let programs = "/usr/lib/postgresql/15/bin"
  private static let shared = Mutex<PostgresServer?>(nil)

  package let folder: String
  private let process = Mutex<Process?>(nil)

  /// The one of this process, started at the first call.
  package static func start() throws -> PostgresServer {
    try shared.withLock { shared in
      if let shared { return shared }
      let server = try PostgresServer()
      shared = server
      atexit { PostgresServer.shared.withLock { $0 }?.stop() }
      return server
    }
  }

  /// One that a test may kill.
  package init() throws {
    folder = "/tmp/thermograph-postgres-\(UUID().uuidString.prefix(8).lowercased())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    if geteuid() == 0 {
      try Self.run(["chown", "postgres", folder])
      try Self.run(["chmod", "755", folder])
    }
    try Self.run(
      Self.asOwner + [
        "\(Self.programs)/initdb", "-D", "\(folder)/data", "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale",
        "-E", "UTF8",
      ])
    try boot()
  }

  /// Starts it again after `kill`.
  package func boot() throws {
    let started = Process()
    started.executableURL = URL(filePath: "/bin/sh")
    let server = (Self.asOwner + ["\(Self.programs)/postgres"]).joined(separator: " ")
    // The shell ends the server when this process is gone, however it went.
    started.arguments = [
      "-c",
      """
      cd \(folder) && \(server) -D \(folder)/data -F -c listen_addresses= -c unix_socket_directories=\(folder) \
        -c shared_buffers=64MB -c max_connections=60 >>\(folder)/log 2>&1 </dev/null &
      server=$!; while kill -0 $server && kill -0 \(getpid()); do sleep 0.2; done 2>/dev/null
      kill -INT $server 2>/dev/null; wait $server
      """,
    ]
    started.standardInput = FileHandle.nullDevice
    started.standardOutput = FileHandle.nullDevice
    started.standardError = FileHandle.nullDevice
    try started.run()
    process.withLock { $0 = started }
    let deadline = ContinuousClock.now + .seconds(60)
    while (try? query("SELECT 1", in: "postgres")) != [["1"]] {
      guard started.isRunning, ContinuousClock.now < deadline else {
        throw TestFault(
          description:
            "PostgreSQL does not start:\n\((try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? "")")
      }
      Thread.sleep(forTimeInterval: 0.05)
    }
  }

  deinit { stop() }

  private func stop() {
    end()
    try? FileManager.default.removeItem(atPath: folder)
  }

  private func end() {
    if let postmaster { Foundation.kill(postmaster, SIGINT) }
    process.withLock { $0 }?.waitUntilExit()
  }

  private var postmaster: Int32? {
    let text = try? String(contentsOfFile: "\(folder)/data/postmaster.pid", encoding: .utf8)
    return text?.split(separator: "\n").first.flatMap { Int32($0) }
  }

  /// SIGKILL to the postmaster, as when the machine dies; its children end by themselves.
  package func kill() throws {
    guard let postmaster else { throw TestFault(description: "no postmaster") }
    let children = try Self.children(of: postmaster)
    Foundation.kill(postmaster, SIGKILL)
    process.withLock { $0 }?.waitUntilExit()
    // As long as one of them holds the shared memory no other postmaster begins.
    let deadline = ContinuousClock.now + .seconds(60)
    while children.contains(where: { Foundation.kill($0, 0) == 0 }) {
      guard ContinuousClock.now < deadline else { throw TestFault(description: "a child of PostgreSQL lives on") }
      Thread.sleep(forTimeInterval: 0.01)
    }
  }

  private static func children(of process: Int32) throws -> [Int32] {
    try output(["ps", "-o", "pid=", "--ppid", "\(process)"]).split(whereSeparator: \.isWhitespace)
      .compactMap { Int32($0) }
  }

  /// SIGSTOP and SIGCONT: a server that is there and does not answer.
  package func freeze(_ isFrozen: Bool) throws {
    guard let postmaster else { throw TestFault(description: "no postmaster") }
    for number in try [postmaster] + Self.children(of: postmaster) {
      Foundation.kill(number, isFrozen ? SIGSTOP : SIGCONT)
    }
  }

  /// A new, empty database: its connection string.
  package func makeDatabase() throws -> TestDatabase {
    let name = "t" + UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased()
    _ = try query("CREATE DATABASE \(name)", in: "postgres")
    return TestDatabase(server: self, name: name)
  }

  package func connection(_ name: String) -> String { "host=\(folder) user=postgres dbname=\(name)" }

  /// Rows of text.
  package func query(_ statement: String, in database: String) throws -> [[String]] {
    let text = try Self.output(
      [
        "\(Self.programs)/psql", "-X", "-A", "-t", "-q", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d",
        connection(database), "-c", statement,
      ])
    return text.split(separator: "\n").map { $0.components(separatedBy: "\t") }
  }

  package func dump(_ database: String) throws -> Data {
    let file = folder + "/dump-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: file) }
    _ = try Self.output(["sh", "-c", "\(Self.programs)/pg_dump -d '\(connection(database))' >\(file)"])
    return try Data(contentsOf: URL(filePath: file))
  }

  /// Every file of the cluster, WAL included.
  package func files() throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder + "/data").map { folder + "/data/" + $0 }
  }

  private static var asOwner: [String] {
    geteuid() == 0
      ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "env", "HOME=/var/lib/postgresql"] : []
  }

  @discardableResult
  private static func run(_ words: [String]) throws -> String { try output(words) }

  private static func output(_ words: [String]) throws -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = words
    process.currentDirectoryURL = URL(filePath: "/tmp")
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: data, as: UTF8.self)
    guard process.terminationStatus == 0 else {
      throw TestFault(
        description: "\(words.prefix(8).joined(separator: " ")) ended with \(process.terminationStatus): \(text)")
    }
    return text
  }
}

/// A database that goes with the last who holds the value.
package final class TestDatabase: Sendable {
  package let server: PostgresServer
  package let name: String

  init(server: PostgresServer, name: String) {
    self.server = server
    self.name = name
  }

  deinit { _ = try? server.query("DROP DATABASE IF EXISTS \(name) WITH (FORCE)", in: "postgres") }

  package var connection: String { server.connection(name) }

  package func query(_ statement: String) throws -> [[String]] { try server.query(statement, in: name) }

  /// The first value of the first row as a number.
  package func number(_ statement: String) throws -> Int {
    guard let text = try query(statement).first?.first, let number = Int(text) else {
      throw TestFault(description: "no number: \(statement)")
    }
    return number
  }
}
