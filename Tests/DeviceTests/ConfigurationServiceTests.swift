import Configuration
import ConfigurationFiles
import Forwarding
import Foundation
import Logging
import Provenance
import Remote
import Storage
import Synchronization
import TestSupport
import Testing
import Trust

@testable import Device

/// Configurations from afar over real files and a real outbox; only the line and the time are the test's.
@Suite struct ConfigurationServiceTests {
  private static let working = [
    "host = \"127.0.0.1\"", "port = 1883", "keepalive_seconds = 60", "user_name = \"unit-3\"",
    "protocol_version = \"5\"",
    "connect_timeout_seconds = 15", "retry_minimum_seconds = 1", "retry_maximum_seconds = 300",
  ]

  private let scratch: ScratchFolder
  private let sender: CommandSender
  private let clock = ManualClock(
    Timestamp(
      utcNanoseconds: (ClockFloor.releaseSeconds + 3600) * 1_000_000_000, bootID: "b",
      monotonicNanoseconds: 1_000_000_000_000, synchronised: true))
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  private let key: SealingKey

  init() throws {
    scratch = try ScratchFolder(inMemory: true)
    sender = try CommandSender()
    var generator = SystemRandomNumberGenerator()
    key = try KeyFile.create(path: scratch.file("key"), digests: OpenSSLDigests(), using: &generator)
    try write("")
  }

  private func write(_ more: String) throws {
    let text = """
      schema = 1
      [device]
      id = "d1"
      site = "s1"
      [paths]
      state_directory = "\(scratch.path)/state"
      [broker]
      \(Self.working.joined(separator: "\n"))
      \(more)
      """
    try FileManager.default.createDirectory(atPath: scratch.file("state"), withIntermediateDirectories: true)
    try text.write(toFile: scratch.file("thermograph.toml"), atomically: true, encoding: .utf8)
  }

  /// One device over all its starts.
  private final class Bench: Sendable {
    struct State {
      var live: LiveSettings
      var service: ConfigurationService?
      var isIdle = true
      /// Whether the broker is there at all.
      var isLineUp = true
      var sent: [CommandReply] = []
      var standings: [StatusMessage.Configuration] = []
      var starts = 0
    }

    let state: Mutex<State>
    init(_ live: LiveSettings) { state = Mutex(State(live: live)) }
    var settings: Settings { state.withLock { $0.live.settings } }
    var sent: [CommandReply] { state.withLock { $0.sent } }
  }

  private var files: ConfigurationFolder { ConfigurationFolder(mainFile: scratch.file("thermograph.toml")) }
  private var folder: RemoteConfigurationFolder { RemoteConfigurationFolder(stateDirectory: scratch.file("state")) }

  private func openOutbox() throws -> Outbox {
    try Outbox(OutboxConfiguration(path: scratch.file("outbox.sqlite"), keys: KeyRing(current: key)), time: clock)
  }

  /// As the program starts.
  private func start(_ bench: Bench?, _ outbox: Outbox, isListening: Bool = true) async throws -> Bench {
    var given = files.read().settings
    if isListening { given.remote.configurationKeysFile = "/given/to/the/service" }
    _ = try folder.takeStart(given, time: clock)
    let reading = files.read()
    try #require(reading.isUsable, "\(reading.faults)")
    let live = LiveSettings(reading.settings, folder: files, logger: logger)
    live.onChange(of: ["log"]) { _ in }
    let bench = bench ?? Bench(live)
    // The line is up where everything of it is as the working configuration has it.
    let right = try Self.workingBroker(scratch)
    let service = ConfigurationService(
      intake: DownlinkIntake("configurations", keys: sender.keys, logger: logger), folder: folder, files: files,
      outbox: outbox, topics: TopicSchema(site: try TopicIdentifier("s1"), device: try TopicIdentifier("d1")),
      effects: ConfigurationEffects(
        announce: { _, standing in bench.state.withLock { $0.standings.append(standing) } },
        isIdle: { bench.state.withLock { $0.isIdle } },
        apply: { !(try live.reload().needRestart.isEmpty) },
        send: { bytes, settled in
          let isUp = bench.state.withLock { $0.isLineUp } && live.settings.broker == right
          if isUp, let reply = try? JSONDecoder().decode(CommandReply.self, from: Data(bytes)) {
            bench.state.withLock { $0.sent.append(reply) }
          }
          settled(isUp)
        }),
      challenge: StartChallenge(), time: clock, clockFloor: ClockFloor(path: scratch.file("trusted"), logger: logger),
      generator: SystemRandomNumberGenerator(), logger: logger)
    bench.state.withLock {
      $0.live = live
      $0.service = service
      $0.starts += 1
    }
    await service.begin()
    return bench
  }

