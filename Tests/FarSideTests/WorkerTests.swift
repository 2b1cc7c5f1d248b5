import CaptureDatabase
import CloudLink
import FarSide
import Forwarding
import Foundation
import LinuxIO
import Provenance
import Receiving
import Storage
import Synchronization
import TestSupport
import Testing

/// A5 and the worker's own conduct, in this process.
@Suite(
  .enabled(
    if: FileManager.default.isExecutableFile(atPath: "/usr/lib/postgresql/15/bin/postgres"), "needs postgresql-15"),
  .serialized)
struct WorkerTests {
  /// A capture of one small image, as two messages.
  private static func capture(_ sequence: Int64) throws -> (
    id: RandomIdentifier, messages: [(topic: String, payload: [UInt8])]
  ) {
    var generator = SystemRandomNumberGenerator()
    let id = RandomIdentifier(using: &generator)
    let outboxID = RandomIdentifier(using: &generator)
    let image: [UInt8] = [1, 2, 3]
    let digest = Hexadecimal.text(of: OpenSSLDigests().sha256(image))
    let record =
      #"{"schema":"thermograph.capture.v2","capture_id":"\#(id)","outbox_id":"\#(outboxID)","sequence":\#(sequence),"#
      + #""site":"clinic","device":"unit-1","images":[{"name":"master.png","bytes":3,"sha256":"\#(digest)"}]}"#
    return (
      id,
      [
        ("tg/v1/clinic/unit-1/up/capture", Array(record.utf8)),
        ("tg/v1/clinic/unit-1/up/image/\(id)_master_png", image),
      ]
    )
  }

