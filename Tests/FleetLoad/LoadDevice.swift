import CloudLink
import Device
import DriverSupport
import Forwarding
import Glibc
import Logging
import Provenance
import Storage
import Synchronization

/// One device: its outbox with sealed captures, and its delivery.
final class LoadDevice: Sendable {
  let name: String
  private let outbox: Outbox
  private let service: DeliveryService
  private let task = Mutex<Task<Void, any Error>?>(nil)

  init(
    _ number: Int, folder: String, target: BrokerAddress, key: SealingKey, options: Options, captures: Int,
    account: Account, time: some TimeSource
  ) async throws {
    name = "\(options.values["prefix"] ?? "load")-\(number)"
    let path = "\(folder)/\(name)"
    mkdir(path, 0o700)
    outbox = try Outbox(
      OutboxConfiguration(
        path: path + "/outbox.sqlite", keys: KeyRing(current: key),
        quota: OutboxQuota(freeSpaceFloorBytes: 0, ballastBytes: 4096)), time: time)
    let topics = TopicSchema(site: try TopicIdentifier("load"), device: try TopicIdentifier(name))
    let sizes = [
      ("master.png", 1638), ("standard-error.png", 1015), ("mask.png", 92),
      ("view.png", options.number("view", 43_539)),
    ]
    for _ in 0..<captures {
      let (capture, sha256) = Self.capture(topics, sizes, time)
      _ = try await outbox.enqueue(capture)
      account.stored(capture.captureID, sha256: sha256.value)
    }
    var link = LinkSettings(
      host: target.host, port: target.port, security: .plaintext(beyondLoopback: false), clientIdentifier: name)
    link.keepAliveSeconds = UInt16(options.number("keepalive", 60))
    link.connectTimeoutMilliseconds = 10_000
    service = try DeliveryService(
      outbox: outbox, topics: topics,
      configuration: DeliveryConfiguration(
        window: 20, messagesPerSecond: 100_000, receiptTimeoutSeconds: options.number("receipt", 20),
        settlementDelayMilliseconds: 100,
        backoff: ReconnectBackoff.Configuration(
          minimumMilliseconds: 200, maximumMilliseconds: 8000, lossSpreadMilliseconds: options.number("loss", 3000),
          steadySeconds: 1, refusedFloorMilliseconds: 500)),
      link: link,
      identity: DeliveryService.Identity(
        firmware: "load", models: [], configurationSHA256: "", certificatePath: nil, plaintextAllowed: true),
      time: time, generator: SystemRandomNumberGenerator(),
      logger: Logger(label: "load") { _ in SwiftLogNoOpLogHandler() }, published: { account.sent($0) })
  }

  func start(afterMilliseconds milliseconds: Int) {
    let service = service
    let started = Task {
      try await Task.sleep(for: .milliseconds(milliseconds))
      try await service.run()
    }
    task.withLock { $0 = started }
  }

  /// How the line stands, for a person.
  func standing() async -> String {
    let figures = await service.figures()
    let last = figures.lastFailure.map { "\($0)" } ?? "none"
    return
      "\(figures.state), \(figures.inFlight) in flight, \(figures.counters.connections) connections, last failure: \(last)"
  }

  /// Records, and records with images, for which this device has no receipt.
  func waiting() async throws -> (records: Int, all: Int) {
    let accounts = try await outbox.accounts()
    let records = accounts.backlog(.capture).rows
    return (records, records + accounts.backlog(.image).rows)
  }

  /// What the record will be is known only when it has its number.
  final class Digest: Sendable {
    private let text = Mutex("")
    var value: String { text.withLock { $0 } }
    func set(_ new: String) { text.withLock { $0 = new } }
  }

  private static func capture(
    _ topics: TopicSchema, _ sizes: [(String, Int)], _ time: some TimeSource
  ) -> (NewCapture, Digest) {
    var generator = SystemRandomNumberGenerator()
    let id = RandomIdentifier(using: &generator)
    let session = RandomIdentifier(using: &generator)
    let images = sizes.map { name, count in
      var bytes = [UInt8](repeating: 0, count: count)
      for index in stride(from: 0, to: count - 8, by: 8) {
        withUnsafeBytes(of: generator.next()) { bytes.replaceSubrange(index..<(index + 8), with: $0) }
      }
      return CaptureImage(name: name, contentType: "image/png", bytes: bytes)
    }
    let list = imageList(images.map { ($0.name, $0.bytes) })
    let digest = Digest()
    let now = time.now()
    let pad = String(repeating: "x", count: 4300)
    let capture = NewCapture(captureID: id, created: now, images: images) { number in
      let record = Array(
        (#"{"schema":"thermograph.capture.v2","capture_id":"\#(id)","outbox_id":"\#(number.outboxID)","#
          + #""sequence":\#(number.sequence),"site":"\#(topics.site)","device":"\#(topics.device)","#
          + #""session_id":"\#(session)","patient_ref":"p\#(number.sequence)","view":"frontal","#
          + #""captured_at":{"utc_nanoseconds":\#(now.utcNanoseconds)},"pad":"\#(pad)","images":[\#(list)]}"#).utf8)
      digest.set(Hexadecimal.text(of: OpenSSLDigests().sha256(record)))
      return record
    }
    return (capture, digest)
  }
}