  private func service(_ bench: Bench) throws -> ConfigurationService {
    try #require(bench.state.withLock { $0.service })
  }

  private static func workingBroker(_ scratch: ScratchFolder) throws -> Settings.Broker {
    var own = ConfigurationFolder(mainFile: scratch.file("thermograph.toml"))
    own.fromAfar = .nothing
    return own.read().settings.broker
  }

  private func text(_ seconds: Int64) -> String {
    let stamp = Timestamp(
      utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: true)
    return String(stamp.rfc3339.prefix(19)) + "Z"
  }

  private func message(
    _ toml: String, version: Int64, minutes: Int64 = 2, challenge: String? = nil, id: RandomIdentifier? = nil
  ) throws -> IncomingMessage {
    var generator = SystemRandomNumberGenerator()
    let now = clock.now().utcNanoseconds / 1_000_000_000
    let json = sender.configuration(
      toml, version: version, id: id ?? RandomIdentifier(using: &generator), issued: text(now),
      expires: text(now + 86_400), challenge: challenge, minutes: minutes)
    return IncomingMessage(
      topic: "tg/v1/s1/d1/dn/config", payload: try sender.envelope(json, type: ConfigurationStatement.payloadType),
      retain: false)
  }

  /// Lets the device run, and start again when it ends, until nothing is open.
  /// - Returns: virtual seconds.
  private func settle(_ bench: Bench, _ outbox: Outbox, atMost seconds: Int) async throws -> Int {
    for passed in 0...seconds {
      let service = try service(bench)
      switch await service.look() {
      case .rest: return passed
      // What answers a reply is a task of its own.
      case .again: for _ in 0..<20 { await Task.yield() }
      case .end: _ = try await start(bench, outbox)
      }
      clock.advance(seconds: 1)
    }
    return seconds + 1
  }

  private func replies(_ outbox: Outbox) async throws -> [CommandReply] {
    var replies: [CommandReply] = []
    for item in try await outbox.pending(.event, after: 0, limit: 256) where item.topicSuffix == "reply" {
      replies.append(try JSONDecoder().decode(CommandReply.self, from: Data(try await outbox.payload(of: item.id))))
    }
    return replies
  }

  // MARK: -

  /// Fifty that cut the line, one after another on one device.
  static let cutting: [String] = {
    let hosts = [
      "10.0.0.9", "192.168.1.1", "localhost2", "127.0.0.2", "127.255.255.254", "::1", "localhost", "b",
      "broker.invalid",
      "fe80::1",
    ]
    let ports = [1, 22, 25, 80, 443, 1024, 1882, 1884, 5672, 8080, 8883, 9001, 14_567, 18_830, 65_535]
    let users = ["x", "unit-4", "UNIT-3", "admin", "unit-3x", "%00", "root", "a/b", "unit-3#", "+"]
    let keepalives = [5, 6, 59, 61, 300, 1200]
    let windows = ["00:00-00:01", "03:00-03:05", "23:58-23:59"]
    var texts = hosts.map { "host = \"\($0)\"" }
    texts += ports.map { "port = \($0)" }
    texts += users.map { "user_name = \"\($0)\"" }
    texts += keepalives.map { "keepalive_seconds = \($0)" }
    texts += windows.map { "sync_window = \"\($0)\"" }
    texts += [
      "protocol_version = \"3.1.1\"", "application_protocol = \"mqtt\"", "application_protocol = \"x-amzn-mqtt-ca\"",
      "connect_timeout_seconds = 1", "retry_minimum_seconds = 3600\nretry_maximum_seconds = 3600",
      "host = \"127.0.0.2\"\nport = 1884", "port = 1884\nuser_name = \"x\"", "host = \"b\"\nkeepalive_seconds = 5",
      "host = \"127.0.0.3\"\nport = 1\nuser_name = \"a\"\nkeepalive_seconds = 5",
      "port = 2\nsync_window = \"01:00-01:01\"",
    ]
    return texts
  }()

