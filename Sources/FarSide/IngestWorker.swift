import CaptureDatabase
import CloudLink
import Forwarding
import LocalFiles
import Provenance
import Receiving
import Storage
import Synchronization
import Threads

/// What a worker is told.
package struct WorkerConfiguration: Sendable {
  package var brokers: [LinkSettings]
  package var database: DatabaseTarget
  package var masters: KeyRing
  /// In receipts, `[A-Za-z0-9._-]{1,64}`.
  package var name: String
  package var limits = DatabaseStore.Limits()
  /// A connection on which nothing came for so long is renewed.
  package var renewSeconds = 300
  package var keepViewsDays: Int?
  /// So many messages wait for the database before no more is read.
  package var inboxMessages = Inbox.Limits().messages
  /// A worker that stores nothing for so long while its inbox is full leaves the brokers. Shorter than a connection lives that
  /// is not read (one and a half times the keep-alive of 20 s), longer than a database takes to fail over.
  package var leaveSeconds = 20
  /// Of 127.0.0.1; 0 for any; nil for none.
  package var metricsPort: UInt16?
  package var receipts = ReceiptQueue()

  package init(brokers: [LinkSettings], database: DatabaseTarget, masters: KeyRing, name: String) {
    self.brokers = brokers
    self.database = database
    self.masters = masters
    self.name = name
  }
}

