import CloudLink
import Foundation
import TestSupport
import Testing

/// How fast a backlog leaves the device, beside a mosquitto bridge and Paho's file persistence with the same backlog.
///
/// Not a test: `make bench-delivery` starts it with THERMOGRAPH_BENCHMARK=1 in a release build. In each round every
/// side drains once, one after the other; a `mosquitto_sub` at the target broker dates what arrives, and the rate is
/// that of the messages between the first and the last.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["THERMOGRAPH_BENCHMARK"] == "1"), .serialized)
struct DrainBenchmark {
  private static func number(_ name: String, _ standard: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
  }

  private let rounds = number("THERMOGRAPH_BENCHMARK_ROUNDS", 5)
  private let messages = number("THERMOGRAPH_BENCHMARK_MESSAGES", 8000)
  private let bytes = 6144
  private let window = 100
  private let broad = ["allow_anonymous true", "max_inflight_messages 0"]
  private let memoryPeer = ProcessInfo.processInfo.environment["THERMOGRAPH_MEMORY_PEER"]
  private let pahoPeer = ProcessInfo.processInfo.environment["THERMOGRAPH_PAHO_PEER"]

  @Test func drains() async throws {
    var rates: [String: [Double]] = [:]
    for round in 0..<rounds {
      rates["outbox", default: []].append(try await drainOutbox(messages))
      rates["outbox, TLS 1.3", default: []].append(try await drainOutboxOverTLS(messages))
      rates["mosquitto bridge", default: []].append(try await drainBridge(messages))
      if let memoryPeer {
        rates["libmosquitto from memory", default: []].append(try await drainMemory(memoryPeer, messages))
      }
      rates["outbox, 1000 waiting", default: []].append(try await drainOutbox(1000))
      if let pahoPeer { rates["Paho, 1000 waiting", default: []].append(try await drainPaho(pahoPeer, 1000)) }
      print("round \(round + 1) of \(rounds) done")
    }
    for (name, values) in rates.sorted(by: { $0.key < $1.key }) {
      print("drain of \(bytes)-byte messages, messages a second: \(name) \(Self.row(values))")
    }
    row("drain, messages a second", rates["outbox"] ?? [], atLeast: 8000)
    func ratio(_ figure: String, _ above: String, _ below: String, atLeast least: Double?) {
      // Round by round, so that a slow minute of the machine weighs on both.
      row(figure, zip(rates[above] ?? [], rates[below] ?? []).map { $0 / $1 }, atLeast: least)
    }
    ratio("drain, times a mosquitto bridge", "outbox", "mosquitto bridge", atLeast: 0.25)
    ratio(
      "drain at 1,000 waiting, times Paho's file persistence", "outbox, 1000 waiting", "Paho, 1000 waiting", atLeast: 10
    )
    ratio("drain, times libmosquitto from memory", "outbox", "libmosquitto from memory", atLeast: nil)
    ratio("drain over TLS 1.3, times plain", "outbox, TLS 1.3", "outbox", atLeast: 0.7)
  }

  /// The median beside its limit, in the form that `Scripts/bench-delivery` collects.
  private func row(_ figure: String, _ values: [Double], atLeast least: Double?) {
    let sorted = values.sorted()
    let limit = least.map { "at least \(fixed($0))" } ?? "no limit"
    guard !sorted.isEmpty else { return print("FIGURE | \(figure) | not measured | \(limit) | missed") }
    let median = sorted[sorted.count / 2]
    print(
      "FIGURE | \(figure) | \(fixed(median)) (\(fixed(sorted[0])) to \(fixed(sorted[sorted.count - 1]))) | \(limit) "
        + "| \(least.map { median >= $0 ? "ok" : "missed" } ?? "-")")
  }

  private func fixed(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }

  private static func row(_ values: [Double]) -> String {
    let sorted = values.sorted()
    return "min \(Int(sorted[0])), median \(Int(sorted[sorted.count / 2])), max \(Int(sorted[sorted.count - 1]))"
  }

  // MARK: - Sides

  /// A sealed outbox with a backlog, drained by the device's own delivery.
  private func drainOutbox(_ count: Int) async throws -> Double {
    let broker = try MosquittoBroker(extra: broad, logsEverything: false)
    try await broker.start()
    return try await drainOutbox(count, to: broker) { try $0.start(broker.port, confirm: .broker, window: window) }
  }

  private func drainOutboxOverTLS(_ count: Int) async throws -> Double {
    let authority = try TestAuthority()
    let server = try authority.issue("broker")
    let identity = try authority.issue("unit-1")
    let plain = try FreePort.take()
    // The meter listens on a plain listener, so that its own TLS costs nothing here.
    let broker = try authority.broker(
      server, extra: Array(broad.dropFirst()) + ["listener \(plain) 127.0.0.1"], logsEverything: false)
    try await broker.start()
    return try await drainOutbox(count, to: broker, meterPort: plain) {
      try $0.start(authority.settings(broker.port, identity), confirm: .broker, window: window)
    }
  }

  private func drainOutbox(
    _ count: Int, to broker: MosquittoBroker, meterPort: UInt16? = nil, start: (DeviceBench) throws -> Void
  ) async throws -> Double {
    let device = try DeviceBench()
    for _ in 0..<count / 500 { try await device.storeEvents(500, bytes: bytes) }
    let meter = try await SubscriberMeter(meterPort ?? broker.port, topic: "tg/v1/+/+/up/event", count: count)
    try start(device)
    let rate = try await meter.messagesPerSecond()
    try await device.stop()
    return rate
  }

