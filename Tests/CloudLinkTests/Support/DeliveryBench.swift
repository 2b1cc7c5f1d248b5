import CloudLink
import Forwarding
import Foundation
import LinuxIO
import Logging
import Provenance
import Receiving
import Storage
import Synchronization
import TestSupport

@testable import Device

/// A device's outbox and delivery, as the daemon runs them, with captures made up by the test.
final class DeviceBench: Sendable {
  let folder: ScratchFolder
  let outbox: Outbox
  let topics: TopicSchema
  private let time: any TimeSource
  private let task = Mutex<Task<Void, any Error>?>(nil)
  private let service = Mutex<DeliveryService?>(nil)

  /// - Parameters:
  ///   - name: of the device, its client identifier too.
  ///   - time: its clock; the machine's own when nil.
  ///   - folder: of an earlier device whose outbox it takes over, which must be closed; a new one when nil.
  ///   - keys: of the outbox; a new one when nil.
  ///   - change: what else the outbox is opened with.
  init(
    _ name: String = "unit-1", time clock: (any TimeSource)? = nil, folder: ScratchFolder? = nil, keys: KeyRing? = nil,
    change: (inout OutboxConfiguration) -> Void = { _ in }
  ) throws {
    let folder = try folder ?? ScratchFolder()
    self.folder = folder
    time = try clock ?? SystemClock()
    topics = TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier(name))
    var configuration = OutboxConfiguration(
      path: folder.url.appending(path: "outbox.sqlite").path, keys: try keys ?? KeyRing(current: Self.makeKey()))
    change(&configuration)
    outbox = try Outbox(configuration, time: time)
  }

  /// A new key that only this test knows.
  static func makeKey() throws -> SealingKey {
    let bytes = (0..<SealingKey.byteCount).map { _ in UInt8.random(in: 0...255) }
    guard let key = SealingKey(bytes: bytes, digests: OpenSSLDigests()) else {
      throw TestFault(description: "no key")
    }
    return key
  }

  /// Starts delivery to `port` without TLS.
  func start(
    _ port: UInt16, version: ProtocolVersion = .mqtt5, confirm: ConfirmationMode = .receipt, window: Int = 20,
    receiptTimeoutSeconds: Int = FaultMatrix.receiptTimeoutSeconds
  ) throws {
    var link = LinkSettings.plain(port, topics.device.text)
    link.protocolVersion = version
    try start(link, confirm: confirm, window: window, receiptTimeoutSeconds: receiptTimeoutSeconds)
  }

  /// Pauses short enough for a test.
  static let shortPauses = ReconnectBackoff.Configuration(
    minimumMilliseconds: 20, maximumMilliseconds: 300, lossSpreadMilliseconds: 100, steadySeconds: 1,
    refusedFloorMilliseconds: 50)

  /// Starts delivery.
  func start(
    _ settings: LinkSettings, confirm: ConfirmationMode = .receipt, window: Int = 20,
    backoff: ReconnectBackoff.Configuration = shortPauses, clockFloorSeconds: Int64? = nil,
    receiptTimeoutSeconds: Int = FaultMatrix.receiptTimeoutSeconds
  ) throws {
    var link = settings
    link.inFlightMaximum = window + 2
    link.keepAliveSeconds = 5
    link.connectTimeoutMilliseconds = 3000
    let configuration = DeliveryConfiguration(
      confirm: confirm, window: window, messagesPerSecond: 100_000, acknowledgementTimeoutSeconds: 3,
      receiptTimeoutSeconds: receiptTimeoutSeconds, settlementDelayMilliseconds: 20,
      backoff: backoff)
    var logger = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .critical
    var floor: (@Sendable () -> Int64)?
    if let clockFloorSeconds { floor = { clockFloorSeconds } }
    let service = try DeliveryService(
      outbox: outbox, topics: topics, configuration: configuration, link: link,
      identity: DeliveryService.Identity(
        firmware: "test", models: [], configurationSHA256: "", certificatePath: nil,
        plaintextAllowed: false),
      time: time, generator: SystemRandomNumberGenerator(), logger: logger,
      clockFloorSeconds: floor)
    let started = Task { [outbox] in
      // As `OutboxService` does.
      let listener = Task {
        for await notice in outbox.notices {
          switch notice {
          case .recovered, .mended: service.outboxChanged()
          default: break
          }
        }
      }
      defer { listener.cancel() }
      try await service.run()
    }
    task.withLock { $0 = started }
    self.service.withLock { $0 = service }
  }

  /// How the line stands.
  func line() async throws -> LinkFigures? {
    await service.withLock { $0 }?.figures()
  }

  /// Stops delivery, as SIGTERM does.
  func stop() async throws {
    let running = task.withLock { task in
      defer { task = nil }
      return task
    }
    running?.cancel()
    try await running?.value
  }

  /// Stores one capture with images of these sizes and returns its id.
  @discardableResult
  func store(images sizes: [Int]) async throws -> RandomIdentifier {
    var generator = SystemRandomNumberGenerator()
    let id = RandomIdentifier(using: &generator)
    let images = sizes.enumerated().map { index, size in
      // Cheap to make and never the same twice; what is in them does not matter.
      let seed = generator.next()
      var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: seed), count: size)
      withUnsafeBytes(of: seed) { bytes.replaceSubrange(0..<8, with: $0) }
      return CaptureImage(name: "image\(index).png", contentType: "image/png", bytes: bytes)
    }
    let list = images.map { image in
      #"{"name":"\#(image.name)","bytes":\#(image.bytes.count),"#
        + #""sha256":"\#(Hexadecimal.text(of: OpenSSLDigests().sha256(image.bytes)))"}"#
    }.joined(separator: ",")
    let topics = topics
    _ = try await outbox.enqueue(
      NewCapture(captureID: id, created: time.now(), images: images) { number in
        Array(
          (#"{"schema":"thermograph.capture.v1","capture_id":"\#(id)","outbox_id":"\#(number.outboxID)","#
            + #""sequence":\#(number.sequence),"site":"\#(topics.site)","device":"\#(topics.device)","#
            + #""images":[\#(list)]}"#).utf8)
      })
    return id
  }

  /// Stores so many events at once.
  func storeEvents(_ count: Int, bytes: Int) async throws {
    let message = NewMessage.event([UInt8](repeating: 7, count: bytes), created: time.now())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<count { group.addTask { [outbox] in _ = try await outbox.enqueue(message) } }
      try await group.waitForAll()
    }
  }

  func backlog() async throws -> Int {
    let accounts = try await outbox.accounts()
    return DeliveryClass.allCases.reduce(0) { $0 + accounts.backlog($1).rows }
  }
}

