import CloudLink
import Forwarding
import Provenance
import Synchronization

/// Hears births and receipts at one broker, and comes back when that dies. Nothing else: a broker tells a device that nobody
/// subscribes to what it sends, and an observer of that would hide that no worker listens.
final class Observer: Sendable {
  private let client = Mutex<MQTTClient?>(nil)
  private let subscriptions = Mutex(0)
  private let settings: LinkSettings

  init(_ place: String, at broker: Int, account: Account, time: some TimeSource) throws {
    guard let address = BrokerAddress(place) else { throw LinkFailure(kind: .nameResolution, detail: place) }
    var generator = SystemRandomNumberGenerator()
    var settings = LinkSettings(
      host: address.host, port: address.port, security: .plaintext(beyondLoopback: false),
      clientIdentifier: "observer-\(UInt32.random(in: 0...UInt32.max, using: &generator))")
    settings.subscriptions = ["tg/v1/+/+/up/status", "tg/v1/+/+/dn/receipt"]
    settings.receiveMaximum = 1000
    settings.takesRetained = false
    settings.incomingPacketBytesMaximum = 4 << 20
    self.settings = settings
    let started = try MQTTClient(time: time) { [weak self] event in self?.hear(event, at: broker, account) }
    client.withLock { $0 = started }
    started.connect(settings)
  }

  private func hear(_ event: LinkEvent, at broker: Int, _ account: Account) {
    switch event {
    case .received(let message): account.saw(message, at: broker)
    case .subscribed: subscriptions.withLock { $0 += 1 }
    case .connectionFailed, .disconnected:
      subscriptions.withLock { $0 = 0 }
      Task { [weak self] in
        try? await Task.sleep(for: .milliseconds(300))
        guard let self else { return }
        self.client.withLock { $0 }?.connect(self.settings)
      }
    default: break
    }
  }

  func ready() async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      if subscriptions.withLock({ $0 }) == settings.subscriptions.count { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw LinkFailure(kind: .timeout, detail: "\(settings.host):\(settings.port): no observer")
  }
}
