import CloudLink
import Forwarding
import Logging
import Provenance

// What others ask of delivery: the watchdog, `status`, `doctor`, and the log.
extension DeliveryService {
  /// For the watchdog: answered by this service's turn and then by the link's thread.
  func ask(_ answer: @escaping @Sendable () -> Void) {
    client.ask(answer)
  }

  /// Something else than this service changed what waits in the outbox.
  nonisolated func outboxChanged() {
    send(.outboxChanged)
  }

  /// There is a way out of this machine that was not there before.
  package nonisolated func networkCameUp() {
    send(.networkCameUp)
  }

  private var broker: String { "\(link.host):\(link.port)" }

  /// How the line stands.
  package func figures() -> LinkFigures {
    let now = time.now()
    let standing = machine.standing(now: now.monotonicNanoseconds)
    return LinkFigures(
      state: standing.state, broker: broker, protection: status.protection, seconds: standing.seconds,
      lastFailure: machine.lastFailure, inFlight: machine.inFlight, counters: machine.counters,
      certificateDays: status.certificateDays(at: now),
      acceptsUnsignedReceipts: machine.configuration.confirm == .receipt && !downlinks.receipts.rules.requiresSignature)
  }

  // MARK: - Doctor

  /// Whether the first attempt has not come to an end yet.
  var isStillConnecting: Bool {
    !machine.isConnected && machine.lastFailure == nil && !isResting
  }

  private var isResting: Bool { machine.standing(now: time.now().monotonicNanoseconds).state == .resting }

  private var notConnected: LinkFailure {
    machine.lastFailure ?? LinkFailure(kind: .timeout, detail: "\(broker): not connected yet")
  }

  /// The standing connection and the certificates' dates.
  func protectionFinding() -> DoctorFinding {
    if isResting, !machine.isConnected {
      return .skip(.tls, "sending is paused: the sync window is closed, or the day's allowance is used up")
    }
    return LinkExamination(link: link, now: time.now()).finding(
      machine.isConnected ? .success(status.protection) : .failure(notConnected))
  }

  /// Sends a probe over the standing connection; the receiver's receipt, the broker's refusal or the end of the time
  /// answers it. One at a time.
  func roundTrip(_ message: ProbeMessage, digests: some MessageDigests, timeoutMilliseconds: Int) async -> DoctorFinding
  {
    guard machine.isConnected else {
      return isResting
        ? .skip(.receipt, "sending is paused")
        : LinkExamination(link: link, now: time.now()).failed(.receipt, notConnected)
    }
    guard probe == nil else { return .skip(.receipt, "another round trip is under way; try again") }
    let trip: LinkRoundTrip
    do {
      trip = try LinkRoundTrip(
        message, topics: topics, token: takeOwnToken(), sent: time.now().monotonicNanoseconds, digests: digests)
    } catch {
      return .fail(.receipt, "\(error)", remedy: "report this")
    }
    probe = trip
    client.publish(trip.message, token: trip.token)
    await trip.wait(milliseconds: timeoutMilliseconds)
    probe = nil
    return trip.result.finding(broker: broker, needsReceipt: true)
  }

  // MARK: - Log

  func log(_ event: LinkEvent) {
    switch event {
    case .connected(let limits):
      logger.notice("connected", metadata: ["broker": "\(broker)", "security": "\(status.protection)"])
      logger.debug("limits", metadata: ["receive_maximum": "\(limits.receiveMaximum)"])
    case .connectionFailed(let failure):
      logger.info("no connection", metadata: ["broker": "\(broker)", "reason": "\(failure)"])
    case .disconnected(let failure):
      logger.notice("disconnected", metadata: ["reason": "\(failure)"])
    case .subscribed(let filter, let reason) where reason >= 0x80:
      logger.error(
        "the broker refuses a subscription; \(what(of: filter)) cannot arrive, check its ACL",
        metadata: ["filter": "\(filter)", "reason": "\(reason)"])
    case .secured, .subscribed, .oversize, .received, .published, .moving: break
    }
  }

  private func what(of filter: String) -> String {
    switch filter {
    case topics.commands: "commands"
    case topics.configurations: "configurations"
    default: "receipts"
    }
  }

  func log(_ report: DeliveryReport) {
    let level: Logger.Level =
      switch report.severity {
      case .info: .info
      case .warning: .warning
      case .error: .error
      }
    logger.log(level: level, "delivery", metadata: ["report": "\(report)"])
  }
}