  @Test func fiftyThatCutTheLineAreTakenBackInTime() async throws {
    #expect(Self.cutting.count >= 50 && Set(Self.cutting).count == Self.cutting.count, "\(Self.cutting.count)")
    // Hosts that are other machines need a line in plain text to be allowed: that is not what is tried here.
    try write("allow_plaintext = true")
    let outbox = try openOutbox()
    let bench = try await start(nil, outbox)
    let before = bench.settings
    var generator = SeededGenerator(seed: 3)
    for (index, cut) in Self.cutting.enumerated() {
      let minutes: Int64 = index % 5 == 0 ? 10 : 2
      let service = try service(bench)
      // Examinations are limited to thirty an hour.
      clock.advance(seconds: 121)
      await service.handle(try message("[broker]\n\(cut)\n", version: Int64(index + 1), minutes: minutes))
      #expect(try folder.read()?.attempt?.isOpen == true, "\(cut)")
      let wasCut = clock.now().monotonicNanoseconds
      if generator.uniform() < 0.3 {
        // A clock that steps while it is tried; the floor and the proof go their own way.
        if await service.look() == .end { _ = try await start(bench, outbox) }
        let step = Int64(generator.next() % 2_000_000_000) * 1_000_000_000
        let isForward = generator.next() % 2 == 0
        clock.change { $0.utcNanoseconds = isForward ? $0.utcNanoseconds + step : max(0, $0.utcNanoseconds - step) }
      }
      let seconds = try await settle(bench, outbox, atMost: Int(minutes) * 60 + 60)
      #expect(seconds <= Int(minutes) * 60 + 60, "\(cut)")
      #expect(bench.settings == before && files.read().settings == before, "\(cut)")
      #expect(try folder.read()?.attempt?.phase == .ended(.rolledBack), "\(cut)")
      let elapsed = Int((clock.now().monotonicNanoseconds - wasCut) / 1_000_000_000)
      #expect(elapsed >= Int(minutes) * 60, "taken back too early: \(cut)")
      clock.change { $0.utcNanoseconds = (ClockFloor.releaseSeconds + 7200 + Int64(index) * 1000) * 1_000_000_000 }
    }
    let states = try await replies(outbox).map(\.state)
    #expect(states == Array(repeating: .rolledBack, count: Self.cutting.count))
    await outbox.close()
  }

  @Test func oneThatHoldsTheLineIsConfirmedAndStays() async throws {
    let outbox = try openOutbox()
    var bench = try await start(nil, outbox)
    let service = try service(bench)
    bench.state.withLock { $0.isIdle = false }
    await service.handle(try message("[log]\nlevel = \"debug\"\n[health]\ninterval_seconds = 60\n", version: 4))
    for _ in 0..<100 {
      #expect(await service.look() == .again(seconds: 1))
      clock.advance(seconds: 1)
    }
    // Nothing happens while somebody is before the device.
    #expect(bench.settings.log.level == .info && bench.sent.isEmpty)
    bench.state.withLock { $0.isIdle = true }
    let seconds = try await settle(bench, outbox, atMost: 30)
    #expect(seconds < 30)
    #expect(bench.state.withLock { $0.starts } == 2, "an interval takes a restart")
    #expect(bench.settings.log.level == .debug && bench.settings.health.intervalSeconds == 60)
    #expect(bench.sent.map(\.state) == [.trying])
    #expect(try await replies(outbox).map(\.state) == [.done])
    bench = try await start(bench, outbox)
    bench = try await start(bench, outbox)
    #expect(bench.settings.log.level == .debug)
    #expect(bench.state.withLock { $0.standings.last } == .init(version: 4, isTried: false, highest: 4))
    await outbox.close()
  }

