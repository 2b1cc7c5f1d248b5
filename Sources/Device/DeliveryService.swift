import CloudLink
import Forwarding
import LinuxIO
import Logging
import Provenance
import ServiceLifecycle
import Storage

/// Moves what waits in the outbox to the broker: it carries out what `DeliveryMachine` decides.
actor DeliveryService: Service {
  /// What the status message says of this run.
  struct Identity: Sendable {
    var firmware: String
    var models: [StatusMessage.Model]
    var configurationSHA256: String
    var certificatePath: String?
    var plaintextAllowed: Bool
  }

  /// The link reports at most a window's worth of outcomes at a time; the rest is coalesced.
  private static let eventCapacity = 4096
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
  private let events: AsyncStream<DeliveryEvent>
  private let send: @Sendable (DeliveryEvent) -> Void
  private let notices: AsyncStream<LinkNotice>
  private var machine: DeliveryMachine
  private var generator: any RandomNumberGenerator & Sendable
  private var alarm: Task<Void, Never>?
  private var statusToken = DeliveryService.firstStatusToken
  private var security = "none"
  /// The round trip that `doctor` waits for.
  private var probe: LineRoundTrip?

  init(
    outbox: Outbox, topics: TopicSchema, configuration: DeliveryConfiguration, link: LinkSettings,
    identity: Identity, time: any TimeSource, generator: any RandomNumberGenerator & Sendable, logger: Logger
  ) throws {
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
    let (events, continuation) = AsyncStream.makeStream(
      of: DeliveryEvent.self, bufferingPolicy: .bufferingOldest(Self.eventCapacity))
    self.events = events
    send = { event in
      if case .dropped = continuation.yield(event) {
        logger.error("delivery is stuck; an event was dropped", metadata: ["waiting": "\(Self.eventCapacity)"])
      }
    }
    let send = self.send
    let (notices, noticed) = AsyncStream.makeStream(of: LinkNotice.self, bufferingPolicy: .bufferingNewest(16))
    self.notices = notices
    client = try MQTTClient(
      time: time, events: { send(.link($0)) }, notices: { noticed.yield($0) })
  }

  nonisolated func run() async throws {
    let send = self.send
    let stored = Task { [outbox] in
      for await highest in outbox.stored { send(.stored(highestID: highest)) }
    }
    let noticed = Task {
      for await notice in self.notices { await self.note(notice) }
    }
    defer {
      stored.cancel()
      noticed.cancel()
    }
    await withTaskCancellationHandler {
      await withGracefulShutdownHandler {
        send(.start)
        for await event in events {
          await self.handle(event)
          if event == .stop { break }
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

  /// How the standing connection is protected, for `doctor`.
  func protectionFinding() -> DoctorFinding {
    let broker = "\(link.host):\(link.port)"
    guard machine.isConnected else {
      return .fail(.tls, "\(broker) is not connected", mend: "thermograph status says why")
    }
    guard security != "none" else {
      return identity.plaintextAllowed
        ? .warn(
          .tls, "\(broker), not encrypted: records and images cross the network readable",
          mend: "[broker] ca_file, certificate_file, key_file")
        : .pass(.tls, "\(broker), not encrypted, and does not leave this machine")
    }
    guard let path = identity.certificatePath else { return .pass(.tls, "\(security) with \(broker)") }
    do {
      let days = try CertificateValidity(ofCertificateAt: path).daysLeft(at: time.now())
      let what = "\(security) with \(broker); our certificate has \(days) days"
      return days > 30 ? .pass(.tls, what) : .warn(.tls, what, mend: "thermograph enroll: have the certificate renewed")
    } catch {
      return .fail(.tls, "\(error)", mend: "thermograph enroll")
    }
  }

  /// Sends a probe over the standing connection; the receiver's receipt, the broker's refusal or the end of the time
  /// answers it. One at a time.
  func roundTrip(_ message: ProbeMessage, digests: some MessageDigests, timeoutMilliseconds: Int) async -> DoctorFinding
  {
    guard machine.isConnected else {
      return .fail(.receipt, "\(link.host):\(link.port) is not connected", mend: "thermograph status says why")
    }
    guard probe == nil else { return .skip(.receipt, "another round trip is under way; try again") }
    let payload: [UInt8]
    do { payload = try message.encoded() } catch { return .fail(.receipt, "\(error)", mend: "report this") }
    let token = PublishToken(rawValue: statusToken)
    statusToken -= 1
    let trip = LineRoundTrip(
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

  // MARK: - Events

  private func handle(_ event: DeliveryEvent) async {
    if case .link(let reported) = event { await observe(reported) }
    if event == .stop, machine.isConnected {
      await publishStatus(.stopped, connectCounter: machine.counters.connections)
    }
    var pending = [event]
    // Answers to loads and requeues are events too; each is handled before the next event of the line.
    while !pending.isEmpty {
      let next = pending.removeFirst()
      let actions = machine.handle(next, now: time.now().monotonicNanoseconds, using: &generator)
      for action in actions { await perform(action, answering: &pending) }
    }
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
    case .received(let message) where message.topic == topics.receipts:
      await apply(message)
    case .received(let message):
      logger.warning("message on a topic that is not in use", metadata: ["topic": "\(message.topic)"])
    case .published(let token, let outcome) where token == probe?.token:
      probe?.settled(outcome, at: time.now().monotonicNanoseconds)
    case .published: break
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

  private func apply(_ message: IncomingMessage) async {
    do {
      let receipt = try Receipt(decoding: message.payload)
      probe?.heard(receipt, at: time.now().monotonicNanoseconds)
      let outcome = try await outbox.apply(receipt)
      if !outcome.delivered.isEmpty {
        logger.info("delivered", metadata: ["messages": "\(outcome.delivered.count)"])
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
    case .publish(let order):
      await publish(order, answering: &pending)
    case .settle(let settlement):
      do {
        try await outbox.settle(settlement)
      } catch {
        // What is not written down is delivered again: the receiver knows its key.
        logger.error("outcomes could not be written down", metadata: ["reason": "\(error)"])
      }
    case .requeueUnreceipted(let seconds):
      do {
        pending.append(.requeued(try await outbox.requeueUnreceipted(olderThanSeconds: seconds)))
      } catch {
        logger.error("the outbox cannot be read", metadata: ["reason": "\(error)"])
      }
    case .report(let report):
      logger.warning("delivery", metadata: ["report": "\(report)"])
    case .wake(let deadline):
      alarm?.cancel()
      alarm = nil
      guard let deadline else { return }
      let now = time.now().monotonicNanoseconds
      let wait = deadline > now ? deadline - now : 0
      alarm = Task { [send] in
        do {
          try await Task.sleep(nanoseconds: wait)
          send(.tick)
        } catch {
          // Cancelled: a newer alarm took its place.
        }
      }
    }
  }

  private func publish(_ order: PublishOrder, answering pending: inout [DeliveryEvent]) async {
    do throws(OutboxError) {
      let payload = try await outbox.payload(of: order.item.id)
      do throws(TopicError) {
        client.publish(try composer.message(for: order, payload: payload), token: order.token)
      } catch {
        pending.append(.unreadable(order.token, reason: "\(error)"))
      }
    } catch {
      switch error {
      case .missing:
        pending.append(.vanished(order.token))
      case .sealing(.notAuthentic, _):
        pending.append(.unreadable(order.token, reason: "\(error)"))
      default:
        // The disk or a key that is not loaded: the message itself may be whole, so it waits.
        logger.error("a message cannot be read now; it waits", metadata: ["reason": "\(error)"])
        pending.append(.unavailable(order.token))
      }
    }
  }

  /// The broker speaks the will when the connection breaks; it carries the number of the connection it belongs to.
  private func linkWithWill() -> LinkSettings {
    var settings = link
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
      var daysLeft: Int64?
      if let path = identity.certificatePath {
        daysLeft = try CertificateValidity(ofCertificateAt: path).daysLeft(at: time.now())
      }
      let status = StatusMessage(
        state: state, site: topics.site.text, device: topics.device.text, connectCounter: connectCounter,
        firmware: identity.firmware, models: identity.models, configurationSHA256: identity.configurationSHA256,
        outboxID: outbox.outboxID, accounts: try await outbox.accounts(),
        line: .init(
          protection: security, certificateDays: daysLeft.map(Int.init), plaintextAllowed: identity.plaintextAllowed),
        at: time.now())
      client.publish(try message(status), token: PublishToken(rawValue: statusToken))
      statusToken -= 1
    } catch {
      logger.error("the status could not be published", metadata: ["reason": "\(error)"])
    }
  }

  private func message(_ status: StatusMessage) throws -> OutgoingMessage {
    OutgoingMessage(
      topic: topics.status, payload: try status.encoded(), contentType: "application/json",
      qualityOfService: .atLeastOnce, retain: true)
  }
}