/// The reference receiver on a connection of its own, which comes back after every loss.
final class ReceiverEnd: Sendable {
  private struct State: ~Copyable {
    var receiver: Receiver?
    var completed = 0
    var receipts = ReceiptQueue()
    /// It stores, but its receipts are lost on their way.
    var isMute = false
    /// Messages to be forgotten as if the receiver had been killed after the broker's PUBACK.
    var toForget = 0
    var isStopped = false
    var notes: [String] = []
  }

  private final class Holder: Sendable {
    let state = Mutex(State())
    let client = Mutex<MQTTClient?>(nil)
  }

  let root: URL
  private let holder = Holder()

  init(_ port: UInt16, forget: Int = 0) async throws {
    root = FileManager.default.temporaryDirectory.appending(path: "received-\(UUID().uuidString)")
    let path = root.path
    let time = try SystemClock()
    try holder.state.withLock { state in
      state.receiver = try Receiver(folder: path, name: "archive", digests: OpenSSLDigests(), time: time)
      state.toForget = forget
    }
    var settings = LinkSettings(
      host: "127.0.0.1", port: port, security: .plaintext(beyondLoopback: false), clientIdentifier: "archive")
    settings.subscriptions = ["tg/v1/+/+/up/#"]
    settings.sessionExpirySeconds = 3600
    settings.incomingPacketBytesMaximum = 4 << 20
    let holder = holder
    let isReady = ReadyFlag()
    let client = try MQTTClient(
      time: try SystemClock(),
      events: { [settings] event in
        if case .subscribed = event { isReady.set() }
        Self.hear(event, holder, settings)
      })
    holder.client.withLock { $0 = client }
    client.connect(settings)
    try await eventually("the receiver is subscribed") { isReady.isSet }
  }