  @Test func aKeyThatIsLiveTakesNoRestart() async throws {
    let outbox = try openOutbox()
    let bench = try await start(nil, outbox)
    try await service(bench).handle(message("[log]\nlevel = \"debug\"\n", version: 1))
    #expect(try await settle(bench, outbox, atMost: 30) < 30)
    #expect(bench.state.withLock { $0.starts } == 1 && bench.settings.log.level == .debug)
    #expect(bench.state.withLock { $0.standings.map(\.isTried) } == [false, false, true, false])
    await outbox.close()
  }

  /// Power fails while it is tried, before the time is over.
  @Test func aSecondStartTakesItBackAtOnce() async throws {
    let outbox = try openOutbox()
    let bench = try await start(nil, outbox)
    let service = try service(bench)
    await service.handle(try message("[broker]\nport = 1884\n", version: 1, minutes: 60))
    #expect(await service.look() == .end)
    _ = try await start(bench, outbox)
    #expect(bench.settings.broker.port == 1884)
    _ = try await start(bench, outbox)
    #expect(bench.settings.broker.port == 1883)
    #expect(try await settle(bench, outbox, atMost: 5) == 0)
    let reply = try #require(try await replies(outbox).last)
    #expect(reply.state == .rolledBack && reply.reason == "the device started again before it was confirmed")
    await outbox.close()
  }

  /// Somebody at the device forbids configurations while one is tried: nobody could confirm it any more.
  @Test func whatCannotBeConfirmedIsTakenBackAtTheStart() async throws {
    let outbox = try openOutbox()
    let bench = try await start(nil, outbox)
    try await service(bench).handle(message("[broker]\nport = 1884\n", version: 1, minutes: 60))
    #expect(try await service(bench).look() == .end)
    _ = try await start(bench, outbox, isListening: false)
    #expect(bench.settings.broker.port == 1883)
    #expect(try folder.read()?.attempt?.phase == .ended(.rolledBack))
    await outbox.close()
  }

  /// The same message again and again, at every stage, and one that is older.
  @Test func whatComesAgainIsAnsweredAgainAndDoneOnce() async throws {
    let outbox = try openOutbox()
    let bench = try await start(nil, outbox)
    let service = try service(bench)
    let first = try message("[log]\nlevel = \"debug\"\n", version: 5)
    let older = try message("[log]\nlevel = \"error\"\n", version: 4)
    for _ in 0..<3 { await service.handle(first) }
    _ = await service.look()
    for _ in 0..<3 { await service.handle(first) }
    _ = try await settle(bench, outbox, atMost: 30)
    for _ in 0..<3 { await service.handle(first) }
    await service.handle(older)
    #expect(bench.settings.log.level == .debug)
    let replies = try await replies(outbox)
    #expect(replies.map(\.state) == [.done, .done, .done, .done, .refused])
    #expect(Set(replies.dropLast().map(\.at)).count == 1)
    await outbox.close()
  }

