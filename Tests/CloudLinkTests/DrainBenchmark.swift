import CloudLink
import Forwarding
import Foundation
import Synchronization
import Testing

/// How fast a backlog leaves the device, beside a mosquitto bridge with the same backlog.
///
/// Not a test: THERMOGRAPH_BENCHMARK=1 starts it, `make bench-delivery` in a release build. Each round measures both,
/// one after the other, from the first to the last message that a subscriber of the target broker sees.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["THERMOGRAPH_BENCHMARK"] == "1"), .serialized)
struct DrainBenchmark {
  private static func number(_ name: String, _ standard: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
  }

  private let rounds = number("THERMOGRAPH_BENCHMARK_ROUNDS", 5)
  private let messages = number("THERMOGRAPH_BENCHMARK_MESSAGES", 4000)
  private let broad = ["allow_anonymous true", "max_inflight_messages 0", "max_queued_messages 0"]

  @Test func drainBesideABridge() async throws {
    var ours: [Double] = []
    var bridge: [Double] = []
    for _ in 0..<rounds {
      ours.append(try await drainOutbox(bytes: 6000))
      bridge.append(try await drainBridge(bytes: 6000))
    }
    print("drain 6 KB, messages a second: outbox \(Self.row(ours)); bridge \(Self.row(bridge))")
    print("ratio of the medians: \(Self.median(ours) / Self.median(bridge))")
  }

  private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

  private static func row(_ values: [Double]) -> String {
    let sorted = values.sorted()
    return "min \(Int(sorted[0])) median \(Int(median(values))) max \(Int(sorted[sorted.count - 1]))"
  }

  /// Counts what arrives below `up`, and when the first and the last came.
  private final class Meter: Sendable {
    private struct State {
      var count = 0
      var first = ContinuousClock.now
      var last = ContinuousClock.now
      var isReady = false
    }

    private let state = Mutex(State())

    func hear(_ event: LinkEvent) {
      guard case .received(let message) = event, message.payload.count > 1000 else { return }
      state.withLock { state in
        state.last = ContinuousClock.now
        if state.count == 0 { state.first = state.last }
        state.count += 1
      }
    }

    func ready() { state.withLock { $0.isReady = true } }
    var isReady: Bool { state.withLock { $0.isReady } }
    var count: Int { state.withLock { $0.count } }
    var perSecond: Double {
      state.withLock { Double($0.count - 1) / (($0.last - $0.first) / .seconds(1)) }
    }
  }

  private func subscriber(_ port: UInt16, _ meter: Meter) async throws -> MQTTClient {
    let client = try MQTTClient(time: WallClock(), events: { meter.hear($0) }, notices: { _ in meter.ready() })
    var settings = LinkSettings.plain(port, "meter")
    settings.subscriptions = ["#"]
    settings.receiveMaximum = 65_535
    client.connect(settings)
    try await eventually("the meter is subscribed") { meter.isReady }
    return client
  }

  /// A sealed outbox with a backlog, drained by the device's own delivery.
  private func drainOutbox(bytes: Int) async throws -> Double {
    let broker = try MosquittoBroker(extra: broad)
    try await broker.start()
    let meter = Meter()
    let subscriber = try await subscriber(broker.port, meter)
    let device = try DeviceBench()
    // Ten images a capture; their records are small and not counted.
    for _ in 0..<messages / 10 { try await device.store(images: [Int](repeating: bytes, count: 10)) }
    try device.start(broker.port, confirm: .broker)
    let expected = messages / 10 * 10
    try await eventually("drained", withinSeconds: 300) { meter.count >= expected }
    let rate = meter.perSecond
    try await device.stop()
    await subscriber.stop()
    return rate
  }

  /// A mosquitto with the same backlog in its queue for a bridge.
  private func drainBridge(bytes: Int) async throws -> Double {
    let target = try MosquittoBroker(extra: broad)
    let source = try MosquittoBroker(
      extra: broad + [
        "connection out", "address 127.0.0.1:\(target.port)", "topic # out 1", "cleansession false",
        "restart_timeout 1 1", "bridge_protocol_version mqttv50", "bridge_attempt_unsubscribe false",
      ])
    try await source.start()
    let feeder = try LinkProbe()
    var settings = LinkSettings.plain(source.port, "feeder")
    settings.inFlightMaximum = 1000
    try await feeder.connect(settings)
    for token in 0..<UInt64(messages) {
      feeder.client.publish(
        OutgoingMessage(topic: "up/a", payload: [UInt8](repeating: 7, count: bytes)),
        token: PublishToken(rawValue: token))
      if token % 500 == 499 {
        try await eventually("the queue takes them") { feeder.outcomes.count > Int(token) }
      }
    }
    try await target.start()
    let meter = Meter()
    let subscriber = try await subscriber(target.port, meter)
    try await eventually("the bridge is empty", withinSeconds: 300) { meter.count >= messages }
    let rate = meter.perSecond
    await feeder.client.stop()
    await subscriber.stop()
    return rate
  }
}
