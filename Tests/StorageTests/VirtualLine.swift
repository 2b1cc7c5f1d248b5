import Forwarding
import Foundation
import Provenance
import Storage
import Synchronization
import TestSupport

/// A device's delivery with broker and receiver in memory and time that a test moves: what `DeliveryService` does with
/// the actions of `DeliveryMachine`, without a network.
struct VirtualLine {
  /// What the receiver must know of a content to vouch for it.
  struct Expected: Sendable {
    var captureID: RandomIdentifier
    var name: String
  }

  private let outbox: Outbox
  private let clock: ManualClock
  private let composer: MessageComposer
  /// By the hash of the content.
  private let expected: [String: Expected]
  private var machine: DeliveryMachine
  private var generator = SeededGenerator(seed: 1)
  private let notices = Mutexed<[OutboxNotice]>([])
  private let collector: Task<Void, Never>
  private var noticesSeen = 0
  /// Parts of divided messages, by message id of the wire and number of the part.
  private var parts: [String: [Int: [UInt8]]] = [:]
  /// Contents that arrived whole, by their hash, with the capture that they came for.
  private(set) var arrived: [String: String] = [:]
  private(set) var gaps: [GapRecord] = []
  private(set) var alerts = 0
  /// Publishes whose content was not what they said.
  private(set) var wrong: [String] = []

  init(_ outbox: Outbox, clock: ManualClock, expected: [String: Expected]) throws {
    self.outbox = outbox
    self.clock = clock
    self.expected = expected
    composer = MessageComposer(
      topics: TopicSchema(site: try TopicIdentifier("clinic"), device: try TopicIdentifier("unit-1")),
      outboxID: outbox.outboxID, healthExpirySeconds: 60)
    machine = DeliveryMachine(
      DeliveryConfiguration(
        confirm: .receipt, window: 8, messagesPerSecond: 100_000, receiptTimeoutSeconds: 20,
        settlementDelayMilliseconds: 0),
      highestStored: outbox.highestStoredAtStart)
    let (stream, notices) = (outbox.notices, notices)
    collector = Task { for await notice in stream { notices.change { $0.append(notice) } } }
  }

  /// Delivers until nothing waits, or nothing has moved for an hour of virtual time.
  ///
  /// - Parameter meanwhile: done once, when something has arrived.
  /// - Returns: whether nothing waits any more.
  mutating func run(meanwhile: (() throws -> Void)? = nil) async throws -> Bool {
    var meanwhile = meanwhile
    try await send([.start])
    for round in 0..<180 {
      if let now = meanwhile, !arrived.isEmpty {
        meanwhile = nil
        try now()
      }
      let accounts = try await outbox.accounts()
      if DeliveryClass.allCases.allSatisfy({ accounts.backlog($0).rows == 0 }), meanwhile == nil { return true }
      // The notices come by another task.
      if round > 20 { try await Task.sleep(for: .milliseconds(1)) }
      let told = notices.value
      clock.advance(seconds: 20)
      var events: [DeliveryEvent] = [.tick]
      if told[noticesSeen...].contains(where: \.changesWhatWaits) { events.append(.outboxChanged) }
      noticesSeen = told.count
      try await send(events)
    }
    return false
  }

  /// Everything that the outbox told, once it is closed.
  func allNotices() async -> [OutboxNotice] {
    await collector.value
    return notices.value
  }

  private mutating func send(_ first: [DeliveryEvent]) async throws {
    var events = first
    while !events.isEmpty {
      let actions = machine.handle(events, now: clock.now().monotonicNanoseconds, using: &generator)
      events = []
      for action in actions { try await perform(action, &events) }
    }
  }

  private mutating func perform(_ action: DeliveryAction, _ events: inout [DeliveryEvent]) async throws {
    switch action {
    case .connect: events.append(.link(.connected(ConnectionLimits(maximumPacketBytes: 64 << 10))))
    case .disconnect(let failure): events.append(.link(.disconnected(failure)))
    case .load(let order):
      let items = try await outbox.pending(order.deliveryClass, after: order.after, limit: order.limit)
      events.append(.loaded(order, items))
    case .publish(let orders): for order in orders { try await publish(order, &events) }
    case .settle(let settlement): try await outbox.settle(settlement)
    case .requeueUnreceipted(let seconds):
      events.append(.requeued(try await outbox.requeueUnreceipted(olderThanSeconds: seconds)))
    case .apply(let receipts, let settlement):
      events.append(.applied(try await outbox.apply(receipts, after: settlement)))
    case .report, .wake, .announce, .alert: break
    }
  }

  private mutating func publish(_ order: PublishOrder, _ events: inout [DeliveryEvent]) async throws {
    switch await outbox.payloads(of: [order.item])[0] {
    case .success(let payload):
      let message = try composer.message(for: order, payload: payload)
      events.append(.link(.published(token: order.token, outcome: .acknowledged(reason: 0))))
      receive(message, order, &events)
    case .failure(.missing): events.append(.vanished(order.token))
    case .failure(.sealing(.notAuthentic, let id)):
      events.append(.unreadable(order.token, reason: "\(OutboxError.sealing(.notAuthentic, id: id))"))
    case .failure: events.append(.unavailable(order.token))
    }
  }

  /// The receiver goes by what is on the wire alone.
  private mutating func receive(
    _ message: OutgoingMessage, _ order: PublishOrder, _ events: inout [DeliveryEvent]
  ) {
    func property(_ name: String) -> String? { message.userProperties.first { $0.name == name }?.value }
    let id = property(MessageComposer.Name.id) ?? ""
    parts[id, default: [:]][order.part?.index ?? 1] = message.payload
    guard let have = parts[id], have.count == order.part?.count ?? 1 else { return }
    parts[id] = nil
    let content = have.keys.sorted().flatMap { have[$0] ?? [] }
    let hash = Hexadecimal.text(of: OpenSSLDigests().sha256(content))
    if hash != property(MessageComposer.Name.sha256) { wrong.append("\(message.topic): another content than its hash") }
    guard let known = expected[hash] else {
      if message.topic.hasSuffix("/alert") { alerts += 1 }
      if message.topic.hasSuffix("/event"), let gap = try? JSONDecoder().decode(GapRecord.self, from: Data(content)) {
        gaps.append(gap)
      }
      return
    }
    arrived[hash] = property(MessageComposer.Name.captureID)
    if property(MessageComposer.Name.captureID) != "\(known.captureID)" {
      wrong.append("\(message.topic): came for another capture")
    }
    let isRecord = known.name == OutboxItem.recordName
    if message.topic.hasSuffix("/capture") != isRecord { wrong.append("\(message.topic): \(known.name) on this topic") }
    let entry = Receipt.Entry(captureID: known.captureID, name: known.name, sha256: hash)
    events.append(.receipt(Receipt(receiver: "virtual", entries: [entry])))
  }
}

extension OutboxNotice {
  /// As the device takes it: delivery looks from the beginning.
  fileprivate var changesWhatWaits: Bool {
    switch self {
    case .recovered, .mended: true
    default: false
    }
  }
}

/// A value behind a lock that several tasks share.
final class Mutexed<Value: Sendable>: Sendable {
  private let stored: Mutex<Value>

  init(_ value: Value) { stored = Mutex(value) }

  var value: Value { stored.withLock { $0 } }
  func change(_ body: (inout Value) -> Void) { stored.withLock { body(&$0) } }
}