  /// A mosquitto with the same backlog in its queue for a bridge.
  private func drainBridge(_ count: Int) async throws -> Double {
    let target = try MosquittoBroker(extra: broad, logsEverything: false)
    // With a window of 65535 version 2.0.11 is refused by its like, for a protocol error.
    let source = try MosquittoBroker(
      extra: [
        "allow_anonymous true", "max_inflight_messages 1000",
        "connection out", "address 127.0.0.1:\(target.port)", "topic # out 1", "cleansession false",
        "restart_timeout 1 1", "bridge_protocol_version mqttv50", "bridge_attempt_unsubscribe false",
      ], logsEverything: false)
    try await source.start()
    let lines = String(repeating: String(repeating: "7", count: bytes) + "\n", count: count)
    let input = source.directory.appending(path: "lines")
    try Data(lines.utf8).write(to: input)
    let feeder = try ProgramRun(
      "mosquitto_pub", ["-p", "\(source.port)", "-V", "5", "-q", "1", "-t", "up/a", "-l"], input: input)
    try await feeder.waitUntilDone()
    try await target.start()
    let meter = try await SubscriberMeter(target.port, topic: "up/a", count: count)
    return try await meter.messagesPerSecond()
  }

  /// What the library, the broker and the subscriber can do on this machine: messages from memory.
  private func drainMemory(_ program: String, _ count: Int) async throws -> Double {
    let broker = try MosquittoBroker(extra: broad, logsEverything: false)
    try await broker.start()
    let meter = try await SubscriberMeter(broker.port, topic: "up/a", count: count)
    let peer = try ProgramRun(program, ["\(broker.port)", "\(count)", "\(bytes)", "\(window)"])
    let rate = try await meter.messagesPerSecond()
    try await peer.waitUntilDone()
    return rate
  }

  private func drainPaho(_ program: String, _ count: Int) async throws -> Double {
    let broker = try MosquittoBroker(extra: broad, logsEverything: false)
    try await broker.start()
    let folder = broker.directory.appending(path: "paho")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let meter = try await SubscriberMeter(broker.port, topic: "up/a", count: count)
    let peer = try ProgramRun(program, ["\(broker.port)", "\(count)", "\(bytes)", "\(window)", folder.path])
    try await eventually("paho has stored", withinSeconds: 120) { try peer.output().contains("stored") }
    try peer.say("go\n")
    let rate = try await meter.messagesPerSecond()
    try await peer.waitUntilDone()
    return rate
  }
}

/// A program beside the benchmark, its output in a file.
final class ProgramRun: Sendable {
  private let process: Process
  private let folder: URL
  private let input: Pipe?

  init(_ program: String, _ arguments: [String], input: URL? = nil) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let output = folder.appending(path: "output")
    try Data().write(to: output)
    let process = Process()
    process.executableURL = URL(filePath: program.contains("/") ? program : "/usr/bin/\(program)")
    process.arguments = arguments
    process.standardOutput = try FileHandle(forWritingTo: output)
    if let input {
      process.standardInput = try FileHandle(forReadingFrom: input)
      self.input = nil
    } else {
      let pipe = Pipe()
      process.standardInput = pipe
      self.input = pipe
    }
    try process.run()
    self.process = process
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: folder)
  }

  func output() throws -> String { try String(contentsOf: folder.appending(path: "output"), encoding: .utf8) }

  func say(_ text: String) throws { try input?.fileHandleForWriting.write(contentsOf: Data(text.utf8)) }

  func waitUntilDone() async throws {
    try await eventually("\(process.executableURL?.lastPathComponent ?? "") ends", withinSeconds: 300) {
      !self.process.isRunning
    }
    guard process.terminationStatus == 0 else {
      throw TestFault(description: "\(process.executableURL?.path ?? ""): \(process.terminationStatus)")
    }
  }
}

/// Dates what arrives at a broker, in a process of its own.
private final class SubscriberMeter: Sendable {
  private let run: ProgramRun
  private let count: Int

  init(_ port: UInt16, topic: String, count: Int) async throws {
    self.count = count
    run = try ProgramRun(
      "mosquitto_sub",
      [
        "-p", "\(port)", "-V", "5", "-D", "connect", "receive-maximum", "65535", "-q", "1", "-t", topic, "-t", "ready",
        "-F", "%t %U", "-C", "\(count + 1)",
      ])
    // Its own greeting shows that the subscription stands; the first line is not counted.
    try await eventually("the meter is subscribed") {
      try await ProgramRun("mosquitto_pub", ["-p", "\(port)", "-q", "1", "-t", "ready", "-m", "x"]).waitUntilDone()
      try await Task.sleep(for: .milliseconds(50))
      return try self.run.output().contains("ready")
    }
  }

  /// Waits for the last message.
  func messagesPerSecond() async throws -> Double {
    try await run.waitUntilDone()
    let times = try run.output().split(separator: "\n").filter { !$0.hasPrefix("ready") }
      .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
    guard let first = times.first, let last = times.last, last > first else {
      throw TestFault(description: "the meter counted \(times.count) of \(count)")
    }
    return Double(times.count - 1) / (last - first)
  }
}
