/// Decides what is sent when. A value without I/O and without a clock: events in, actions out.
///
/// Rules:
/// - Alerts before captures before images before events before health, decided anew at every message boundary; within
///   a class in the order of storing. A divided image is finished before the next message begins.
/// - At most `window` publishes, and never more than the broker's Receive Maximum, wait for their PUBACK.
/// - What has no PUBACK when the connection ends is sent again, in the old order, after the next CONNACK.
/// - Only a few messages' descriptions are held in memory, whatever the backlog.
package struct DeliveryMachine: Sendable {
  enum Phase: Sendable, Equatable {
    case idle
    case waiting(untilNanoseconds: UInt64)
    case connecting
    case connected(ConnectionLimits, sinceNanoseconds: UInt64)
    /// We asked for the end of the connection and wait for the client's word.
    case disconnecting
    /// The same, because the sync window is closed.
    case retiring
    /// No connection is wanted until the sync window opens or an alert waits.
    case resting
    case stopped
  }

  /// One class's place in the outbox.
  struct Lane: Sendable {
    /// Loaded and not yet published, oldest first; at most `lookAhead`, and twice that while some of it is held.
    var ready: ArraySlice<OutboxItem> = []
    /// The newest id that was loaded on this connection.
    var cursor: Int64 = 0
    /// Nothing waits behind `cursor`.
    var exhausted = false
    var loading = false
    /// Settled while a load was under way, which may still list them.
    var settledMeanwhile: Set<Int64> = []
    /// The broker refused this class; not before this time again.
    var heldUntilNanoseconds: UInt64?
    /// Refusals in a row.
    var refusals = 0
    /// By what others subscribe to; a kind that somebody hears has no entry.
    var unheard: [Substring: UnheardWatch] = [:]

    /// Whether it is of a kind that may be sent now.
    func isOpen(_ item: OutboxItem) -> Bool {
      unheard.isEmpty || unheard[item.kind]?.heldUntilNanoseconds == nil
    }
  }

  /// A message of which parts are on the wire or still to be sent.
  struct Progress: Sendable {
    let item: OutboxItem
    var parts: Int
    let partBytes: Int
    let replayed: Bool
    var nextPart = 0
    var acknowledged = 0
  }

  struct Flight: Sendable {
    let id: Int64
    let sentNanoseconds: UInt64
    let order: UInt64
    let packetBytes: Int
  }

  /// Descriptions read at a time for a class.
  package static let lookAhead = 256
  /// What topic, properties and headers of a PUBLISH may take.
  static let packetReserveBytes = 1024
  /// Refusals of one message for its own sake before it is set aside.
  static let maximumAttempts = 3
  /// Messages without an outcome at the end of a connection that are remembered.
  static let maximumUnanswered = 1024

  package let configuration: DeliveryConfiguration
  package private(set) var counters = DeliveryCounters()
  /// Why the last connection or attempt ended.
  package private(set) var lastFailure: LinkFailure?

  var phase = Phase.idle
  var backoff: ReconnectBackoff
  var lanes = [Lane](repeating: Lane(), count: DeliveryClass.allCases.count)
  var progress: [Int64: Progress] = [:]
  /// The divided message whose parts are being sent.
  var divided: Int64?
  var flights: [PublishToken: Flight] = [:]
  var nextToken: UInt64 = 1
  /// No publish before this one is without an outcome.
  private var oldestToken: UInt64 = 1
  var generation = 0
  var highestStored: Int64
  /// Messages up to this id were stored before the connection came up.
  var replayBoundary: Int64 = 0
  var rateLimiter: RateLimiter
  var settlement = Settlement()
  var settlementDueNanoseconds: UInt64?
  /// Came since the last look.
  var receipts: [Receipt] = []
  /// Receipts that were quicker than the PUBACK of what they name, by message: at most one for each that is under way,
  /// or was when a connection ended.
  var early: [Int64: Receipt] = [:]
  /// What was under way when a connection ended: a receiver may have it.
  var unanswered: [Int64: OutboxItem] = [:]
  var nextRequeueNanoseconds: UInt64?
  var poison = PoisonWatch()
  /// It was told on this connection that nobody listens.
  var saidUnheard = false
  var acknowledgements = AcknowledgementWatch()
  /// Whether the sync window is open.
  var isWindowOpen = true
  var budget: ByteBudget?
  /// No image before this time, because the far side asked so.
  var imagesHeldUntilNanoseconds: UInt64?
  private var downlinks = DownlinkWatch()
  /// Why we end the connection, where that says more than the end itself.
  private var ending: LinkFailure?
  private var lastWake: UInt64??

  /// - Parameter highestStored: the newest message's id in the outbox.
  package init(_ configuration: DeliveryConfiguration, highestStored: Int64) {
    self.configuration = configuration
    self.highestStored = highestStored
    backoff = ReconnectBackoff(configuration.backoff)
    budget = configuration.bytesPerDay.map { ByteBudget(bytesPerDay: $0) }
    rateLimiter = RateLimiter(perSecond: configuration.messagesPerSecond, burst: configuration.window)
  }

  package var isConnected: Bool {
    if case .connected = phase { true } else { false }
  }

  /// Whether the next connection is to subscribe.
  package var isListening: Bool { downlinks.deafUntilNanoseconds == nil }

  /// Publishes without an outcome.
  package var inFlight: Int { flights.count }

  /// Takes one event and says what to do.
  ///
  /// - Parameters:
  ///   - now: monotonic nanoseconds, never going back.
  ///   - generator: for the pauses between attempts.
  package mutating func handle(
    _ event: DeliveryEvent, now: UInt64, using generator: inout some RandomNumberGenerator
  ) -> [DeliveryAction] {
    handle(CollectionOfOne(event), now: now, using: &generator)
  }

  /// Takes events that happened one after another and says what to do after the last of them.
  package mutating func handle(
    _ events: some Collection<DeliveryEvent>, now: UInt64, using generator: inout some RandomNumberGenerator
  ) -> [DeliveryAction] {
    var actions: [DeliveryAction] = []
    for event in events { take(event, now: now, using: &generator, &actions) }
    advance(now: now, &actions)
    return actions
  }

  private mutating func take(
    _ event: DeliveryEvent, now: UInt64, using generator: inout some RandomNumberGenerator,
    _ actions: inout [DeliveryAction]
  ) {
    switch event {
    case .start:
      guard phase == .idle else { return }
      if isWindowOpen { connect(&actions) } else { phase = .resting }
    case .link(let event):
      handle(event, now: now, using: &generator, &actions)
    case .stored(let highestID):
      highestStored = max(highestStored, highestID)
      for index in lanes.indices { lanes[index].exhausted = false }
    case .loaded(let order, let items):
      take(order, items)
    case .receipt(let receipt):
      downlinks.heard()
      receipts.append(receipt)
    case .receiptRefused:
      counters.receiptsRefused += 1
    case .applied(let outcome):
      release(outcome, &actions)
    case .requeued(let count):
      if count > 0 {
        actions.append(.report(.receiptsOverdue(count: count)))
        rewind()
        noteRound(now: now, &actions)
      }
    case .outboxChanged:
      rewind()
    case .unreadable(let token, let reason):
      if let flight = flights[token] { quarantine(flight.id, reason: reason, now: now, &actions) }
    case .unavailable(let token):
      if let flight = flights[token] { postpone(flight.id, now: now) }
    case .vanished(let token):
      if let flight = flights[token] { forget(flight.id) }
    case .networkCameUp:
      if case .waiting = phase { connect(&actions) }
    case .holdImages(let seconds):
      imagesHeldUntilNanoseconds = seconds > 0 ? now + UInt64(min(seconds, 86_400)) * 1_000_000_000 : nil
    case .syncWindow(let isOpen):
      isWindowOpen = isOpen
      if isOpen, phase == .resting { connect(&actions) }
    case .tick:
      break
    case .stop:
      stop(&actions)
    }
  }

  /// How the line stands at `now`, for the status.
  package func standing(now: UInt64) -> (state: LinkFigures.State, seconds: Int?) {
    func seconds(_ nanoseconds: UInt64) -> Int { Int(clamping: nanoseconds / 1_000_000_000) }
    return switch phase {
    case .idle, .stopped: (.idle, nil)
    case .waiting(let until): (.waiting, seconds(max(until, now) - now))
    case .connecting: (.connecting, nil)
    case .connected(_, let since): (.connected, seconds(max(since, now) - since))
    case .disconnecting: (.waiting, nil)
    case .retiring, .resting: (.resting, nil)
    }
  }

  // MARK: - Time

  /// Does what is due, and asks for the next wake.
  private mutating func advance(now: UInt64, _ actions: inout [DeliveryAction]) {
    if !receipts.isEmpty {
      actions.append(.apply(receipts, after: takeSettlement()))
      receipts = []
    }
    if case .waiting(let until) = phase, until <= now { connect(&actions) }
    if phase != .connecting, downlinks.listensAgain(now: now) {
      end(LinkFailure(kind: .requested, detail: "to subscribe again"), &actions)
    }
    if case .connected(let limits, _) = phase {
      if let stalled = stalledSeconds(now: now) {
        actions.append(.report(.acknowledgementsStalled(seconds: stalled)))
        phase = .disconnecting
        actions.append(
          .disconnect(LinkFailure(kind: .requested, detail: "no acknowledgement for \(stalled) s")))
      } else {
        requeueIfDue(now: now, &actions)
        publish(limits, now: now, &actions)
        retireIfIdle(&actions)
      }
    }
    if phase == .resting { connectForAlerts(&actions) }
    settleIfDue(now: now, &actions)
    let wake = nextWake(now: now)
    if lastWake != .some(wake) {
      lastWake = .some(wake)
      actions.append(.wake(atNanoseconds: wake))
    }
  }

  /// Outside the sync window a connection ends with its last alert.
  private mutating func retireIfIdle(_ actions: inout [DeliveryAction]) {
    let alerts = lanes[DeliveryClass.alert.rawValue]
    guard !isWindowOpen, flights.isEmpty, alerts.exhausted, alerts.ready.isEmpty else { return }
    phase = .retiring
    actions.append(.disconnect(LinkFailure(kind: .requested, detail: "the sync window is closed")))
  }

  /// Outside the sync window the outbox is asked for alerts, and one is reason enough to connect.
  private mutating func connectForAlerts(_ actions: inout [DeliveryAction]) {
    let index = DeliveryClass.alert.rawValue
    if !lanes[index].ready.isEmpty {
      connect(&actions)
    } else if !lanes[index].exhausted {
      load(.alert, &actions)
    }
  }

  private mutating func stalledSeconds(now: UInt64) -> Int? {
    guard let since = stalledSinceNanoseconds() else { return nil }
    let seconds = Int((now - min(since, now)) / 1_000_000_000)
    return seconds >= configuration.acknowledgementTimeoutSeconds ? seconds : nil
  }

  private mutating func stalledSinceNanoseconds() -> UInt64? {
    guard let oldest = oldestFlight() else { return nil }
    return acknowledgements.waitsSinceNanoseconds(oldest: oldest.order, sentNanoseconds: oldest.sentNanoseconds)
  }

  /// The oldest publish without an outcome. Tokens are given in the order of publishing, so the search goes on where it
  /// ended.
  mutating func oldestFlight() -> Flight? {
    guard !flights.isEmpty else { return nil }
    while oldestToken < nextToken {
      if let flight = flights[PublishToken(rawValue: oldestToken)] { return flight }
      oldestToken += 1
    }
    return nil
  }

  /// Messages are sent again for want of a receipt. Those of an earlier connection say nothing of this one.
  private mutating func noteRound(now: UInt64, _ actions: inout [DeliveryAction]) {
    guard case .connected(_, let since) = phase,
      now - min(since, now) >= UInt64(configuration.receiptTimeoutSeconds) * 1_000_000_000,
      downlinks.roundWithoutReceipts(now: now)
    else { return }
    actions.append(.report(.receiptsSilent))
    end(LinkFailure(kind: .requested, detail: "no receipt in two rounds"), &actions)
  }

  private mutating func requeueIfDue(now: UInt64, _ actions: inout [DeliveryAction]) {
    guard let due = nextRequeueNanoseconds, due <= now else { return }
    nextRequeueNanoseconds = now + UInt64(configuration.receiptTimeoutSeconds) * 250_000_000
    actions.append(.requeueUnreceipted(olderThanSeconds: configuration.receiptTimeoutSeconds))
  }

  private mutating func settleIfDue(now: UInt64, _ actions: inout [DeliveryAction]) {
    guard !settlement.isEmpty else { return }
    let due = settlementDueNanoseconds ?? now
    guard due <= now || settlement.count >= configuration.settlementBatch || flights.isEmpty else { return }
    flushSettlement(&actions)
  }

  mutating func flushSettlement(_ actions: inout [DeliveryAction]) {
    let settlement = takeSettlement()
    if !settlement.isEmpty { actions.append(.settle(settlement)) }
  }

  private mutating func takeSettlement() -> Settlement {
    settlementDueNanoseconds = nil
    defer { settlement = Settlement() }
    return settlement
  }

  private mutating func nextWake(now: UInt64) -> UInt64? {
    var candidates: [UInt64] = []
    if let settlementDueNanoseconds { candidates.append(settlementDueNanoseconds) }
    switch phase {
    case .waiting(let until): candidates.append(until)
    case .connected:
      if let nextRequeueNanoseconds { candidates.append(nextRequeueNanoseconds) }
      if let until = downlinks.deafUntilNanoseconds { candidates.append(until) }
      if let since = stalledSinceNanoseconds() {
        candidates.append(since + UInt64(configuration.acknowledgementTimeoutSeconds) * 1_000_000_000)
      }
      let waits =
        divided != nil || lanes.contains { $0.heldUntilNanoseconds == nil && $0.ready.contains(where: $0.isOpen) }
      if waits && !rateLimiter.allows(now: now) { candidates.append(rateLimiter.nextNanoseconds(now: now)) }
      if let next = budget?.nextNanoseconds(now: now), next > now { candidates.append(next) }
      candidates += lanes.compactMap(\.heldUntilNanoseconds)
      for lane in lanes { candidates += lane.unheard.values.compactMap(\.heldUntilNanoseconds) }
      if let imagesHeldUntilNanoseconds { candidates.append(imagesHeldUntilNanoseconds) }
    default: break
    }
    return candidates.min()
  }

  // MARK: - Connection

  private mutating func connect(_ actions: inout [DeliveryAction]) {
    phase = .connecting
    actions.append(.connect)
  }

  /// Ends a standing connection for a reason of ours; the next attempt follows its pause.
  private mutating func end(_ failure: LinkFailure, _ actions: inout [DeliveryAction]) {
    guard isConnected else { return }
    ending = failure
    phase = .disconnecting
    actions.append(.disconnect(failure))
  }

  private mutating func stop(_ actions: inout [DeliveryAction]) {
    // First: a slow disk must not keep the farewell.
    if isConnected { actions.append(.announce(.stopped)) }
    flushSettlement(&actions)
    if isConnected || phase == .connecting {
      actions.append(.disconnect(LinkFailure(kind: .requested, detail: "the device stops")))
    }
    phase = .stopped
  }

  private mutating func handle(
    _ event: LinkEvent, now: UInt64, using generator: inout some RandomNumberGenerator,
    _ actions: inout [DeliveryAction]
  ) {
    switch event {
    case .connected(let limits):
      guard phase == .connecting else { return }
      counters.connections += 1
      phase = .connected(limits, sinceNanoseconds: now)
      actions.append(.announce(.online))
      replayBoundary = highestStored
      forgetUnheard()
      rewind()
      nextRequeueNanoseconds = awaitsReceipts(limits) && isListening ? now : nil
    case .connectionFailed(let failure):
      guard phase == .connecting || phase == .disconnecting else { return }
      counters.failures[failure.kind, default: 0] += 1
      lastFailure = failure
      wait(backoff.afterFailure(failure.kind, using: &generator), now: now)
    case .disconnected(let reported):
      guard phase != .stopped else { return }
      let failure = ending ?? reported
      if ending == nil { downlinks.endedOtherwise() }
      ending = nil
      counters.failures[failure.kind, default: 0] += 1
      lastFailure = failure
      var seconds = 0
      if case .connected(_, let since) = phase { seconds = Int((now - min(since, now)) / 1_000_000_000) }
      suspectPoison(failure, now: now, &actions)
      dropFlights()
      flushSettlement(&actions)
      guard phase != .retiring else {
        phase = isWindowOpen ? .connecting : .resting
        if isWindowOpen { actions.append(.connect) }
        return
      }
      wait(backoff.afterLoss(failure.kind, connectedSeconds: seconds, using: &generator), now: now)
    case .published(let token, let outcome):
      settle(token, outcome, now: now, &actions)
    case .moving:
      acknowledgements.moved(now: now)
    case .oversize(let bytes):
      guard isConnected else { return }
      ending = LinkFailure(kind: .protocolError, detail: "the broker sends a message of more than \(bytes) bytes")
      // What was under way is not to blame, and nothing more is handed over.
      phase = .disconnecting
      dropFlights()
      guard downlinks.oversize(now: now) else { return }
      actions.append(
        .alert(
          code: "downlink-oversize", severity: .critical,
          detail:
            "the broker sends this device a message of more than \(bytes) bytes, probably a retained one below dn/; "
            + "have it removed; until then the device sends, but hears receipts only now and then"))
    case .subscribed(let filter, let reason) where reason >= 0x80 && configuration.confirm == .receipt:
      // Without receipts nothing would ever be free: a broker that grants none is as good as none.
      end(
        LinkFailure(
          kind: .refused,
          detail:
            "the broker refuses the subscription to \(filter), reason 0x\(String(reason, radix: 16)); check its ACL"),
        &actions)
    case .secured, .subscribed, .received:
      break
    }
  }

  private mutating func wait(_ milliseconds: Int, now: UInt64) {
    phase = .waiting(untilNanoseconds: now + UInt64(milliseconds) * 1_000_000)
  }

  /// Forgets what was under way: it has no outcome and will get none.
  private mutating func dropFlights() {
    flights.removeAll(keepingCapacity: true)
    if unanswered.count + progress.count > Self.maximumUnanswered { unanswered.removeAll() }
    for (id, message) in progress { unanswered[id] = message.item }
    progress.removeAll(keepingCapacity: true)
    early.removeAll(keepingCapacity: true)
    divided = nil
    rewind()
  }

  /// Looks at the outbox from its oldest message again. A class that is held stays held.
  private mutating func rewind() {
    generation += 1
    for index in lanes.indices {
      lanes[index].ready = []
      lanes[index].cursor = 0
      lanes[index].exhausted = false
      lanes[index].loading = false
      lanes[index].settledMeanwhile = []
    }
  }

  /// Under MQTT 3.1.1 a refused publish looks like success.
  func awaitsReceipts(_ limits: ConnectionLimits) -> Bool {
    configuration.confirm == .receipt || limits.protocolVersion == .mqtt311
  }

  mutating func count(_ change: (inout DeliveryCounters) -> Void) {
    change(&counters)
  }
}