/// A stateless worker: takes what devices send from the brokers, stores it, and answers with receipts. Many may run beside
/// each other; each may be killed at any moment.
///
/// One thread owns the database's connection and stores what came meanwhile as one batch. While the database is gone a
/// batch is tried again with pauses, and no receipt goes out. When the inbox is full nothing more is read, and the brokers
/// keep what comes; only a worker that stores nothing for `leaveSeconds` leaves them, because what a broker keeps for
/// it is lost by that, and its devices send it again only after their wait for a receipt. What the inbox held when a worker
/// dies comes again, because no device has a receipt for it.
package final class IngestWorker: Sendable {
  package enum Progress: Sendable {
    case ready(broker: String)
    case completed(Receiver.CompletedCapture)
    case note(String)
    case metrics(port: UInt16)
  }

  static let batchMessages = 512
  static let batchBytes = 8 << 20
  /// From SIGTERM until what waits is stored and its receipts are with the brokers.
  private static let drainMilliseconds: Int64 = 8000

  private let configuration: WorkerConfiguration
  private let time: any TimeSource
  private let report: @Sendable (Progress) -> Void
  private let inbox: Inbox
  private let lines: [BrokerLine]
  private let metrics = WorkerMetrics()
  /// The brokers were left until there is room again.
  private let isAway = Switch()
  /// Monotonic milliseconds at which the database's thread last moved.
  private let lastMove: Moment

  /// A value that several threads see.
  final class Switch: Sendable {
    private let value = Atomic<Bool>(false)
    /// Returns what it was.
    func set(_ new: Bool) -> Bool { value.exchange(new, ordering: .acquiringAndReleasing) }
  }

  final class Moment: Sendable {
    private let value = Atomic<Int64>(monotonicMilliseconds())
    private let isResting = Atomic<Bool>(false)

    /// The thread works.
    func touch() {
      value.store(monotonicMilliseconds(), ordering: .relaxed)
      isResting.store(false, ordering: .releasing)
    }

    /// The thread found its inbox empty: it is alive, and idle until it takes something.
    func rest() {
      value.store(monotonicMilliseconds(), ordering: .relaxed)
      isResting.store(true, ordering: .releasing)
    }

    var age: Int64 { monotonicMilliseconds() - value.load(ordering: .relaxed) }
    var isIdle: Bool { isResting.load(ordering: .acquiring) }
  }

  package init(
    _ configuration: WorkerConfiguration, time: any TimeSource, report: @escaping @Sendable (Progress) -> Void
  ) throws {
    self.configuration = configuration
    self.time = time
    self.report = report
    // A name or a key that will not do is told now, not by a thread that ends.
    _ = try Receiver(
      store: try DatabaseStore(configuration.database, masters: configuration.masters, digests: OpenSSLDigests()),
      name: configuration.name, digests: OpenSSLDigests(), time: time)
    let inbox = try Inbox(Inbox.Limits(messages: configuration.inboxMessages))
    self.inbox = inbox
    let metrics = metrics
    lastMove = Moment()
    lines = try configuration.brokers.enumerated().map { number, settings in
      try BrokerLine(
        settings, receipts: configuration.receipts, renewSeconds: configuration.renewSeconds, time: time,
        hasRoom: { inbox.hasRoom }
      ) { event in
        Self.hear(event, number, settings, inbox, metrics, report)
      }
    }
  }

  private static func hear(
    _ event: BrokerLine.Event, _ number: Int, _ settings: LinkSettings, _ inbox: Inbox, _ metrics: WorkerMetrics,
    _ report: @Sendable (Progress) -> Void
  ) {
    let place = "\(settings.host):\(settings.port)"
    switch event {
    case .message(let message):
      inbox.add(message, from: number)
    case .ready: report(.ready(broker: place))
    case .down(let failure, let milliseconds):
      metrics.counts.withLock { $0.brokerLosses += 1 }
      report(.note("\(place): no connection (\(failure)); next attempt in \(milliseconds) ms"))
    case .refused(let filter, let reason):
      metrics.counts.withLock { $0.refusedSubscriptions += 1 }
      report(
        .note("\(place): the broker refuses the subscription to \(filter) with reason 0x\(String(reason, radix: 16))"))
    case .receiptFault(let what): report(.note("\(place): a receipt cannot be made: \(what)"))
    }
  }

  /// Whether every part moved lately: for a watchdog.
  package var isAlive: Bool { lastMove.age < 30_000 }

  package var isReady: Bool { lines.contains { $0.isReady } }

  /// Runs until `stop` ends, then drains.
  package func run(until stop: @escaping @Sendable () async -> Void) async throws {
    let listener = try configuration.metricsPort.map { port in
      try MetricsListener(port: port) { [metrics, inbox, lines] in
        metrics.text(filling: inbox.filling, brokers: lines.map(\.isReady))
      }
    }
    if let listener { report(.metrics(port: listener.port)) }
    let database = try NamedThread("database") { [self] in storeUntilClosed() }
    for line in lines { line.start() }
    let watch = Task { [self] in
      while !Task.isCancelled {
        try? await Task.sleep(for: .seconds(1))
        for line in lines { line.tick() }
        leaveOrReturn()
      }
    }
    await stop()
    watch.cancel()
    await drain()
    inbox.close()
    await database.waitUntilEnded()
    for line in lines { await line.stop() }
    listener?.stop()
  }

  /// Another worker may have a database, where this one stores nothing.
  private func leaveOrReturn() {
    if inbox.fullMilliseconds >= Int64(configuration.leaveSeconds) * 1000 {
      if !isAway.set(true) {
        report(.note("nothing could be stored for \(configuration.leaveSeconds) s; leaving the brokers until it can"))
      }
      for line in lines { line.leave() }
    } else if inbox.isHalfEmpty, isAway.set(false) {
      for line in lines { line.start() }
    }
  }

  private func drain() async {
    for line in lines { line.beginDraining() }
    let end = monotonicMilliseconds() + Self.drainMilliseconds
    // What the brokers had sent before they heard of it.
    try? await Task.sleep(for: .milliseconds(300))
    while monotonicMilliseconds() < end {
      if inbox.filling.items == 0, lastMove.isIdle, lines.allSatisfy(\.hasSentAll) { return }
      try? await Task.sleep(for: .milliseconds(50))
    }
    report(.note("stopping with \(inbox.filling.items) messages that are not stored; their devices send them again"))
  }

  // MARK: On the database's thread

  private func storeUntilClosed() {
    do {
      let digests = OpenSSLDigests()
      let store = try DatabaseStore(
        configuration.database, masters: configuration.masters, digests: digests, limits: configuration.limits)
      let receiver = try Receiver(store: store, name: configuration.name, digests: digests, time: time)
      var keeper = Housekeeping(keepViewsDays: configuration.keepViewsDays)
      var notes = NoteMeter()
      while true {
        let items = inbox.take(Self.batchMessages, bytes: Self.batchBytes, waiting: 200) { lastMove.touch() }
        // Again and again: a line may have found no room just before some was made.
        if inbox.hasRoom { for line in lines { line.readOn() } }
        if items.isEmpty {
          lastMove.rest()
          if inbox.isClosed { return }
        } else if !storeWithPatience(items, receiver, store, &notes) {
          return
        }
        keeper.work(store, lines, metrics) { report(.note($0)) }
      }
    } catch {
      report(.note("\(error)"))
    }
  }

  /// False when the worker is to end before the batch could be stored.
  private func storeWithPatience(
    _ items: [Inbox.Item], _ receiver: Receiver, _ store: DatabaseStore, _ notes: inout NoteMeter
  ) -> Bool {
    var failures = 0
    while true {
      lastMove.touch()
      do throws(ReceiverError) {
        let begin = monotonicMilliseconds()
        let reactions = try receiver.take(items.map(\.message))
        metrics.counts.withLock { counts in
          counts.batches += 1
          counts.messages += items.count
          counts.batchMilliseconds += monotonicMilliseconds() - begin
          counts.isDatabaseUp = true
        }
        if failures > 0 { report(.note("the database is back after \(failures) attempts")) }
        answer(items, reactions, store, &notes)
        return true
      } catch {
        failures += 1
        metrics.counts.withLock { counts in
          counts.databaseFailures += 1
          counts.isDatabaseUp = false
        }
        if failures & (failures - 1) == 0 { report(.note("\(error); attempt \(failures), no receipt goes out")) }
        if inbox.isClosed { return false }
        // Full jitter (Brooker, 2015): workers that lost one primary do not come back at one instant.
        inbox.rest(Int.random(in: 0...min(5000, 200 << min(failures, 5))))
      }
    }
  }

  private func answer(
    _ items: [Inbox.Item], _ reactions: [Receiver.Reaction], _ store: DatabaseStore, _ notes: inout NoteMeter
  ) {
    var receipts: [Int: [AddressedReceipt]] = [:]
    var births: [Int: Set<TopicSchema>] = [:]
    var completed = 0
    var refusals = 0
    var rejected = 0
    for (item, reaction) in zip(items, reactions) {
      receipts[item.line, default: []] += reaction.receipts
      refusals += reaction.receipts.reduce(0) { $0 + $1.receipt.refused.count }
      if let capture = reaction.completed {
        completed += 1
        report(.completed(capture))
      }
      if !reaction.notes.isEmpty { rejected += 1 }
      let place = UplinkTopic(item.message.topic)?.schema
      for note in reaction.notes where notes.mayTell(of: place, at: item.since) { report(.note(note)) }
      if let place, item.message.topic == place.status, StatusMessage(reading: item.message.payload)?.state == .online {
        births[item.line, default: []].insert(place)
      }
    }
    let sent = receipts.values.reduce(0) { $0 + $1.count }
    metrics.counts.withLock { counts in
      counts.completed += completed
      counts.refusals += refusals
      counts.rejected += rejected
      counts.receipts += sent
    }
    for (number, list) in receipts where !list.isEmpty { send(list, from: number) }
    for (number, devices) in births { sendDownlinks(to: devices, number, store) }
  }

  /// Through the broker that the capture came by; when that is gone, the device is with another.
  private func send(_ receipts: [AddressedReceipt], from number: Int) {
    let line = lines[number]
    let others = lines.filter { $0 !== line && $0.isConnected }
    let ways = line.isConnected || others.isEmpty ? [line] : others
    for way in ways where !way.send(receipts) {
      report(.note("\(way.place): \(ReceiptQueue.maximumWaiting) receipts wait for the broker; devices will ask again"))
    }
  }

  private func sendDownlinks(to devices: Set<TopicSchema>, _ number: Int, _ store: DatabaseStore) {
    do throws(DatabaseError) {
      let downlinks = try store.openDownlinks(of: Array(devices))
      if !downlinks.isEmpty { lines[number].send(downlinks) }
    } catch {
      report(.note("\(error); what waits for a device that just connected is published at its next birth"))
    }
  }
}
