import Audit
import Cryptography
import Forwarding
import Logging
import Provenance
import Remote
import ServiceLifecycle
import Storage
import Trust

/// Carries out what the far side asks for, one command after another: judged by `CommandDesk`, written down before it is
/// begun, and answered through the outbox in the commit that says it is done.
///
/// When it ends, the device ends: that is how `restart` is done, after its reply is on disk.
package actor CommandService: Service {
  private let outbox: Outbox
  private let audit: any AuditTrail
  private let effects: CommandEffects
  private let time: any TimeSource
  private let clockFloor: ClockFloor
  private let logger: Logger
  private let intake: DownlinkIntake
  private let challenge: StartChallenge
  /// Where what is not believed is counted; nil where nobody counts.
  private let counters: CounterBoard?
  private var generator: any RandomNumberGenerator & Sendable
  private var reader: CommandReader
  private var desk: CommandDesk?
  private var told: Set<String> = []
  /// Commands that are done and whose replies the disk did not take. None is lost while the program runs: they are tried
  /// again until the disk has room.
  private var unwritten: [(entry: LedgerEntry, reply: [UInt8], created: Timestamp)] = []
  private var isWriting = false
  private var retry: Task<Void, Never>?
  private let sleep: @Sendable (Duration) async throws -> Void
  private static let retryPeriod = Duration.seconds(30)

  package init(
    intake: DownlinkIntake, outbox: Outbox, audit: any AuditTrail = NoAuditTrail(), topics: TopicSchema,
    effects: CommandEffects,
    challenge: StartChallenge = StartChallenge(), time: any TimeSource, clockFloor: ClockFloor,
    generator: any RandomNumberGenerator & Sendable, logger: Logger, counters: CounterBoard? = nil,
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.sleep = sleep
    self.counters = counters
    self.intake = intake
    self.challenge = challenge
    self.outbox = outbox
    self.audit = audit
    self.effects = effects
    self.time = time
    self.clockFloor = clockFloor
    self.generator = generator
    self.logger = logger
    reader = CommandReader(
      nil, site: topics.site.text, device: topics.device.text, verifier: OpenSSLVerifier(), digests: OpenSSLDigests())
  }

  package func run() async throws {
    await begin()
    for await message in intake.messages.cancelOnGracefulShutdown() where await handle(message) { return }
    try await gracefulShutdown()
    retry?.cancel()
    await writeUnwritten()
  }

  /// Opens the ledger, answers for what was interrupted, and names this start. Commands wait until that has worked.
  func begin() async {
    do {
      let began = try await outbox.openLedger(at: clock.seconds)
      let desk = CommandDesk(challenge: challenge.renew(using: &generator), ledgerBeganSeconds: began)
      for entry in try await outbox.interruptedCommands() {
        let reply = CommandReply(interrupted: entry, at: time.now())
        try await outbox.finish(entry, reply: .reply(try reply.encoded(), created: time.now()))
        logger.warning("a command was interrupted", metadata: ["name": "\(entry.name)", "id": "\(entry.id)"])
      }
      self.desk = desk
      await effects.announce(desk.challenge)
    } catch {
      logger.error("the command ledger cannot be opened; no command is carried out", metadata: ["reason": "\(error)"])
    }
  }

  private var clock: CommandClock {
    let now = time.now()
    return CommandClock(
      nowSeconds: now.utcNanoseconds / 1_000_000_000, isProven: clockFloor.believes(now),
      floorSeconds: clockFloor.seconds)
  }

  // MARK: - One command

  /// True when the device is to end.
  func handle(_ message: IncomingMessage) async -> Bool {
    reader.believe(intake.keys)
    switch reader.read(message.payload, isRetained: message.retain, now: time.now().monotonicNanoseconds) {
    case .ignored:
      counters?.ignored(intake.keys)
      return false
    case .refused(let refusal, let isPause):
      counters?.refused(refusal)
      refuse(refusal)
      if isPause {
        await alert(
          "commands-untrusted",
          "\(StatementReading.mostUntrusted) messages on dn/command in a row had no right signature; commands are ignored for ten minutes. Look who may write there (the broker's ACL), and whether the sender has the right key"
        )
      }
      return false
    case .statement(let command, let digest):
      do {
        return try await carryOut(command, digest)
      } catch {
        // Nothing was begun, or its row says so: it is offered again, and answered from there.
        logger.error(
          "a command could not be written down", metadata: ["name": "\(command.name)", "reason": "\(error)"])
        return false
      }
    }
  }

  private func carryOut(_ command: Command, _ digest: [UInt8]) async throws -> Bool {
    await writeUnwritten()
    var view = try await outbox.command(command.id)
    if desk == nil || view.beganSeconds != desk?.ledgerBeganSeconds {
      // The database was made again without its ledger: what this start's challenge proved may have been done.
      await begin()
      view = try await outbox.command(command.id)
    }
    guard var desk else { return false }
    desk.isHalved = effects.lockDownRefusal() != nil
    let decision = desk.decide(
      command, digest: digest, known: view.known, entries: view.entries, clock: clock, at: time.now())
    self.desk = desk
    counters?.judged(command, decision, isKnown: view.known != nil)
    switch decision {
    case .silence: return false
    case .repeatReply(let bytes):
      try await outbox.enqueue(.reply(bytes, created: time.now()))
      return false
    case .answer(let reply):
      audit.post(.commandRefused(name: reply.name, id: command.id, reason: reply.reason ?? ""))
      logger.notice(
        "a command is refused", metadata: ["name": "\(reply.name)", "reason": "\(reply.reason ?? "")"])
      if let known = view.known, known.digest != digest {
        await alert("command-id-twice", "two different commands had the same id; only the first was done")
      }
      try await outbox.enqueue(.reply(try reply.encoded(), created: time.now()))
      return false
    case .begin(let action, let entry, let freshness):
      do {
        try await audit.write(.commandAccepted(name: entry.name, id: entry.id))
      } catch {
        // It is in no ledger: sent again once the log can be written, it is done.
        logger.error("a command is refused: the audit log cannot be written", metadata: ["reason": "\(error)"])
        let reply = CommandReply(
          to: command, .refused, reason: "the audit log cannot be written: \(error)", at: time.now())
        try await outbox.enqueue(.reply(try reply.encoded(), created: time.now()))
        return false
      }
      try await outbox.begin(entry)
      logger.notice(
        "a command is carried out",
        metadata: ["name": "\(entry.name)", "id": "\(entry.id)", "freshness": "\(freshness.rawValue)"])
      return try await perform(action, of: command, entry, freshness)
    }
  }

  private func perform(
    _ action: CommandAction, of command: Command, _ entry: LedgerEntry, _ freshness: CommandReply.Freshness
  ) async throws -> Bool {
    let began = time.now().monotonicNanoseconds
    let outcome = await effects.perform(action, id: entry.id)
    let now = time.now()
    var reply = CommandReply(to: command, outcome.state, reason: outcome.reason, at: now)
    reply.tell(outcome.details)
    reply.freshness = freshness
    reply.tookMilliseconds = Int(
      clamping: (now.monotonicNanoseconds - min(began, now.monotonicNanoseconds)) / 1_000_000)
    do {
      try await outbox.finish(entry, reply: .reply(try reply.encoded(), created: now))
    } catch {
      if action == .restart, outcome.state == .done {
        // Ending now would lose the only word of it.
        reply.state = .failed
        reply.reason = "its reply could not be written down, so that the device did not start again: \(error)"
      }
      try keep(entry, reply, created: now, because: error)
      return false
    }
    try await outbox.forgetCommands(expiredAt: clockFloor.seconds)
    return action == .restart && outcome.state == .done
  }

  private func keep(
    _ entry: LedgerEntry, _ reply: CommandReply, created: Timestamp, because error: any Error
  ) throws {
    unwritten.append((entry, try reply.encoded(), created))
    logger.error(
      "a command is done, and its reply cannot be written down yet; it is tried again",
      metadata: ["name": "\(entry.name)", "reason": "\(error)"])
    guard retry == nil else { return }
    retry = Task { [weak self, sleep] in
      while !Task.isCancelled {
        do { try await sleep(CommandService.retryPeriod) } catch { return }
        guard let self, await !self.writeUnwritten() else { return }
      }
    }
  }

  /// Writes down what the disk did not take before, in its order. True when nothing is left.
  @discardableResult
  func writeUnwritten() async -> Bool {
    // Whoever comes meanwhile finds nothing to do: each is written once.
    guard !isWriting else { return false }
    isWriting = true
    defer { isWriting = false }
    while let first = unwritten.first {
      do {
        try await outbox.finish(first.entry, reply: .reply(first.reply, created: first.created))
      } catch { return false }
      unwritten.removeFirst()
      logger.notice("the reply to a command is written down", metadata: ["name": "\(first.entry.name)"])
    }
    retry = nil
    return true
  }

  // MARK: - Telling

  /// Of each kind the first is told; a broker full of rubbish fills no log.
  private func refuse(_ refusal: StatementRefusal) {
    guard told.insert(refusal.word).inserted else { return }
    audit.post(.commandRefused(name: nil, id: nil, reason: "not believed: \(refusal.word)"))
    logger.error(
      "a command is not believed; more of this kind are not told", metadata: ["reason": "\(refusal)"])
  }

  private func alert(_ code: String, _ detail: String) async {
    let now = time.now()
    logger.error("alert", metadata: ["code": "\(code)", "reason": "\(detail)"])
    do {
      let message = AlertMessage(code: code, severity: .critical, detail: detail, at: now)
      try await outbox.enqueue(.alert(message.encoded(), created: now))
    } catch {
      logger.error("an alert could not be stored", metadata: ["code": "\(code)", "reason": "\(error)"])
    }
  }
}
