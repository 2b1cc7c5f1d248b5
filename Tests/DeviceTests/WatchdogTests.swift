import CloudLink
import Forwarding
import Foundation
import LinuxIO
import Logging
import Provenance
import Storage
import Synchronization
import Testing

@testable import Device

@Suite struct LivenessTests {
  private let second: UInt64 = 1_000_000_000

  @Test func everyPartMustMoveBetweenTwoFeedings() {
    var liveness = Liveness(watching: LivePart.allCases, from: 0)
    for part in LivePart.allCases { liveness.beat(part, at: second) }
    #expect(liveness.feed(at: 2 * second).isEmpty)
    // Nobody has moved since.
    #expect(liveness.feed(at: 4 * second) == LivePart.allCases)
  }

  @Test(arguments: LivePart.allCases) func anyOneThatHangsStarves(part: LivePart) {
    var liveness = Liveness(watching: LivePart.allCases, from: 0)
    for round in 1...5 as ClosedRange<UInt64> {
      for other in LivePart.allCases where other != part { liveness.beat(other, at: round * 10) }
      #expect(liveness.feed(at: round * 10 + 5) == [part])
    }
    liveness.beat(part, at: 60)
    #expect(liveness.feed(at: 61).isEmpty)
    #expect(liveness.age(of: part, at: 65) == 5)
  }

  @Test func aPartThatIsNotWatchedIsNotMissed() {
    var liveness = Liveness(watching: [.camera, .capture, .outbox], from: 0)
    for part in [LivePart.camera, .capture, .outbox] { liveness.beat(part, at: 1) }
    liveness.beat(.network, at: 1)
    #expect(liveness.feed(at: 2).isEmpty)
    #expect(liveness.age(of: .network, at: 3) == nil)
  }
}

/// The parts as they are in the device, each made to hang in its turn: the outbox's thread inside a transaction, the link's
/// thread inside a callback, the loop of events inside an event, the camera's loop inside a step.
@Suite struct WatchdogServiceTests {
  @Test(arguments: LivePart.allCases) func theWatchdogStarvesWhileThisPartHangs(part: LivePart) async throws {
    let bench = try Bench()
    bench.start()
    try await bench.wait("all move and it is fed") { bench.feedings.load(ordering: .relaxed) > 2 }
    bench.gates[part.rawValue].close()
    bench.provoke(part)
    try await bench.wait("it complains") {
      bench.complaints.contains { $0.split(separator: " ").contains(Substring(part.name)) }
    }
    // A complaint may be of a moment when the part was only slow, before it stood at its gate.
    var fed = -1
    try await bench.wait("no feeding falls into five periods", every: .milliseconds(500)) {
      defer { fed = bench.feedings.load(ordering: .relaxed) }
      return bench.feedings.load(ordering: .relaxed) == fed
    }
    bench.gates[part.rawValue].open()
    try await bench.wait("it is fed again") { bench.feedings.load(ordering: .relaxed) > fed + 1 }
    await bench.stop()
  }

  /// A door that a thread may have to wait at.
  private final class Gate: Sendable {
    private let isClosed = Atomic(false)

    func close() { isClosed.store(true, ordering: .releasing) }
    func open() { isClosed.store(false, ordering: .releasing) }
    var isShut: Bool { isClosed.load(ordering: .acquiring) }
    func pass() { while isClosed.load(ordering: .acquiring) { usleep(1000) } }
  }

  private struct GatedTime: TimeSource {
    let gate: Gate

    func now() -> Timestamp {
      gate.pass()
      return Timestamp(
        utcNanoseconds: 1_700_000_000_000_000_000, bootID: "b",
        monotonicNanoseconds: SystemClock.monotonicNanoseconds(), synchronised: true)
    }
  }

  private final class Bench: Sendable {
    let gates = LivePart.allCases.map { _ in Gate() }
    let feedings = Atomic(0)
    let heartbeats = Heartbeats(watching: LivePart.allCases)
    private let folder = NSTemporaryDirectory() + "thermograph-watchdog-\(UUID().uuidString)"
    private let outbox: Outbox
    private let events: DeviceEvents
    private let client: MQTTClient
    private let log = Mutex<[String]>([])
    private let tasks = Mutex<[Task<Void, Never>]>([])

    init() throws {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      var generator = SystemRandomNumberGenerator()
      let key = try KeyFile.create(path: folder + "/key", digests: OpenSSLDigests(), using: &generator)
      outbox = try Outbox(
        OutboxConfiguration(path: folder + "/outbox.sqlite", keys: KeyRing(current: key), retentionSeconds: 1),
        time: GatedTime(gate: gates[LivePart.outbox.rawValue]))
      events = DeviceEvents(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      let gate = gates[LivePart.network.rawValue]
      client = try MQTTClient(time: GatedTime(gate: Gate()), events: { _ in gate.pass() })
    }

    var complaints: [String] { log.withLock { $0 } }

    func start() {
      let logger = Logger(label: "test") { _ in
        ComplaintLog { line in self.log.withLock { $0.append(line) } }
      }
      let service = WatchdogService(
        heartbeats: heartbeats,
        questions: [
          .capture: { [events] answer in _ = events.send(.question(answer: answer)) },
          .outbox: { [outbox] answer in
            Task {
              _ = await outbox.commits
              answer()
            }
          },
          .network: { [client] answer in client.ask(answer) },
        ], period: .milliseconds(100), feed: { self.feedings.add(1, ordering: .relaxed) }, logger: logger)
      let watching = Task {
        do { try await service.run() } catch { Issue.record("\(error)") }
      }
      let capture = Task {
        for await event in events.stream {
          // The loop hangs as one does that awaits something which never comes.
          while gates[LivePart.capture.rawValue].isShut, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(1))
          }
          if case .question(let answer) = event { answer() }
        }
      }
      let camera = Task {
        while !Task.isCancelled {
          if !gates[LivePart.camera.rawValue].isShut { heartbeats.beat(.camera) }
          try? await Task.sleep(for: .milliseconds(5))
        }
      }
      tasks.withLock { $0 = [watching, capture, camera] }
    }

    /// Leads the part to its closed gate.
    func provoke(_ part: LivePart) {
      switch part {
      case .outbox: Task { [outbox] in _ = try? await outbox.maintain() }
      case .network:
        // Refused at once: a plain connection to another host is never made.
        client.connect(
          LinkSettings(
            host: "192.0.2.1", port: 1, security: .plaintext(beyondLoopback: false), clientIdentifier: "watchdog"))
      case .camera, .capture: break
      }
    }

    func wait(
      _ what: String, every pause: Duration = .milliseconds(5), until condition: () -> Bool
    ) async throws {
      let deadline = ContinuousClock.now + .seconds(300)
      while !condition() {
        try #require(ContinuousClock.now < deadline, "waited in vain until \(what)")
        try await Task.sleep(for: pause)
      }
    }

    func stop() async {
      for task in tasks.withLock({ $0 }) { task.cancel() }
      await client.stop()
      await outbox.close()
      try? FileManager.default.removeItem(atPath: folder)
    }
  }

  /// Keeps the names of the parts in each complaint.
  private struct ComplaintLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.critical
    let note: @Sendable (String) -> Void

    init(note: @escaping @Sendable (String) -> Void) { self.note = note }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      if let parts = event.metadata?["parts"] { note("\(parts)") }
    }
  }
}
