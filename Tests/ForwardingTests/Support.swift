import Forwarding
import Provenance

let anInstant = Timestamp(
  utcNanoseconds: 1_772_000_000_000_000_000, bootID: "boot-a", monotonicNanoseconds: 5, synchronised: true)

func makeItem(
  _ id: Int64, _ deliveryClass: DeliveryClass = .capture, bytes: Int = 6000, attempts: Int = 0, kind: String? = nil
) -> OutboxItem {
  let hasCapture = deliveryClass == .capture || deliveryClass == .image
  var generator = SeededGenerator(seed: UInt64(id))
  let captureID = RandomIdentifier(using: &generator)
  return OutboxItem(
    id: id, deliveryClass: deliveryClass,
    topicSuffix: kind ?? (deliveryClass == .image ? "image/\(captureID).master.png" : deliveryClass.name),
    contentType: "application/json", captureID: hasCapture ? captureID : nil, sequence: hasCapture ? id : nil,
    name: hasCapture ? "record.json" : nil, byteCount: bytes, sha256: [UInt8](repeating: 7, count: 32),
    created: anInstant, attempts: attempts)
}

/// An outbox and a client in memory that obey the machine, so that a test only speaks of events and of what was sent.
struct Bench {
  var machine: DeliveryMachine
  var generator: SeededGenerator
  var now: UInt64 = 1_000_000_000
  var waiting: [OutboxItem] = []
  var awaitingReceipt: [OutboxItem] = []
  var delivered: [Int64] = []
  /// Of what waits, what the broker has acknowledged once.
  var acknowledged: Set<Int64> = []
  var quarantined: [Settlement.Quarantined] = []
  /// Handed over and without an outcome, in order.
  var wire: [PublishOrder] = []
  /// Everything that was ever handed over.
  var sent: [PublishOrder] = []
  var announced: [StatusMessage.State] = []
  var alerts: [String] = []
  var reports: [DeliveryReport] = []
  var connects = 0
  var disconnects = 0
  var wake: UInt64?
  var largestLookAhead = 0

  init(_ configuration: DeliveryConfiguration = DeliveryConfiguration(), waiting: [OutboxItem] = [], seed: UInt64 = 1) {
    machine = DeliveryMachine(configuration, highestStored: waiting.map(\.id).max() ?? 0)
    generator = SeededGenerator(seed: seed)
    self.waiting = waiting
  }

  mutating func send(_ event: DeliveryEvent) {
    var events = [event]
    while !events.isEmpty {
      for action in machine.handle(events.removeFirst(), now: now, using: &generator) {
        switch action {
        case .connect: connects += 1
        case .disconnect: disconnects += 1
        case .load(let order):
          let items = waiting.filter { $0.deliveryClass == order.deliveryClass && $0.id > order.after }
            .sorted { $0.id < $1.id }.prefix(order.limit)
          largestLookAhead = max(largestLookAhead, items.count)
          events.append(.loaded(order, Array(items)))
        case .announce(let state): announced.append(state)
        case .publish(let orders):
          wire += orders
          sent += orders
        case .settle(let settlement): apply(settlement)
        case .apply(let receipts, let settlement):
          apply(settlement)
          events.append(.applied(apply(receipts)))
        case .requeueUnreceipted:
          waiting += awaitingReceipt
          acknowledged.formUnion(awaitingReceipt.map(\.id))
          events.append(.requeued(awaitingReceipt.count))
          awaitingReceipt = []
        case .alert(let code, _, _): alerts.append(code)
        case .report(let report): reports.append(report)
        case .wake(let at): wake = at
        }
      }
    }
  }

  /// As the outbox does: a receipt counts for what was acknowledged.
  private mutating func apply(_ receipts: [Receipt]) -> ReceiptOutcome {
    var outcome = ReceiptOutcome()
    for entry in receipts.flatMap(\.entries) {
      let named = (waiting + awaitingReceipt).filter { $0.captureID == entry.captureID && $0.name == entry.name }
      if named.isEmpty { outcome.unknown += 1 }
      for item in named {
        if acknowledged.contains(item.id) || awaitingReceipt.contains(item) {
          outcome.delivered.append(item.id)
        } else {
          outcome.unfounded.entries.append(entry)
        }
      }
    }
    delivered += outcome.delivered
    waiting.removeAll { outcome.delivered.contains($0.id) }
    awaitingReceipt.removeAll { outcome.delivered.contains($0.id) }
    return outcome
  }

  private mutating func apply(_ settlement: Settlement) {
    for id in settlement.delivered {
      if waiting.contains(where: { $0.id == id }) { delivered.append(id) }
      waiting.removeAll { $0.id == id }
    }
    for id in settlement.awaitingReceipt {
      awaitingReceipt += waiting.filter { $0.id == id }
      waiting.removeAll { $0.id == id }
    }
    acknowledged.formUnion(settlement.unheard)
    quarantined += settlement.quarantined
    waiting.removeAll { item in settlement.quarantined.contains { $0.id == item.id } }
  }

  mutating func store(_ item: OutboxItem) {
    waiting.append(item)
    send(.stored(highestID: item.id))
  }

  mutating func connect(_ limits: ConnectionLimits = ConnectionLimits()) {
    send(.start)
    send(.link(.connected(limits)))
  }

  /// The oldest publish gets its outcome.
  mutating func answer(_ outcome: PublishOutcome = .acknowledged(reason: 0)) {
    guard !wire.isEmpty else { return }
    // Time goes on, so that pacing at 100,000 a second never holds a test up.
    now += 20_000
    send(.link(.published(token: wire.removeFirst().token, outcome: outcome)))
  }

  mutating func answerAll(limit: Int = 100_000) {
    var rounds = 0
    while rounds < limit {
      rounds += 1
      if !wire.isEmpty {
        answer()
      } else if let wake, wake > now, wake < now + 10_000_000_000 {
        now = wake
        send(.tick)
      } else {
        return
      }
    }
  }

  mutating func lose(_ kind: LinkFailure.Kind = .closedByPeer) {
    wire = []
    send(.link(.disconnected(LinkFailure(kind: kind, detail: "test"))))
  }

  /// Moves the clock to the next wake, if there is one.
  mutating func sleep() {
    guard let wake else { return }
    now = max(now, wake)
    send(.tick)
  }
}

/// No pacing, no batching: for tests that are about something else.
func quick(
  _ change: (inout DeliveryConfiguration) -> Void = { _ in }
) -> DeliveryConfiguration {
  var configuration = DeliveryConfiguration(
    confirm: .broker, window: 20, messagesPerSecond: 100_000, settlementBatch: 1, settlementDelayMilliseconds: 0)
  change(&configuration)
  return configuration
}