  /// A worker over a fresh database, until the end of `body`.
  private func withWorker(
    _ ports: [UInt16], renewSeconds: Int = 300, server: PostgresServer? = nil, metrics: Bool = false,
    inboxMessages: Int? = nil, leaveSeconds: Int? = nil, _ body: (TestDatabase, WorkerProgress) async throws -> Void
  ) async throws {
    let database = try (server ?? PostgresServer.start()).makeDatabase()
    var target = try DatabaseTarget(database.connection)
    target.statementSeconds = 3
    _ = try DatabaseSchema.migrate(target)
    let key = try #require(
      SealingKey(bytes: (0..<32).map { _ in UInt8.random(in: 0...255) }, digests: OpenSSLDigests()))
    let lines = ports.map { port in
      var settings = LinkSettings(
        host: "127.0.0.1", port: port, security: .plaintext(beyondLoopback: false), clientIdentifier: "worker")
      settings.subscriptions = ["$share/ingest/tg/v1/+/+/up/#"]
      return settings
    }
    var configuration = WorkerConfiguration(
      brokers: lines, database: target, masters: KeyRing(current: key), name: "worker")
    configuration.renewSeconds = renewSeconds
    configuration.metricsPort = metrics ? 0 : nil
    if let inboxMessages { configuration.inboxMessages = inboxMessages }
    if let leaveSeconds { configuration.leaveSeconds = leaveSeconds }
    let progress = WorkerProgress()
    let worker = try IngestWorker(configuration, time: try SystemClock()) { progress.add($0) }
    let (stop, stopper) = AsyncStream<Void>.makeStream()
    let task = Task {
      try await worker.run { for await _ in stop { break } }
    }
    do {
      try await body(database, progress)
    } catch {
      stopper.finish()
      try await task.value
      throw error
    }
    stopper.finish()
    try await task.value
  }

  /// A5: a cluster that fails over refuses for a while.
  @Test func aRefusedSubscriptionIsAskedForAgain() async throws {
    let capture = try Self.capture(1)
    let broker = try StubbornBroker([
      .refuses(0x80), .refuses(0x87), .refuses(0x97), .delivers(capture.messages),
    ])
    defer { broker.stop() }
    try await withWorker([broker.port]) { _, progress in
      do {
        try await eventually("the receipt is published", withinSeconds: 60) { !broker.publishedByClient.isEmpty }
      } catch {
        throw TestFault(
          description:
            "\(error); \(broker.connectionCount) connections, it said:\n\(progress.notes.joined(separator: "\n"))")
      }
      let receipt = try #require(broker.publishedByClient.first)
      #expect(receipt.topic == "tg/v1/clinic/unit-1/dn/receipt")
      #expect(try Receipt(decoding: receipt.payload).entries.map(\.captureID).contains(capture.id))
      #expect(broker.connectionCount == 4)
      #expect(progress.notes.count { $0.contains("refuses the subscription") } == 3)
    }
  }

  /// A5: a subscription that is granted and forgotten.
  @Test func aSilentConnectionIsRenewed() async throws {
    let capture = try Self.capture(1)
    let broker = try StubbornBroker([.forgets, .delivers(capture.messages)])
    defer { broker.stop() }
    try await withWorker([broker.port], renewSeconds: 1) { _, _ in
      try await eventually("the receipt is published on the second connection") { !broker.publishedByClient.isEmpty }
      #expect(broker.connectionCount >= 2)
    }
  }

  /// While the database is gone no receipt goes out; when it is back, one does, without another delivery.
  @Test func withoutTheDatabaseThereIsNoReceipt() async throws {
    let server = try PostgresServer()
    let capture = try Self.capture(1)
    let broker = try MosquittoBroker()
    try await broker.start()
    try await withWorker([broker.port], server: server) { database, progress in
      let device = try Device(broker.port)
      try await eventually("both are there") { device.isReady && progress.isReady }
      try server.kill()
      device.publish(capture.messages)
      try await eventually("the worker complains") { progress.notes.contains { $0.contains("no receipt goes out") } }
      #expect(device.receipts.isEmpty)
      try server.boot()
      try await eventually("the receipt comes") { !device.receipts.isEmpty }
      #expect(try database.number("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") == 1)
      await device.stop()
    }
  }

  /// What a broker holds for a worker is lost when that leaves, and its devices would send it again only after their wait for
  /// a receipt. So a worker that is behind stays, and reads on when there is room.
  @Test func aWorkerThatIsBehindLosesNothingOfWhatWaitsAtTheBroker() async throws {
    let server = try PostgresServer()
    let captures = try (1...100).map { try Self.capture(Int64($0)) }
    let broker = try MosquittoBroker()
    try await broker.start()
    try await withWorker([broker.port], server: server, inboxMessages: 8) { database, progress in
      let device = try Device(broker.port)
      try await eventually("both are there") { device.isReady && progress.isReady }
      try server.kill()
      for capture in captures { device.publish(capture.messages) }
      try await eventually("the worker complains") { progress.notes.contains { $0.contains("no receipt goes out") } }
      try server.boot()
      // Nothing is sent a second time here.
      try await eventually("every receipt comes", withinSeconds: 60) {
        Set(device.receipts.flatMap { $0.entries.map(\.captureID) }) == Set(captures.map(\.id))
      }
      #expect(try database.number("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") == 100)
      // In its own words: libpq has "no connection to the server".
      #expect(!progress.notes.contains { $0.contains("no connection (") }, "\(progress.notes)")
      await device.stop()
    }
  }

  /// Another worker may have a database: what cannot be stored for long is no longer taken.
  @Test func aWorkerWithoutADatabaseLeavesAndComesBack() async throws {
    let server = try PostgresServer()
    let captures = try (1...100).map { try Self.capture(Int64($0)) }
    let broker = try MosquittoBroker()
    try await broker.start()
    try await withWorker([broker.port], server: server, inboxMessages: 8, leaveSeconds: 1) { database, progress in
      let device = try Device(broker.port)
      try await eventually("both are there") { device.isReady && progress.isReady }
      try server.kill()
      for capture in captures.dropLast() { device.publish(capture.messages) }
      try await eventually("the worker leaves") { progress.notes.contains { $0.contains("leaving the brokers") } }
      try await eventually("nobody listens") { device.lastReason == 0x10 || device.probe() }
      try server.boot()
      try await eventually("it listens again", withinSeconds: 60) { progress.readyCount == 2 }
      let last = try #require(captures.last)
      device.publish(last.messages)
      try await eventually("what comes now has its receipt") {
        device.receipts.contains { $0.entries.contains { $0.captureID == last.id } }
      }
      // What that costs: the broker forgot what it held, and this device does not send again.
      #expect(try database.number("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") < 50)
      await device.stop()
    }
  }

  /// What is stored when the worker ends is also answered; what the broker still held comes again from its device.
  @Test func drainsBeforeItEnds() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let device = try Device(broker.port)
    let captures = try (1...40).map { try Self.capture(Int64($0)) }
    var database: TestDatabase?
    try await withWorker([broker.port]) { its, progress in
      database = its
      try await eventually("both are there") { device.isReady && progress.isReady }
      for capture in captures { device.publish(capture.messages) }
      try await eventually("some are stored") { progress.completed > 0 }
    }
    let rows = try #require(database).query("SELECT capture_id FROM capture WHERE complete_at IS NOT NULL")
    let stored = Set(rows.compactMap { RandomIdentifier($0[0]) })
    #expect(!stored.isEmpty)
    try await eventually("what is stored has its receipt") {
      Set(device.receipts.flatMap { $0.entries.map(\.captureID) }) == stored
    }
    await device.stop()
  }

  /// An envelope that somebody laid into the table reaches the device unretained, again at each birth until it is
  /// answered.
  @Test func downlinksReachTheDeviceUntilItAnswers() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    try await withWorker([broker.port]) { database, progress in
      let device = try Device(broker.port)
      try await eventually("both are there") { device.isReady && progress.isReady }
      _ = try database.query(
        """
        INSERT INTO downlink (id, site, device, topic, envelope, not_after)
        VALUES ('c-1', 'clinic', 'unit-1', 'command', 'sealed', now() + interval '1 day')
        """)
      try await eventually("it comes") { device.commands.count == 1 }
      try await eventually("its state is told") {
        try database.query("SELECT state, publishes FROM downlink") == [["published", "1"]]
      }
      device.publish([(device.topics.status, try device.birth())])
      try await eventually("it comes again") { device.commands.count == 2 }
      #expect(device.commands.allSatisfy { !$0.retain && $0.payload == Array("sealed".utf8) })
      device.publish([(device.topics.up("reply"), Array(#"{"id":"c-1"}"#.utf8))])
      try await eventually("it is answered") { try database.query("SELECT state FROM downlink") == [["answered"]] }
      device.publish([(device.topics.status, try device.birth())])
      device.publish([(device.topics.up("alert"), Array(#"{"code":"last"}"#.utf8))])
      try await eventually("the birth was seen") {
        try database.number("SELECT count(*) FROM message WHERE code = 'last'") == 1
      }
      #expect(device.commands.count == 2)
      await device.stop()
    }
  }

  @Test func metricsOnLoopback() async throws {
    let broker = try MosquittoBroker()
    try await broker.start()
    let capture = try Self.capture(1)
    try await withWorker([broker.port], metrics: true) { _, progress in
      let device = try Device(broker.port)
      try await eventually("both are there") { device.isReady && progress.isReady && progress.metricsPort != nil }
      device.publish(capture.messages)
      try await eventually("it is stored") { progress.completed == 1 }
      let port = try #require(progress.metricsPort)
      let text = try Self.get("http://127.0.0.1:\(port)/metrics")
      for line in [
        "thermograph_receiver_captures_total 1", "thermograph_receiver_database_up 1",
        "thermograph_receiver_broker_connected{broker=\"0\"} 1", "thermograph_receiver_inbox_messages 0",
      ] { #expect(text.contains(line + "\n"), "\(line) is not in\n\(text)") }
      await device.stop()
    }
  }

  private static func get(_ address: String) throws -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/python3")
    process.arguments = [
      "-c", "import urllib.request,sys; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), end='')",
      address,
    ]
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
  }
}

/// What a worker said.
final class WorkerProgress: Sendable {
  private let said = Mutex<[IngestWorker.Progress]>([])
  func add(_ progress: IngestWorker.Progress) { said.withLock { $0.append(progress) } }
  private var all: [IngestWorker.Progress] { said.withLock { $0 } }

  var notes: [String] { all.compactMap { if case .note(let text) = $0 { text } else { nil } } }
  var completed: Int { all.count { if case .completed = $0 { true } else { false } } }
  var isReady: Bool { readyCount > 0 }
  var readyCount: Int { all.count { if case .ready = $0 { true } else { false } } }
  var metricsPort: UInt16? { all.compactMap { if case .metrics(let port) = $0 { port } else { nil } }.first }
}

/// The line of a device, driven by a test.
final class Device: Sendable {
  let topics: TopicSchema
  private let client: MQTTClient
  private let received: Received
  private let nextToken = Mutex<UInt64>(1)

  private final class Received: Sendable {
    let messages = Mutex<[IncomingMessage]>([])
    let subscriptions = Mutex(0)
    let lastReason = Mutex<UInt8?>(nil)
  }

  init(_ port: UInt16) throws {
    topics = TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier("unit-1"))
    var settings = LinkSettings(
      host: "127.0.0.1", port: port, security: .plaintext(beyondLoopback: false), clientIdentifier: "unit-1")
    settings.subscriptions = [topics.receipts, topics.commands]
    settings.inFlightMaximum = 1000
    let received = Received()
    self.received = received
    client = try MQTTClient(time: try SystemClock()) { event in
      switch event {
      case .received(let message): received.messages.withLock { $0.append(message) }
      case .published(_, .acknowledged(let reason)): received.lastReason.withLock { $0 = reason }
      case .subscribed: received.subscriptions.withLock { $0 += 1 }
      default: break
      }
    }
    client.connect(settings)
  }

  var isReady: Bool { received.subscriptions.withLock { $0 == 2 } }

  /// What the broker said of the newest message.
  var lastReason: UInt8? { received.lastReason.withLock { $0 } }

  /// Sends something to whoever listens; false.
  func probe() -> Bool {
    publish([(topics.up("event"), Array("{}".utf8))])
    return false
  }

  func publish(_ messages: [(topic: String, payload: [UInt8])]) {
    for message in messages {
      let token = nextToken.withLock { token in
        defer { token += 1 }
        return PublishToken(rawValue: token)
      }
      client.publish(OutgoingMessage(topic: message.topic, payload: message.payload), token: token)
    }
  }

  var receipts: [Receipt] {
    received.messages.withLock { $0 }.filter { $0.topic == topics.receipts }.compactMap {
      try? Receipt(decoding: $0.payload)
    }
  }
  var commands: [IncomingMessage] { received.messages.withLock { $0 }.filter { $0.topic == topics.commands } }

  func birth() throws -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return try StatusMessage(
      state: .online, site: "clinic", device: "unit-1", connectCounter: 1, firmware: "1", models: [],
      configurationSHA256: "", outboxID: RandomIdentifier(using: &generator), accounts: nil, line: nil, at: nil
    ).encoded()
  }

  func stop() async { await client.stop() }
}
