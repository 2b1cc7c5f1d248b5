import CloudLink
import Forwarding
import LinuxIO
import Logging
import Provenance
import ServiceLifecycle
import Storage

/// Moves what waits in the outbox to the broker: it carries out what `DeliveryMachine` decides.
package actor DeliveryService: Service {
  /// What the status message says of this run.
  package struct Identity: Sendable {
    var firmware: String
    var models: [StatusMessage.Model]
    var configurationSHA256: String
    var certificatePath: String?
    var plaintextAllowed: Bool

    package init(
      firmware: String, models: [StatusMessage.Model], configurationSHA256: String, certificatePath: String?,
      plaintextAllowed: Bool
    ) {
      self.firmware = firmware
      self.models = models
      self.configurationSHA256 = configurationSHA256
      self.certificatePath = certificatePath
      self.plaintextAllowed = plaintextAllowed
    }
  }

  /// The link reports at most a window's worth of outcomes at a time; the rest is little.
  private static let eventCapacity = 4096
  /// Payloads held in memory at a time on their way to the client, at least one message.
  private static let batchBytes = 1 << 20
  /// How often the sync window is looked at.
  private static let windowPeriod = Duration.seconds(20)
  /// Status messages are not in the outbox; their tokens count down from the top and never meet the machine's.
  private static let firstStatusToken = UInt64.max

  private let outbox: Outbox
  private let topics: TopicSchema
  private let composer: MessageComposer
  private let link: LinkSettings
  private let identity: Identity
  private let time: any TimeSource
  private let logger: Logger
  private let client: MQTTClient
  private let events: EventQueue<DeliveryEvent>
  private let send: @Sendable (DeliveryEvent) -> Void
  private let notices: AsyncStream<LinkNotice>
  private var machine: DeliveryMachine
  private var generator: any RandomNumberGenerator & Sendable
  private var alarm: Task<Void, Never>?
  /// When the alarm goes off, and when the machine wants to be woken; monotonic nanoseconds.
  private var alarmNanoseconds = UInt64.max
  private var wakeNanoseconds: UInt64?
  private var statusToken = DeliveryService.firstStatusToken
  private var security = "none"
  private let clockFloorSeconds: (@Sendable (Timestamp) -> Int64)?
  private var isWindowOpen = true
  /// The outcomes that are being written down: one commit at a time, beside which the line goes on.
  private var settling: Task<Void, Never>?
  /// The round trip that `doctor` waits for.
  private var probe: LinkRoundTrip?

  package init(
    outbox: Outbox, topics: TopicSchema, configuration: DeliveryConfiguration, link: LinkSettings,
    identity: Identity, time: any TimeSource, generator: any RandomNumberGenerator & Sendable, logger: Logger,
    clockFloorSeconds: (@Sendable (Timestamp) -> Int64)? = nil
  ) throws {
    self.clockFloorSeconds = clockFloorSeconds
    self.outbox = outbox
    self.topics = topics
    self.identity = identity
    self.time = time
    self.generator = generator
    self.logger = logger
    composer = MessageComposer(
      topics: topics, outboxID: outbox.outboxID, healthExpirySeconds: configuration.healthExpirySeconds)
    machine = DeliveryMachine(configuration, highestStored: outbox.highestStoredAtStart)
    var link = link
    link.subscriptions = [topics.downlinkFilter]
    self.link = link
    let events = EventQueue<DeliveryEvent>(capacity: Self.eventCapacity)
    self.events = events
    send = { event in
      if !events.send(event) {
        logger.error("delivery is stuck; an event was dropped", metadata: ["waiting": "\(Self.eventCapacity)"])
      }
    }
    let send = self.send
    let (notices, noticed) = AsyncStream.makeStream(of: LinkNotice.self, bufferingPolicy: .bufferingNewest(16))
    self.notices = notices
    client = try MQTTClient(
      time: time, events: { send(.link($0)) }, notices: { noticed.yield($0) })
  }

  package nonisolated func run() async throws {
    let send = self.send
    let stored = Task { [outbox] in
      for await highest in outbox.stored { send(.stored(highestID: highest)) }
    }
    let windowed = Task {
      guard let window = await self.syncWindow else { return }
      while !Task.isCancelled {
        await self.look(at: window)
        try? await Task.sleep(for: Self.windowPeriod)
      }
    }
    let noticed = Task {
      for await notice in self.notices { await self.note(notice) }
    }
    defer {
      stored.cancel()
      noticed.cancel()
      windowed.cancel()
    }
    await withTaskCancellationHandler {
      await withGracefulShutdownHandler {
        if let window = await self.syncWindow {
          // Before the first attempt, and then as the day goes.
          await self.look(at: window)
        }
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

  /// For the watchdog: answered by this service's turn and then by the link's thread.
  func ask(_ answer: @escaping @Sendable () -> Void) {
    client.ask(answer)
  }

  /// The standing connection and the certificates' dates, for `doctor`.
  func protectionFinding() -> DoctorFinding {
    if isResting, !machine.isConnected {
      return .skip(.tls, "the line rests: the sync window is closed, or the day's allowance is used up")
    }
    return LinkExamination(link: link, now: time.now()).finding(
      machine.isConnected ? .success(security) : .failure(notConnected))
  }

  /// Whether the first attempt has not come to an end yet.
  var isStillConnecting: Bool {
    !machine.isConnected && machine.lastFailure == nil && !isResting
  }

  private var isResting: Bool { machine.standing(now: time.now().monotonicNanoseconds).state == .resting }

  private var notConnected: LinkFailure {
    machine.lastFailure ?? LinkFailure(kind: .timeout, detail: "\(link.host):\(link.port): not connected yet")
  }

  /// Sends a probe over the standing connection; the receiver's receipt, the broker's refusal or the end of the time
  /// answers it. One at a time.
  func roundTrip(_ message: ProbeMessage, digests: some MessageDigests, timeoutMilliseconds: Int) async -> DoctorFinding
  {
    guard machine.isConnected else {
      return isResting
        ? .skip(.receipt, "the line rests")
        : LinkExamination(link: link, now: time.now()).failed(.receipt, notConnected)
    }
    guard probe == nil else { return .skip(.receipt, "another round trip is under way; try again") }
    let payload: [UInt8]
    do { payload = try message.encoded() } catch { return .fail(.receipt, "\(error)", remedy: "report this") }
    let token = PublishToken(rawValue: statusToken)
    statusToken -= 1
    let trip = LinkRoundTrip(
      entry: message.receipt(payload: payload, digests: digests), token: token,
      sent: time.now().monotonicNanoseconds, protection: security)
    probe = trip
    client.publish(
      OutgoingMessage(topic: topics.up("event"), payload: payload, contentType: "application/json"), token: token)
    let alarm = Task {
      try? await Task.sleep(for: .milliseconds(timeoutMilliseconds))
      trip.finish()
    }
    for await _ in trip.finished {}
    alarm.cancel()
    probe = nil
    return trip.result.finding(broker: "\(link.host):\(link.port)", needsReceipt: true)
  }

  /// Something else than this service changed what waits in the outbox.
  nonisolated func outboxChanged() {
    send(.outboxChanged)
  }

  /// There is a way out of this machine that was not there before.
  package nonisolated func networkCameUp() {
    send(.networkCameUp)
  }

  /// How the line stands.
  func figures() -> LinkFigures {
    let now = time.now()
    let standing = machine.standing(now: now.monotonicNanoseconds)
    return LinkFigures(
      state: standing.state, broker: "\(link.host):\(link.port)", protection: security, seconds: standing.seconds,
      lastFailure: machine.lastFailure, inFlight: machine.inFlight, counters: machine.counters,
      certificateDays: certificateDays(at: now))
  }

  private var syncWindow: SyncWindow? { machine.configuration.syncWindow }

  /// Tells the machine when the sync window opens or closes. A clock that nobody vouches for closes nothing.
  private func look(at window: SyncWindow) {
    let now = time.now()
    let isOpen = !now.synchronised || window.contains(utcNanoseconds: now.utcNanoseconds)
    guard isOpen != isWindowOpen else { return }
    isWindowOpen = isOpen
    logger.info("sync window", metadata: ["state": isOpen ? "open" : "closed"])
    send(.syncWindow(isOpen: isOpen))
  }

  // MARK: - Events

  /// Handles events that waited together; true when the last thing asked for was the end.
  private func handle(_ arrived: [DeliveryEvent]) async -> Bool {
    var pending = arrived
    if let stop = pending.firstIndex(of: .stop) { pending.removeSubrange((stop + 1)...) }
    let isEnd = pending.last == .stop
    await observe(pending)
    if isEnd, machine.isConnected {
      await publishStatus(.stopped, connectCounter: machine.counters.connections)
    }
    // Answers to loads and requeues are events too; each is handled before the next event of the line.
    while !pending.isEmpty {
      let actions = machine.handle(pending, now: time.now().monotonicNanoseconds, using: &generator)
      pending = []
      await perform(actions, answering: &pending)
    }
    arm()
    if isEnd { await settling?.value }
    return isEnd
  }

  /// Looks at what the line reported before the machine does: a birth goes out before the first message.
  private func observe(_ events: [DeliveryEvent]) async {
    var receipts: [IncomingMessage] = []
    for case .link(let event) in events {
      if case .received(let message) = event, message.topic == topics.receipts {
        receipts.append(message)
      } else {
        await observe(event)
      }
    }
    if !receipts.isEmpty { await apply(receipts) }
  }

  private func observe(_ event: LinkEvent) async {
    switch event {
    case .connected(let limits):
      logger.notice("connected", metadata: ["broker": "\(link.host):\(link.port)", "security": "\(security)"])
      logger.debug("limits", metadata: ["receive_maximum": "\(limits.receiveMaximum)"])
      // The machine counts this connection when it takes the event, right after this.
      await publishStatus(.online, connectCounter: machine.counters.connections + 1)
    case .connectionFailed(let failure):
      logger.info("no connection", metadata: ["broker": "\(link.host):\(link.port)", "reason": "\(failure)"])
    case .disconnected(let failure):
      logger.notice("disconnected", metadata: ["reason": "\(failure)"])
    case .received(let message):
      logger.warning("message on a topic that is not in use", metadata: ["topic": "\(message.topic)"])
    case .published(let token, let outcome) where token == probe?.token:
      probe?.settled(outcome, at: time.now().monotonicNanoseconds)
    case .published, .moving: break
    }
  }

  private func note(_ notice: LinkNotice) {
    switch notice {
    case .secured(let name): security = name
    case .subscribed(let filter, let reason) where reason >= 0x80:
      logger.error(
        "the broker refuses a subscription; receipts cannot arrive, check its ACL",
        metadata: ["filter": "\(filter)", "reason": "\(reason)"])
    case .subscribed: break
    }
  }

  private func apply(_ messages: [IncomingMessage]) async {
    var receipts: [Receipt] = []
    for message in messages {
      do {
        receipts.append(try Receipt(decoding: message.payload))
      } catch {
        logger.error("a receipt could not be used", metadata: ["reason": "\(error)"])
      }
    }
    guard !receipts.isEmpty else { return }
    do {
      for receipt in receipts { probe?.heard(receipt, at: time.now().monotonicNanoseconds) }
      let outcome = try await outbox.apply(receipts)
      if !outcome.delivered.isEmpty {
        logger.info("delivered", metadata: ["messages": "\(outcome.delivered.count)"])
      }
      for capture in outcome.refused {
        logger.error(
          "a receiver will never take a capture, it is set aside; see thermograph outbox list --state quarantined",
          metadata: ["capture": "\(capture)"])
      }
      for entry in outcome.mismatched {
        logger.error(
          "a receipt names another content than ours; the capture stays in the outbox",
          metadata: ["capture": "\(entry.captureID)", "name": "\(entry.name)"])
      }
    } catch {
      logger.error("a receipt could not be used", metadata: ["reason": "\(error)"])
    }
  }

  // MARK: - Actions

  /// Carries actions out in their order; publishes that stand together share one look at the outbox. Outcomes are written
  /// down last, because the line need not wait for the disk, but before the outbox is looked at again: settled messages
  /// must not be read as waiting.
  private func perform(_ actions: [DeliveryAction], answering pending: inout [DeliveryEvent]) async {
    var publishes: [PublishOrder] = []
    var settlements: [Settlement] = []
    for action in actions {
      switch action {
      case .publish(let order):
        publishes.append(order)
        continue
      case .settle(let settlement):
        settlements.append(settlement)
        continue
      default:
        await publish(publishes, answering: &pending)
        publishes.removeAll(keepingCapacity: true)
      }
      switch action {
      case .load, .requeueUnreceipted:
        for settlement in settlements { await settle(settlement) }
        settlements.removeAll(keepingCapacity: true)
        await settling?.value
      default: break
      }
      await perform(action, answering: &pending)
    }
    await publish(publishes, answering: &pending)
    for settlement in settlements { await settle(settlement) }
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

  private func perform(_ action: DeliveryAction, answering pending: inout [DeliveryEvent]) async {
    switch action {
    case .connect:
      client.connect(linkWithWill())
    case .disconnect(let reason):
      logger.debug("disconnecting", metadata: ["reason": "\(reason)"])
      client.disconnect()
    case .load(let order):
      do {
        pending.append(
          .loaded(order, try await outbox.pending(order.deliveryClass, after: order.after, limit: order.limit)))
      } catch {
        logger.error("the outbox cannot be read", metadata: ["reason": "\(error)"])
      }
    case .publish(let order): await publish([order], answering: &pending)
    case .settle(let settlement): await settle(settlement)
    case .requeueUnreceipted(let seconds):
      do {
        pending.append(.requeued(try await outbox.requeueUnreceipted(olderThanSeconds: seconds)))
      } catch {
        logger.error("the outbox cannot be read", metadata: ["reason": "\(error)"])
      }
    case .report(let report):
      logger.warning("delivery", metadata: ["report": "\(report)"])
    case .wake(let deadline): wakeNanoseconds = deadline
    }
  }

  /// Sets the alarm for what the machine wants. One that goes off too early is set again then: under load the wish
  /// moves with every outcome, and a new alarm each time would cost more than the outcome.
  private func arm() {
    guard let wakeNanoseconds, wakeNanoseconds < alarmNanoseconds else { return }
    alarm?.cancel()
    alarmNanoseconds = wakeNanoseconds
    let now = time.now().monotonicNanoseconds
    let wait = wakeNanoseconds > now ? wakeNanoseconds - now : 0
    alarm = Task {
      do {
        try await Task.sleep(nanoseconds: wait)
        self.timerFired()
      } catch {
        // Cancelled: a newer alarm took its place.
      }
    }
  }

  private func timerFired() {
    alarmNanoseconds = .max
    if let wakeNanoseconds, wakeNanoseconds <= time.now().monotonicNanoseconds {
      send(.tick)
    } else {
      arm()
    }
  }

  private func publish(_ orders: [PublishOrder], answering pending: inout [DeliveryEvent]) async {
    var rest = orders[...]
    while !rest.isEmpty {
      var bytes = 0
      let batch = rest.prefix { order in
        defer { bytes += order.range.count }
        return bytes < Self.batchBytes
      }
      rest = rest.dropFirst(batch.count)
      await publish(batch: batch, answering: &pending)
    }
  }

  private func publish(
    batch orders: ArraySlice<PublishOrder>, answering pending: inout [DeliveryEvent]
  ) async {
    // Parts of one message stand together and are cut from one payload.
    var items: [OutboxItem] = []
    for order in orders where items.last?.id != order.item.id { items.append(order.item) }
    let payloads = await outbox.payloads(of: items)
    var messages: [(message: OutgoingMessage, token: PublishToken)] = []
    messages.reserveCapacity(orders.count)
    var index = 0
    for order in orders {
      if items[index].id != order.item.id { index += 1 }
      switch payloads[index] {
      case .success(let bytes):
        do throws(TopicError) {
          messages.append((try composer.message(for: order, payload: bytes), order.token))
        } catch {
          pending.append(.unreadable(order.token, reason: "\(error)"))
        }
      case .failure(.missing): pending.append(.vanished(order.token))
      case .failure(.sealing(.notAuthentic, let id)):
        pending.append(.unreadable(order.token, reason: "\(OutboxError.sealing(.notAuthentic, id: id))"))
      case .failure(let error):
        // The disk or a key that is not loaded: the message itself may be whole, so it waits.
        logger.error("a message cannot be read now; it waits", metadata: ["reason": "\(error)"])
        pending.append(.unavailable(order.token))
      }
    }
    client.publish(messages)
  }

  /// The broker speaks the will when the connection breaks; it carries the number of the connection it belongs to.
  private func linkWithWill() -> LinkSettings {
    var settings = link
    if let clockFloorSeconds { settings.clockFloorSeconds = clockFloorSeconds(time.now()) }
    do {
      settings.will = try message(
        StatusMessage(
          state: .offline, site: topics.site.text, device: topics.device.text,
          connectCounter: machine.counters.connections + 1, firmware: identity.firmware, models: identity.models,
          configurationSHA256: identity.configurationSHA256, outboxID: outbox.outboxID, accounts: nil, line: nil,
          at: nil))
    } catch {
      logger.error("connecting without a will", metadata: ["reason": "\(error)"])
    }
    return settings
  }

  /// - Parameter connectCounter: of the connection that the status speaks of.
  private func publishStatus(_ state: StatusMessage.State, connectCounter: Int) async {
    do {
      let status = StatusMessage(
        state: state, site: topics.site.text, device: topics.device.text, connectCounter: connectCounter,
        firmware: identity.firmware, models: identity.models, configurationSHA256: identity.configurationSHA256,
        outboxID: outbox.outboxID, accounts: try await outbox.accounts(),
        line: .init(
          protection: security, certificateDays: certificateDays(at: time.now()),
          plaintextAllowed: identity.plaintextAllowed),
        at: time.now())
      client.publish(try message(status), token: PublishToken(rawValue: statusToken))
      statusToken -= 1
    } catch {
      logger.error("the status could not be published", metadata: ["reason": "\(error)"])
    }
  }

  /// Days until our certificate ends; nil without one, or when the file cannot be read, which connecting reports.
  private func certificateDays(at now: Timestamp) -> Int? {
    guard let path = identity.certificatePath else { return nil }
    do {
      return Int(try CertificateValidity(ofCertificateAt: path).daysLeft(at: now))
    } catch {
      logger.debug("the certificate cannot be read", metadata: ["reason": "\(error)"])
      return nil
    }
  }

  private func message(_ status: StatusMessage) throws -> OutgoingMessage {
    OutgoingMessage(
      topic: topics.status, payload: try status.encoded(), contentType: "application/json",
      qualityOfService: .atLeastOnce, retain: true)
  }
}
