import CaptureDatabase
import CloudLink
import Forwarding
import Provenance
import Receiving
import Synchronization

/// One broker of the worker: messages in, receipts and downlinks out, connected again after every loss.
///
/// A refused subscription is a failed connection, because clusters refuse for a while when they fail over; and a
/// connection on which nothing came for `renewSeconds` is renewed, because a subscription can vanish without a word.
final class BrokerLine: Sendable {
  enum Event: Sendable {
    case message(IncomingMessage)
    case ready
    case down(LinkFailure, nextAttemptMilliseconds: Int)
    case refused(filter: String, reason: UInt8)
    case receiptFault(String)
  }

  private struct State: ~Copyable {
    var receipts: ReceiptQueue
    var backoff = ReconnectBackoff(BrokerLine.backoff)
    var isWanted = false
    var isConnected = false
    var subscriptions = 0
    /// An attempt is planned or under way.
    var isComing = false
    var refusal: UInt8?
    var lastArrival: Int64 = 0
    /// There was no room for more, so the broker keeps what comes.
    var isPaused = false
    var downlinks: [PublishToken: String] = [:]
    var waitingDownlinks: [DownlinkEnvelope] = []
    var publishedDownlinks: [String] = []
    var nextDownlink: UInt64 = 1 << 63
  }

  /// Far shorter than a device's: what devices publish at a broker before a worker listens there is lost, and they send it
  /// again only after their wait for a receipt, ten minutes. HAProxy sends nobody to a broker that was not up for longer
  /// than this.
  private static let backoff = ReconnectBackoff.Configuration(
    minimumMilliseconds: 200, maximumMilliseconds: 1000, lossSpreadMilliseconds: 1000, refusedFloorMilliseconds: 1000)
  private static let downlinksMaximum = 1024
  private static let downlinksInFlight = 4

  let place: String
  private let settings: LinkSettings
  private let renewSeconds: Int
  private let hear: @Sendable (Event) -> Void
  private let hasRoom: @Sendable () -> Bool
  private let state: Mutex<State>
  private let client = Mutex<MQTTClient?>(nil)

  /// - Parameter hasRoom: asked after each message; when not, nothing more is read until `readOn`.
  init(
    _ settings: LinkSettings, receipts: ReceiptQueue, renewSeconds: Int, time: any TimeSource,
    hasRoom: @escaping @Sendable () -> Bool, hear: @escaping @Sendable (Event) -> Void
  ) throws(LinkFailure) {
    self.settings = settings
    self.renewSeconds = renewSeconds
    self.hasRoom = hasRoom
    self.hear = hear
    place = "\(settings.host):\(settings.port)"
    state = Mutex(State(receipts: receipts))
    let started = try MQTTClient(time: time, events: { [weak self] in self?.take($0) })
    client.withLock { $0 = started }
  }

  func start() {
    state.withLock { $0.isWanted = true }
    connect(after: 0)
  }

  /// Leaves the broker until `start`.
  func leave() {
    let isConnected = state.withLock { state in
      state.isWanted = false
      return state.isConnected
    }
    if isConnected { client.withLock { $0 }?.disconnect() }
  }

  /// There is room again. To be called again and again while there is: a line may have found none a moment ago.
  func readOn() {
    state.withLock { state in
      guard state.isPaused else { return }
      state.isPaused = false
      state.lastArrival = monotonicMilliseconds()
      client.withLock { $0 }?.read(true)
    }
  }

  /// Nothing more is to come; receipts still go out.
  func beginDraining() {
    state.withLock { $0.isWanted = false }
    client.withLock { $0 }?.unsubscribe()
  }

  func stop() async {
    state.withLock { $0.isWanted = false }
    await client.withLock { $0 }?.stop()
  }

  var isConnected: Bool { state.withLock { $0.isConnected } }
  var isReady: Bool { state.withLock { $0.isConnected && $0.subscriptions == settings.subscriptions.count } }
  var hasSentAll: Bool { state.withLock { !$0.isConnected || $0.receipts.isEmpty } }

  /// Calls back from the link's thread, for the watchdog.
  func ask(_ answer: @escaping @Sendable () -> Void) { client.withLock { $0 }?.ask(answer) }

  /// Takes receipts for devices of this broker; false when there is no room.
  func send(_ receipts: [AddressedReceipt]) -> Bool {
    let isComplete = state.withLock { state in
      let added = receipts.map { state.receipts.add($0) }
      return !added.contains(false)
    }
    publish()
    return isComplete
  }