  @Test func everyFaultIsInTheReplyAndNothingIsKept() async throws {
    try write("[remote]\npinned = [\"health.interval_seconds\"]")
    let outbox = try openOutbox()
    let bench = try await start(nil, outbox)
    try await service(bench).handle(
      try message("[broker]\nport = 0\n[health]\ninterval_seconds = 60\n[device]\nid = \"x\"\n", version: 1))
    let reply = try #require(try await replies(outbox).last)
    #expect(reply.state == .refused && reply.reason == "3 faults in it" && reply.version == 1)
    #expect(
      (reply.details ?? []).map { $0.prefix { $0 != " " } } == [
        "configuration:2:8:", "configuration:4:1:", "configuration:6:1:",
      ])
    #expect(try folder.read()?.highestVersion == 0)
    // The mended one may have the same version.
    try await service(bench).handle(message("[log]\nlevel = \"debug\"\n", version: 1))
    _ = try await settle(bench, outbox, atMost: 30)
    #expect(bench.settings.log.level == .debug)
    await outbox.close()
  }

  @Test func aNewerOneTakesThePlaceOfOneThatWaitsAndBothAreAnswered() async throws {
    let outbox = try openOutbox()
    let bench = try await start(nil, outbox)
    let service = try service(bench)
    bench.state.withLock { $0.isIdle = false }
    await service.handle(try message("[log]\nlevel = \"debug\"\n", version: 1))
    await service.handle(try message("[log]\nlevel = \"error\"\n", version: 2))
    bench.state.withLock { $0.isIdle = true }
    _ = try await settle(bench, outbox, atMost: 30)
    let replies = try await replies(outbox)
    #expect(replies.map { "\($0.version ?? 0) \($0.state.rawValue)" } == ["1 refused", "2 done"])
    #expect(bench.settings.log.level == .error)
    await outbox.close()
  }

  /// Brought on a stick: the same checks, no trial, and the way back.
  @Test func aStickIsInForceOnTheSpotAndCanBeTakenBack() async throws {
    let pem = scratch.file("configurers.pem")
    try sender.publicKey.write(toFile: pem, atomically: true, encoding: .utf8)
    try write("[remote]\nconfiguration_keys_file = \"\(pem)\"")
    func stick() -> ConfigurationImport {
      ConfigurationImport(files, settings: files.read().settings, time: clock, logger: logger)
    }
    #expect(try stick().install(try message("[log]\nlevel = \"debug\"\n", version: 3).payload).version == 3)
    #expect(files.read().settings.log.level == .debug)
    let stranger = try CommandSender()
    let json = stranger.configuration(
      "[log]\nlevel = \"error\"\n", version: 9,
      id: try #require(RandomIdentifier("0d9f9a1e-1111-4a4a-8b8b-000000000001")))
    for bytes in [
      try message("[log]\nlevel = \"error\"\n", version: 3).payload,
      try message("[log]\nlevel = \"error\"\n", version: ConfigurationStatement.versions.upperBound).payload,
      try message("[log]\nlevel = 5\n", version: 4).payload,
      try stranger.envelope(json, type: ConfigurationStatement.payloadType),
      try message("[log]\nlevel = \"error\"\n", version: 5, challenge: "abc").payload, Array("rubbish".utf8),
    ] { #expect(throws: ControlRefusal.self) { try stick().install(bytes) } }
    #expect(files.read().settings.log.level == .debug)
    #expect(try stick().install(try message("[log]\nlevel = \"warning\"\n", version: 6).payload).version == 6)
    #expect(try stick().rollBack() == "version 3 is in force again")
    #expect(files.read().settings.log.level == .debug)
    #expect(try stick().standing()?.version == 3)
    #expect(try stick().rollBack(isAll: true).hasPrefix("nothing from afar is in force"))
    #expect(files.read().settings.log.level == .info)
    #expect(try stick().rollBack() == "version 3 is in force again")
    // The far side hears of it over the line when there is one.
    let outbox = try openOutbox()
    let bench = try await start(nil, outbox)
    _ = try await settle(bench, outbox, atMost: 5)
    #expect(try await replies(outbox).map(\.state) == [.done])
    try write("[remote]\nconfiguration = false\nconfiguration_keys_file = \"\(pem)\"")
    #expect(throws: ControlRefusal.self) {
      try stick().install(try message("[log]\nlevel = \"error\"\n", version: 7).payload)
    }
    await outbox.close()
  }
}
