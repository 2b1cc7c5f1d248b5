import Audit
import Forwarding
import Logging
import Provenance
import Remote
import ServiceLifecycle
import Storage
import Trust

/// What came on `dn/trust` and waits for its turn.
package struct TrustIntake: Sendable {
  /// More are dropped; the newest set is offered again at the next birth.
  private static let most = 4

  let messages: AsyncStream<IncomingMessage>
  private let arrivals: AsyncStream<IncomingMessage>.Continuation

  package init() {
    (messages, arrivals) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.most))
  }

  /// Any thread may call.
  package func take(_ message: IncomingMessage) { arrivals.yield(message) }
}

/// Takes newer metadata that the far side sends, verified as if it came from a stick.
package actor TrustService: Service {
  private let intake: TrustIntake
  private let trusts: [RepositoryTrust]
  private let outbox: Outbox
  private let audit: any AuditTrail
  private let time: any TimeSource
  private let logger: Logger
  /// Each verification takes milliseconds, and whoever may write to the topic could ask for it without end.
  private var attempts = RateLimiter(intervalNanoseconds: 60 * 1_000_000_000, burst: 10)
  private var isRefusalTold = false
  private let changed: @Sendable () async -> Void

  /// - Parameter changed: other metadata is trusted from now on.
  package init(
    intake: TrustIntake, trusts: [RepositoryTrust], outbox: Outbox, audit: any AuditTrail = NoAuditTrail(),
    time: any TimeSource, logger: Logger, changed: @escaping @Sendable () async -> Void = {}
  ) {
    self.changed = changed
    self.intake = intake
    self.trusts = trusts
    self.outbox = outbox
    self.audit = audit
    self.time = time
    self.logger = logger
  }

  package func run() async throws {
    for await message in intake.messages.cancelOnGracefulShutdown() { await handle(message.payload) }
    try await gracefulShutdown()
  }

  func handle(_ message: [UInt8]) async {
    let now = time.now()
    guard attempts.allows(now: now.monotonicNanoseconds) else { return }
    attempts.take(now: now.monotonicNanoseconds)
    // What is new is only known once it is trusted, so its entry comes after; without a log nothing is taken.
    guard audit.refusalFromAfar == nil else { return }
    do {
      let bundle = try MetadataBundle(reading: message)
      guard let trust = trusts.first(where: { $0.root == bundle.root }) else {
        throw MetadataFault.missing("the \(bundle.root.rawValue) root")
      }
      let (repository, isNew) = try trust.update(from: bundle)
      isRefusalTold = false
      let detail = "\(bundle.root.rawValue): " + repository.versionsText
      if isNew {
        audit.post(.keys(.trust(root: bundle.root.rawValue, versions: repository.versionsText)))
        logger.notice("newer metadata is trusted", metadata: ["versions": "\(detail)"])
        await changed()
      }
      guard let id = bundle.id else { return }
      let reply = CommandReply(
        toTrust: id, detail: detail, freshness: trust.isClockProven ? .clock : .unproven, at: time.now())
      try await outbox.enqueue(.reply(try reply.encoded(), created: time.now()))
    } catch {
      await refuse("\(error)")
    }
  }

  /// The first after one that was right is told; a topic full of rubbish fills neither log nor outbox.
  private func refuse(_ reason: String) async {
    guard !isRefusalTold else { return }
    isRefusalTold = true
    let detail = "metadata on dn/trust is not believed, and what was trusted stays: \(reason)"
    logger.error("alert", metadata: ["code": "trust-refused", "reason": "\(detail)"])
    do {
      let now = time.now()
      let message = AlertMessage(code: "trust-refused", severity: .warning, detail: detail, at: now)
      try await outbox.enqueue(.alert(message.encoded(), created: now))
    } catch {
      logger.error("an alert could not be stored", metadata: ["code": "trust-refused", "reason": "\(error)"])
    }
  }
}