  func send(_ downlinks: [DownlinkEnvelope]) {
    state.withLock { state in
      let waiting = Set(state.waitingDownlinks.map(\.id)).union(state.downlinks.values)
      let added = downlinks.filter { !waiting.contains($0.id) }
      // What finds no room is published at the next birth.
      state.waitingDownlinks += added.prefix(max(0, Self.downlinksMaximum - state.waitingDownlinks.count))
    }
    publish()
  }

  /// Ids of the downlinks that the broker has, each told once.
  func takePublished() -> [String] {
    state.withLock { state in
      defer { state.publishedDownlinks = [] }
      return state.publishedDownlinks
    }
  }

  /// To be called about once a second.
  func tick() {
    let isStale = state.withLock { state in
      state.isConnected && state.isWanted && !state.isPaused
        && monotonicMilliseconds() - state.lastArrival > Int64(renewSeconds) * 1000
    }
    if isStale { client.withLock { $0 }?.disconnect() }
  }

  // MARK: On the client's thread

  private func take(_ event: LinkEvent) {
    switch event {
    case .moving, .secured, .oversize: break
    case .connected(let limits):
      state.withLock { state in
        state.isConnected = true
        state.isComing = false
        state.isPaused = false
        state.subscriptions = 0
        state.lastArrival = monotonicMilliseconds()
        state.receipts.connectionBegan(maximumPacketBytes: limits.maximumPacketBytes)
      }
      publish()
    case .connectionFailed(let failure): retry(failure)
    case .disconnected(let failure):
      state.withLock { state in
        state.isConnected = false
        state.receipts.connectionEnded()
        state.downlinks = [:]
      }
      retry(failure)
    case .published(let token, let outcome): settle(token, outcome)
    case .subscribed(let filter, let reason):
      guard reason < 0x80 else {
        state.withLock { $0.refusal = reason }
        hear(.refused(filter: filter, reason: reason))
        client.withLock { $0 }?.disconnect()
        return
      }
      let isReady = state.withLock { state in
        state.subscriptions += 1
        guard state.subscriptions == settings.subscriptions.count else { return false }
        state.backoff = ReconnectBackoff(Self.backoff)
        return true
      }
      if isReady { hear(.ready) }
    case .received(let message):
      state.withLock { $0.lastArrival = monotonicMilliseconds() }
      hear(.message(message))
      if !hasRoom() { pause() }
    }
  }

  private func pause() {
    state.withLock { state in
      guard state.isConnected, !state.isPaused else { return }
      state.isPaused = true
      client.withLock { $0 }?.read(false)
    }
  }

  private func settle(_ token: PublishToken, _ outcome: PublishOutcome) {
    state.withLock { state in
      guard let id = state.downlinks.removeValue(forKey: token) else { return state.receipts.settled(token) }
      if case .acknowledged = outcome { state.publishedDownlinks.append(id) }
    }
    publish()
  }

  private func publish() {
    do {
      let ready = try state.withLock { state in
        var ready = try state.receipts.takeReady()
        while state.isConnected, state.downlinks.count < Self.downlinksInFlight, !state.waitingDownlinks.isEmpty {
          let downlink = state.waitingDownlinks.removeFirst()
          let token = PublishToken(rawValue: state.nextDownlink)
          state.nextDownlink += 1
          state.downlinks[token] = downlink.id
          ready.append((downlink.message, token))
        }
        return ready
      }
      if !ready.isEmpty { client.withLock { $0 }?.publish(ready) }
    } catch {
      hear(.receiptFault("\(error)"))
    }
  }

  private func retry(_ failure: LinkFailure) {
    let milliseconds = state.withLock { state -> Int? in
      state.isComing = false
      guard state.isWanted else { return nil }
      var generator = SystemRandomNumberGenerator()
      // Closed by this side because the broker refused the subscription, or because the connection was stale.
      let kind: LinkFailure.Kind = state.refusal == nil ? failure.kind : .refused
      let isRenewal = failure.kind == .requested && state.refusal == nil
      state.refusal = nil
      return isRenewal ? 0 : state.backoff.afterFailure(kind, using: &generator)
    }
    guard let milliseconds else { return }
    hear(.down(failure, nextAttemptMilliseconds: milliseconds))
    connect(after: milliseconds)
  }

  private func connect(after milliseconds: Int) {
    let isPlanned = state.withLock { state in
      defer { state.isComing = true }
      return state.isComing || state.isConnected
    }
    guard !isPlanned else { return }
    Task { [weak self] in
      try? await Task.sleep(for: .milliseconds(milliseconds))
      self?.connectNow()
    }
  }

  private func connectNow() {
    let isWanted = state.withLock { state in
      if !state.isWanted { state.isComing = false }
      return state.isWanted
    }
    if isWanted { client.withLock { $0 }?.connect(settings) }
  }
}
