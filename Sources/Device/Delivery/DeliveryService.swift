import Audit
import CloudLink
import Cryptography
import Forwarding
import Logging
import Provenance
import ServiceLifecycle
import Storage

/// Moves what waits in the outbox to the broker: it carries out what `DeliveryMachine` decides.
///
///     outbox, link, clock --DeliveryEvent--> DeliveryMachine --DeliveryAction--> outbox, link, clock
package actor DeliveryService: Service {
  /// The link reports at most a window's worth of outcomes at a time; the rest is little.
  private static let eventCapacity = 4096

  let outbox: Outbox
  let topics: TopicSchema
  let composer: MessageComposer
  let link: LinkSettings
  let time: any TimeSource
  let logger: Logger
  let client: MQTTClient
  private let commands: DownlinkIntake?
  private let configurations: DownlinkIntake?
  private let results: DownlinkIntake?
  private let trustIntake: TrustIntake?
  private let partIntake: PartIntake?
  /// Asked before each receipt: keys may change while the device runs. nil: the rules stay.
  private let receiptRules: (@Sendable () -> ReceiptReader.Rules)?
  /// Hears of heads of the audit log that a receiver has cosigned.
  private let cosigned: (@Sendable (AuditHead, _ receipt: [UInt8]) -> Void)?
  /// Where the line's doings are counted; nil where nobody counts.
  let counters: CounterBoard?
  private var stopwatch = PublishStopwatch()
  private let clockFloorSeconds: (@Sendable () -> Int64)?
  /// Told of each message that is handed to the line, for measurements.
  let published: (@Sendable (OutboxItem) -> Void)?
  private let events: EventQueue<DeliveryEvent>
  let send: @Sendable (DeliveryEvent) -> Void
  var machine: DeliveryMachine
  private var generator: any RandomNumberGenerator & Sendable
  var status: DeliveryStatus
  private(set) var downlinks: DownlinkReader
  private var alarm = Alarm()
  /// When the machine wants to be woken; monotonic nanoseconds.
  private var wakeNanoseconds: UInt64?
  /// What does not come from the outbox counts its tokens down from the top and never meets the machine's.
  private var nextOwnToken = UInt64.max
  /// The outcomes that are being written down: one commit at a time, beside which the line goes on.
  private var settling: Task<Void, Never>?
  /// The round trip that `doctor` waits for.
  var probe: LinkRoundTrip?
  /// What was published beside the outbox, and who hears whether the broker has it.
  private var beside: [PublishToken: @Sendable (Bool) -> Void] = [:]

  package init(
    outbox: Outbox, topics: TopicSchema, configuration: DeliveryConfiguration, link: LinkSettings,
    identity: Identity, time: any TimeSource, generator: any RandomNumberGenerator & Sendable, logger: Logger,
    receipts: ReceiptReader.Rules = .anybody, clockFloorSeconds: (@Sendable () -> Int64)? = nil,
    commands: DownlinkIntake? = nil, configurations: DownlinkIntake? = nil, results: DownlinkIntake? = nil,
    trustIntake: TrustIntake? = nil, partIntake: PartIntake? = nil,
    trustVersions: (@Sendable () -> [String: [String: Int64]]?)? = nil,
    receiptRules: (@Sendable () -> ReceiptReader.Rules)? = nil,
    cosigned: (@Sendable (AuditHead, _ receipt: [UInt8]) -> Void)? = nil, counters: CounterBoard? = nil,
    published: (@Sendable (OutboxItem) -> Void)? = nil
  ) throws {
    self.outbox = outbox
    self.topics = topics
    self.time = time
    self.generator = generator
    self.logger = logger
    self.clockFloorSeconds = clockFloorSeconds
    self.commands = commands
    self.configurations = configurations
    self.results = results
    self.trustIntake = trustIntake
    self.partIntake = partIntake
    self.receiptRules = receiptRules
    self.cosigned = cosigned
    self.counters = counters
    self.published = published
    status = DeliveryStatus(identity: identity, topics: topics, outboxID: outbox.outboxID, logger: logger)
    status.trust = trustVersions
    composer = MessageComposer(
      topics: topics, outboxID: outbox.outboxID, healthExpirySeconds: configuration.healthExpirySeconds)
    machine = DeliveryMachine(configuration, highestStored: outbox.highestStoredAtStart)
    var link = link
    link.takesRetained = false
    self.link = link
    downlinks = DownlinkReader(
      topics,
      receipts: ReceiptReader(receipts, topics: topics, outboxID: outbox.outboxID, verifier: OpenSSLVerifier()),
      takesCommands: commands != nil, takesConfigurations: configurations != nil, takesTrust: trustIntake != nil,
      takesModels: partIntake != nil, takesResults: results != nil)
    let events = EventQueue<DeliveryEvent>(capacity: Self.eventCapacity)
    self.events = events
    let send: @Sendable (DeliveryEvent) -> Void = { event in
      if !events.send(event) {
        logger.error("delivery is stuck; an event was dropped", metadata: ["waiting": "\(Self.eventCapacity)"])
      }
    }
    self.send = send
    client = try MQTTClient(time: time, events: { send(.link($0)) })
  }

  package nonisolated func run() async throws {
    let send = self.send
    let stored = Task { [outbox] in
      for await highest in outbox.stored { send(.stored(highestID: highest)) }
    }
    let windowed = await watchSyncWindow()
    defer {
      stored.cancel()
      windowed?.cancel()
    }
    await withTaskCancellationHandler {
      await withGracefulShutdownHandler {
        send(.start)
        for await _ in events.arrivals {
          if await self.handle(events.takeAll()) { break }
        }
      } onGracefulShutdown: {
        send(.stop)
      }
    } onCancel: {
      send(.stop)
    }
    await client.stop()
  }

  /// Looks at the sync window before the first attempt, and then as the day goes.
  private func watchSyncWindow() -> Task<Void, Never>? {
    guard let window = machine.configuration.syncWindow else { return nil }
    var clock = SyncWindowClock(window, time: time) { [logger, send] isOpen in
      logger.info("sync window", metadata: ["state": isOpen ? "open" : "closed"])
      send(.syncWindow(isOpen: isOpen))
    }
    clock.look()
    return Task { [clock] in
      var clock = clock
      await clock.run()
    }
  }

  // MARK: - Events

  /// Handles events that waited together; true when the last thing asked for was the end.
  private func handle(_ arrived: [DeliveryEvent]) async -> Bool {
    let upToStop = arrived.firstIndex(of: .stop).map { arrived[...$0] } ?? arrived[...]
    if arrived.contains(.tick) { alarm.cancel() }
    var pending = upToStop.compactMap(admit)
    // Answers to actions are events too; each is handled before the next event of the link.
    while !pending.isEmpty {
      let actions = machine.handle(pending, now: time.now().monotonicNanoseconds, using: &generator)
      pending = []
      for action in actions { await perform(action, answering: &pending) }
    }
    arm()
    let isEnd = upToStop.last == .stop
    if isEnd { await settling?.value }
    return isEnd
  }

  /// Takes from an event what the log, the status and a probe have of it, and turns a message into what it means.
  /// - Returns: what the machine is told; nil for nothing.
  private func admit(_ event: DeliveryEvent) -> DeliveryEvent? {
    guard case .link(let reported) = event else { return event }
    log(reported)
    count(reported)
    switch reported {
    case .secured(let name): status.protection = name
    case .published(let token, let outcome) where token == probe?.token:
      probe?.settled(outcome, at: time.now().monotonicNanoseconds)
    case .received(let message): return read(message)
    case .published(let token, let outcome): tellBeside(token, outcome)
    case .connectionFailed, .disconnected: tellAllBeside()
    // Without commands and configurations the device does all its work; it said so in the log.
    case .subscribed(let filter, let reason)
    where reason >= 0x80
      && ([topics.commands, topics.configurations, topics.results, topics.trust].contains(filter)
        || filter.hasPrefix(topics.models)):
      return nil
    default: break
    }
    return event
  }

  /// How long the broker takes, and how often the line is lost.
  private func count(_ reported: LinkEvent) {
    guard let counters else { return }
    switch reported {
    case .published(let token, let outcome):
      let milliseconds = stopwatch.stop(token, at: time.now().monotonicNanoseconds)
      if case .acknowledged = outcome, let milliseconds { counters.published(afterMilliseconds: milliseconds) }
    case .connectionFailed, .disconnected:
      stopwatch.forgetAll()
      counters.count(.reconnects)
    case .secured, .connected, .moving, .subscribed, .oversize, .received: break
    }
  }

  /// Hands messages over, and times them.
  func handOver(_ messages: [(message: OutgoingMessage, token: PublishToken)]) {
    if counters != nil {
      let now = time.now().monotonicNanoseconds
      for message in messages { stopwatch.start(message.token, at: now) }
    }
    client.publish(messages)
  }

  private func read(_ message: IncomingMessage) -> DeliveryEvent? {
    if let receiptRules { downlinks.judge(by: receiptRules()) }
    let meaning = downlinks.read(message)
    let isAwaited = if case .model(let part) = meaning { partIntake?.take(part) ?? false } else { false }
    counters?.arrived(message, meaning, downlinks.lastRefusal, isAwaited: isAwaited)
    switch meaning {
    case .receipt(var receipt):
      receipt.arrivedAt = time.now()
      probe?.heard(receipt, at: time.now().monotonicNanoseconds)
      guard receipt.concerns(outbox: outbox.outboxID) else { return nil }
      if let head = receipt.cosignature { cosigned?(head, message.payload) }
      return .receipt(receipt)
    case .command(let message):
      commands?.take(message)
      return nil
    case .configuration(let message):
      configurations?.take(message)
      return nil
    case .result(let message):
      results?.take(message)
      return nil
    case .trust(let message):
      trustIntake?.take(message)
      return nil
    // Taken above.
    case .model: return nil
    case .refused(let reason, let isReceipt):
      if let reason { logger.error("a message from the broker is refused", metadata: ["reason": "\(reason)"]) }
      return isReceipt ? .receiptRefused : nil
    }
  }

  // MARK: - Actions

  private func perform(_ action: DeliveryAction, answering pending: inout [DeliveryEvent]) async {
    switch action {
    case .connect: client.connect(linkWithWill())
    case .disconnect(let reason):
      logger.debug("disconnecting", metadata: ["reason": "\(reason)"])
      client.disconnect()
    case .announce(let state): await announce(state)
    case .load(let order):
      // Settled messages must not be read as waiting.
      await settling?.value
      pending += await ask("the outbox cannot be read") {
        .loaded(order, try await outbox.pending(order.deliveryClass, after: order.after, limit: order.limit))
      }
    case .publish(let orders): pending += await publish(orders)
    case .settle(let settlement): await settle(settlement)
    case .apply(let receipts, let settlement):
      await settling?.value
      pending += await ask("a receipt could not be used") {
        .applied(try await outbox.apply(receipts, after: settlement))
      }
    case .requeueUnreceipted(let seconds):
      await settling?.value
      pending += await ask("the outbox cannot be read") {
        .requeued(try await outbox.requeueUnreceipted(olderThanSeconds: seconds))
      }
    case .alert(let code, let severity, let detail):
      await store(AlertMessage(code: code, severity: severity, detail: detail, at: time.now()))
    case .report(let report): log(report)
    case .wake(let deadline): wakeNanoseconds = deadline
    }
  }

  /// The outbox's answer; none when it fails, which the log says.
  private func ask(_ failed: String, _ question: () async throws -> DeliveryEvent) async -> [DeliveryEvent] {
    do {
      return [try await question()]
    } catch {
      logger.error("\(failed)", metadata: ["reason": "\(error)"])
      return []
    }
  }

  /// Begins to write outcomes down, when the commit before has ended.
  private func settle(_ settlement: Settlement) async {
    await settling?.value
    settling = Task { [outbox, logger] in
      do {
        try await outbox.settle(settlement)
      } catch {
        // What is not written down is delivered again: the receiver knows its key.
        logger.error("outcomes could not be written down", metadata: ["reason": "\(error)"])
      }
    }
  }

  private func store(_ alert: AlertMessage) async {
    logger.error("alert", metadata: ["code": "\(alert.code)", "reason": "\(alert.detail)"])
    do {
      try await outbox.enqueue(.alert(alert.encoded(), created: time.now()))
    } catch {
      logger.error("an alert could not be stored", metadata: ["code": "\(alert.code)", "reason": "\(error)"])
    }
  }

  /// Publishes the birth message again while connected.
  ///
  /// - Parameters:
  ///   - challenge: of this start; nil leaves it as it is.
  ///   - configuration: what came from afar; nil leaves it as it is.
  func announceAgain(challenge: String?, configuration: StatusMessage.Configuration? = nil) async {
    if let challenge { status.challenge = challenge }
    if let configuration { status.remoteConfiguration = configuration }
    if machine.isConnected { await announce(.online) }
  }

  /// Other models decide; the birth says so from now on.
  func modelsChanged(_ models: [StatusMessage.Model]) async {
    status.identity.models = models
    await announceAgain(challenge: nil)
  }

  /// Images wait for so long.
  nonisolated func holdImages(seconds: Int) {
    send(.holdImages(seconds: seconds))
  }

  /// Publishes at once, beside what waits in the outbox. What it says must be told again where it matters.
  ///
  /// - Parameter settled: hears once whether the broker has it; false also without a connection, or when it breaks.
  func publishBeside(_ message: OutgoingMessage, settled: @escaping @Sendable (Bool) -> Void) {
    guard machine.isConnected else { return settled(false) }
    let token = takeOwnToken()
    beside[token] = settled
    client.publish(message, token: token)
  }

  private func tellBeside(_ token: PublishToken, _ outcome: PublishOutcome) {
    guard let settled = beside.removeValue(forKey: token) else { return }
    if case .acknowledged = outcome { settled(true) } else { settled(false) }
  }

  private func tellAllBeside() {
    for settled in beside.values { settled(false) }
    beside = [:]
  }

  private func announce(_ state: StatusMessage.State) async {
    do {
      let message = try status.message(
        state, connectCounter: machine.counters.connections, accounts: try await outbox.accounts(),
        oldestWithoutReceipt: try await outbox.oldestWithoutReceipt(), at: time.now())
      client.publish(message, token: takeOwnToken())
    } catch {
      logger.error("the status could not be published", metadata: ["reason": "\(error)"])
    }
  }

  /// The will carries the number of the connection that it belongs to: the next.
  private func linkWithWill() -> LinkSettings {
    var settings = link
    settings.subscriptions = machine.isListening ? downlinkTopics : []
    if let clockFloorSeconds { settings.clockFloorSeconds = clockFloorSeconds() }
    do {
      settings.will = try status.will(connectCounter: machine.counters.connections + 1)
    } catch {
      logger.error("connecting without a will", metadata: ["reason": "\(error)"])
    }
    return settings
  }

  private var downlinkTopics: [String] {
    topics.downlinks(
      takesCommands: commands != nil, takesConfigurations: configurations != nil, takesTrust: trustIntake != nil,
      takesModels: partIntake != nil, takesResults: results != nil)
  }

  func takeOwnToken() -> PublishToken {
    defer { nextOwnToken -= 1 }
    return PublishToken(rawValue: nextOwnToken)
  }

  /// Sets the alarm for what the machine wants. One that goes off too early is set again then: under load the wish
  /// moves with every outcome, and a new alarm each time would cost more than the outcome.
  private func arm() {
    guard let wakeNanoseconds, wakeNanoseconds < alarm.deadlineNanoseconds else { return }
    alarm.set(wakeNanoseconds, now: time.now().monotonicNanoseconds) { [send] in send(.tick) }
  }
}
