import CloudLink
import Forwarding
import Foundation
import Provenance
import Synchronization
import TestSupport

/// A client under test with everything that it reported.
final class LinkProbe: Sendable {
  private struct Heard {
    var events: [LinkEvent] = []
  }

  private let heard: Holder
  let client: MQTTClient

  private final class Holder: Sendable {
    let heard = Mutex(Heard())
  }

  init(time: any TimeSource = WallClock()) throws {
    let holder = Holder()
    heard = holder
    client = try MQTTClient(
      time: time,
      events: { event in holder.heard.withLock { $0.events.append(event) } })
  }

  var events: [LinkEvent] { heard.heard.withLock { $0.events } }
  /// How the connection came up.
  var notices: [LinkEvent] {
    events.filter { event in
      switch event {
      case .secured, .subscribed: true
      default: false
      }
    }
  }

  var connections: [ConnectionLimits] {
    events.compactMap { if case .connected(let limits) = $0 { limits } else { nil } }
  }
  var failures: [LinkFailure] {
    events.compactMap { if case .connectionFailed(let failure) = $0 { failure } else { nil } }
  }
  var disconnections: [LinkFailure] {
    events.compactMap { if case .disconnected(let failure) = $0 { failure } else { nil } }
  }
  var messages: [IncomingMessage] {
    events.compactMap { if case .received(let message) = $0 { message } else { nil } }
  }
  var outcomes: [UInt64: PublishOutcome] {
    var outcomes: [UInt64: PublishOutcome] = [:]
    for case .published(let token, let outcome) in events { outcomes[token.rawValue] = outcome }
    return outcomes
  }

  /// Connects and returns what CONNACK allowed; throws the failure otherwise.
  @discardableResult
  func connect(_ settings: LinkSettings) async throws -> ConnectionLimits {
    let before = (connections.count, failures.count)
    client.connect(settings)
    try await eventually("connected or not") { self.connections.count > before.0 || self.failures.count > before.1 }
    if failures.count > before.1, let failure = failures.last { throw failure }
    guard let limits = connections.last else { throw TestFault(description: "no CONNACK") }
    return limits
  }

  /// Connects; a failure is not the last word, because mosquitto 2.0 drops the connection after a broken handshake.
  func connectAtLast(_ settings: LinkSettings) async throws {
    for _ in 0..<4 {
      do {
        try await connect(settings)
        return
      } catch is LinkFailure {
        continue
      }
    }
    try await connect(settings)
  }

  /// Tries to connect and returns the failure.
  func failure(of settings: LinkSettings) async throws -> LinkFailure {
    do {
      try await connect(settings)
    } catch let failure as LinkFailure {
      return failure
    }
    throw TestFault(description: "connected, although it should not")
  }

  /// Publishes and returns the outcome.
  func publish(_ message: OutgoingMessage, token: UInt64) async throws -> PublishOutcome {
    client.publish(message, token: PublishToken(rawValue: token))
    try await eventually("outcome of \(token)") { self.outcomes[token] != nil }
    guard let outcome = outcomes[token] else { throw TestFault(description: "no outcome") }
    return outcome
  }
}

/// The machine's clock, synchronised.
struct WallClock: TimeSource {
  func now() -> Timestamp {
    Timestamp(
      utcNanoseconds: Int64(Date().timeIntervalSince1970 * 1e9), bootID: "test", monotonicNanoseconds: 0,
      synchronised: true)
  }
}

extension LinkSettings {
  /// Plain MQTT to a broker of the test.
  static func plain(_ port: UInt16, _ name: String = "unit-1") -> LinkSettings {
    LinkSettings(
      host: "127.0.0.1", port: port, security: .plaintext(beyondLoopback: false), clientIdentifier: name)
  }
}
