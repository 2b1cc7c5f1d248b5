import CaptureDatabase
import Foundation
import Provenance
import Storage
import TestSupport
import Testing

/// A1: many devices, brokers and workers, one of each killed.
@Suite(
  .enabled(
    if: FileManager.default.isExecutableFile(atPath: "/usr/lib/postgresql/15/bin/postgres")
      && FileManager.default.isExecutableFile(atPath: Front.executable) && MosquittoBroker.executable != nil,
    "needs postgresql-15, haproxy and mosquitto"), .serialized)
struct FleetTests {
  private struct Result: Decodable {
    var captures: Int
    var receipted: Int
    var wrong: Int
    var refused: Int
    var waiting: Int
    var p50: Double
    var p95: Double
    var max: Double
    var per_second: Double
  }

  private static func number(_ name: String, _ standard: Int) -> Int {
    ProcessInfo.processInfo.environment["THERMOGRAPH_FLEET_\(name)"].flatMap { Int($0) } ?? standard
  }

  /// Not yet part of `make test`: once, in an optimised build beside other tests, 21 of 100 devices had delivered nothing
  /// within the 90 s; why is not known.
  @Test(
    .enabled(
      if: ProcessInfo.processInfo.environment["THERMOGRAPH_FLEET_DEVICES"] != nil,
      "make test-fleet runs it, with THERMOGRAPH_FLEET_DEVICES"))
  func aBrokerAndAWorkerAreKilledAndNothingIsLost() async throws {
    let devices = Self.number("DEVICES", 100)
    let captures = Self.number("CAPTURES", 5)
    let spread = Self.number("SPREAD", 10)
    let folder = try ScratchFolder(inMemory: true)
    let database = try PostgresServer.start().makeDatabase()
    var generator = SystemRandomNumberGenerator()
    _ = try KeyFile.create(path: folder.file("master.key"), digests: OpenSSLDigests(), using: &generator)
    _ = try DatabaseSchema.migrate(try DatabaseTarget(database.connection))
    let brokers = try (0..<2).map { _ in try MosquittoBroker(logsEverything: false) }
    for broker in brokers { try await broker.start() }
    let front = try Front.start(before: brokers.map(\.port), in: folder)
    let workers = try (0..<2).map { number in
      try FleetProgram(
        "thermograph-receiver",
        [
          "--database", database.connection, "--master-key-file", folder.file("master.key"), "--name",
          "worker-\(number)",
        ]
          + brokers.flatMap { ["--broker", "127.0.0.1:\($0.port)"] } + ["--metrics-port", "0"], in: folder)
    }
    for worker in workers {
      for broker in brokers { try await worker.says("receiving from 127.0.0.1:\(broker.port)") }
    }
    let load = try FleetProgram(
      "FleetLoad",
      [
        folder.path, "127.0.0.1:\(front.port)", brokers.map { "127.0.0.1:\($0.port)" }.joined(separator: ","),
        "\(devices)", "\(captures)", "spread=\(spread)", "limit=\(Self.number("LIMIT", 90))", "receipt=5",
        "trace=\(folder.file("trace"))",
      ], in: folder)
    try await load.says("stored", withinSeconds: 300)
    // In the middle of it: half of the devices are connected.
    try await Task.sleep(for: .milliseconds(500 * spread))
    brokers[1].kill()
    try await Task.sleep(for: .milliseconds(150 * spread))
    workers[0].end(SIGKILL)
    try await Task.sleep(for: .milliseconds(150 * spread))
    try await brokers[1].start()
    try await load.says("\"receipted\"", withinSeconds: Double(Self.number("LIMIT", 90)) + 30)
    let line = try #require(load.text.split(separator: "\n").last { $0.hasPrefix("{") })
    let result = try JSONDecoder().decode(Result.self, from: Data(line.utf8))
    #expect(result.receipted == devices * captures && result.wrong == 0 && result.refused == 0 && result.waiting == 0)
    let rows = try database.query(
      "SELECT count(*), count(complete_at), count(DISTINCT (device, outbox_id, sequence)) FROM capture")
    #expect(rows == [[String]](repeating: [String](repeating: "\(devices * captures)", count: 3), count: 1))
    #expect(try database.number("SELECT count(*) FROM image") == 4 * devices * captures)
    let outside = try Self.outsideTheKill(folder.file("trace"), killed: 0.5 * Double(spread))
    print(
      "FAULT MATRIX: \(devices) devices x \(captures) captures, a broker and a worker killed: "
        + "\(result.captures - result.receipted) lost, p50 \(result.p50) s, p95 \(result.p95) s, max \(result.max) s; "
        + "p95 outside the kill \(outside.p95) s; 95 % back after \(outside.back) s")
    // Measured where nothing else runs: `make test-fleet` sets it.
    if let limit = ProcessInfo.processInfo.environment["THERMOGRAPH_FLEET_P95"].flatMap({ Double($0) }) {
      #expect(outside.p95 <= limit)
      #expect(outside.back <= 10)
    }
    // The worker that is left stops in order.
    #expect(workers[1].end(SIGTERM) == 0)
    #expect(workers[1].text.hasSuffix("stopped\n"))
    withExtendedLifetime(front.program) {}
  }

  /// p95 of what was published more than a second before the kill or ten seconds after it, and when 95 % of those who
  /// came back after it were back.
  private static func outsideTheKill(_ path: String, killed: Double) throws -> (p95: Double, back: Double) {
    var latencies: [Double] = []
    var births: [Double] = []
    var known: Set<Substring> = []
    for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count >= 3, let at = Double(words[1]) else { continue }
      if words[0] == "receipt", let latency = Double(words[2]), at < killed - 1 || at > killed + 10 {
        latencies.append(latency)
      }
      guard words[0] == "birth" else { continue }
      // A device that connects for the first time does not come back.
      if at <= killed { known.insert(words[2]) } else if known.remove(words[2]) != nil { births.append(at - killed) }
    }
    func quantile(_ values: [Double]) -> Double {
      values.isEmpty ? 0 : values.sorted()[Int(0.95 * Double(values.count - 1))]
    }
    return (quantile(latencies), quantile(births))
  }
}