  deinit {
    try? FileManager.default.removeItem(at: root)
  }

  /// From now on receipts are lost, or arrive again.
  func mute(_ isMute: Bool) { holder.state.withLock { $0.isMute = isMute } }

  var completed: Int { holder.state.withLock { $0.completed } }
  var notes: [String] { holder.state.withLock { $0.notes } }

  func stop() async {
    holder.state.withLock { $0.isStopped = true }
    await holder.client.withLock { $0 }?.stop()
  }

  private static func hear(_ event: LinkEvent, _ holder: Holder, _ settings: LinkSettings) {
    switch event {
    case .moving, .secured, .subscribed, .oversize: break
    case .connected(let limits):
      holder.state.withLock { $0.receipts.connectionBegan(maximumPacketBytes: limits.maximumPacketBytes) }
      publishReceipts(holder)
    case .published(let token, _):
      holder.state.withLock { $0.receipts.settled(token) }
      publishReceipts(holder)
    case .connectionFailed, .disconnected:
      holder.state.withLock { $0.receipts.connectionEnded() }
      guard !holder.state.withLock({ $0.isStopped }) else { return }
      Task {
        try await Task.sleep(for: .milliseconds(50))
        holder.client.withLock { $0 }?.connect(settings)
      }
    case .received(let message):
      holder.state.withLock { state in
        if state.toForget > 0 {
          state.toForget -= 1
          return
        }
        do {
          guard let reaction = try state.receiver?.take(message) else { return }
          if reaction.completed != nil { state.completed += 1 }
          state.notes += reaction.notes
          if !state.isMute { for receipt in reaction.receipts { state.receipts.add(receipt) } }
        } catch {
          state.notes.append("\(error)")
        }
      }
      publishReceipts(holder)
    }
  }

  private static func publishReceipts(_ holder: Holder) {
    do {
      let ready = try holder.state.withLock { try $0.receipts.takeReady() }
      holder.client.withLock { $0 }?.publish(ready)
    } catch {
      holder.state.withLock { $0.notes.append("\(error)") }
    }
  }

  /// What the receiver wrote down of records and images.
  struct Ledger {
    /// How often each `capture id/name` was stored.
    var stored: [String: Int] = [:]
    /// The records' sequence numbers in the order of their first arrival; empty under MQTT 3.1.1, which has no place
    /// for them.
    var recordOrder: [Int64] = []
    /// Arrivals that were known already by their key.
    var repeats = 0
    /// Files by their size in bytes, as they lie in the receiver's folder.
    var sizes: [Int: Int] = [:]
  }

  func ledger() throws -> Ledger {
    var ledger = Ledger()
    let text = try String(contentsOf: root.appending(path: "arrivals.jsonl"), encoding: .utf8)
    // The last line may be half written.
    let whole = text[..<(text.lastIndex(of: "\n") ?? text.startIndex)]
    for line in whole.split(separator: "\n") {
      guard let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
        let id = fields["capture_id"] as? String, let name = fields["name"] as? String
      else { continue }
      switch fields["outcome"] as? String {
      case "stored":
        ledger.stored["\(id)/\(name)", default: 0] += 1
        if name == OutboxItem.recordName, let number = fields["sequence"] as? Int64 {
          ledger.recordOrder.append(number)
        }
      case "duplicate": ledger.repeats += 1
      default: break
      }
    }
    return ledger
  }

  /// Adds the sizes, which takes a look at each file.
  func measuredLedger() throws -> Ledger {
    var ledger = try ledger()
    for device in try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "clinic").path) {
      for key in ledger.stored.keys {
        let path = root.appending(path: "clinic/\(device)/\(key)").path
        guard FileManager.default.fileExists(atPath: path),
          let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        else { continue }
        // Records differ by a few digits.
        ledger.sizes[key.hasSuffix(OutboxItem.recordName) ? 0 : size, default: 0] += 1
      }
    }
    return ledger
  }
}

private final class ReadyFlag: Sendable {
  private let value = Mutex(false)

  var isSet: Bool { value.withLock { $0 } }
  func set() { value.withLock { $0 = true } }
}
