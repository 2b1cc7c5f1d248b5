import Cryptography
import Forwarding
import Logging
import Provenance
import Remote
import ServiceLifecycle
import Storage
import Trust

/// What came on `dn/command` and waits for its turn.
package struct CommandIntake: Sendable {
  /// More are dropped, and the far side offers them again at the next birth.
  private static let most = 64

  /// Whose word counts where no site root is installed.
  private let configuredKeys: TrustedKeys?
  private let siteKeys: @Sendable () -> SiteKeys
  let messages: AsyncStream<IncomingMessage>
  private let arrivals: AsyncStream<IncomingMessage>.Continuation
  private let logger: Logger

  /// - Parameters:
  ///   - keys: of the configuration's file; they count only as long as no site root is installed.
  ///   - siteKeys: asked before each command, because the site may list others while the device runs.
  package init(
    keys: TrustedKeys?, siteKeys: @escaping @Sendable () -> SiteKeys = { .noRoot }, logger: Logger
  ) {
    configuredKeys = keys
    self.siteKeys = siteKeys
    self.logger = logger
    (messages, arrivals) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.most))
  }

  /// Who may command now: by the site's list where its root is installed, else by the configuration's file.
  package var keys: SiteKeys {
    switch siteKeys() {
    case .noRoot: configuredKeys.map { .keys($0) } ?? .none("remote.command_keys_file holds no keys")
    case let listed: listed
    }
  }

  /// Any thread may call.
  package func take(_ message: IncomingMessage) {
    if case .dropped = arrivals.yield(message) {
      logger.warning("too many commands wait; one is dropped, and may come again at the next birth")
    }
  }
}

/// Carries out what the far side asks for, one command after another: judged by `CommandDesk`, written down before it is
/// begun, and answered through the outbox in the commit that says it is done.
///
/// When it ends, the device ends: that is how `restart` is done, after its reply is on disk.
package actor CommandService: Service {
  private let outbox: Outbox
  private let effects: CommandEffects
  private let time: any TimeSource
  private let clockFloor: ClockFloor
  private let logger: Logger
  private let intake: CommandIntake
  private var generator: any RandomNumberGenerator & Sendable
  private let site: String
  private let device: String
  /// By the keys that counted last; nil until somebody's did.
  private var reader: (keys: TrustedKeys, reader: CommandReader)?
  private var desk: CommandDesk?
  private var told: Set<String> = []

  package init(
    intake: CommandIntake, outbox: Outbox, topics: TopicSchema, effects: CommandEffects,
    time: any TimeSource, clockFloor: ClockFloor, generator: any RandomNumberGenerator & Sendable, logger: Logger
  ) {
    self.intake = intake
    self.outbox = outbox
    self.effects = effects
    self.time = time
    self.clockFloor = clockFloor
    self.generator = generator
    self.logger = logger
    site = topics.site.text
    device = topics.device.text
  }

  package func run() async throws {
    await begin()
    for await message in intake.messages.cancelOnGracefulShutdown() where await handle(message) { return }
    try await gracefulShutdown()
  }

  /// Opens the ledger, answers for what was interrupted, and names this start. Commands wait until that has worked.
  func begin() async {
    do {
      let began = try await outbox.openLedger(at: clock.seconds)
      let desk = CommandDesk(challenge: newChallenge(), ledgerBeganSeconds: began)
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

  private func newChallenge() -> String {
    Hexadecimal.text(of: (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) })
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
    switch read(message) {
    case .ignored: return false
    case .refused(let refusal, let isPause):
      refuse(refusal)
      if isPause {
        await alert(
          "commands-untrusted",
          "\(CommandReader.mostUntrusted) messages on dn/command in a row had no right signature; commands are ignored for ten minutes. Look who may write there (the broker's ACL), and whether the sender has the right key"
        )
      }
      return false
    case .command(let command, let digest):
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

  private func read(_ message: IncomingMessage) -> CommandReader.Reading {
    guard case .keys(let keys) = intake.keys else {
      if case .none(let reason) = intake.keys, told.insert("nobody").inserted {
        logger.error("a command is not believed: nobody may command", metadata: ["reason": "\(reason)"])
      }
      return .ignored
    }
    if reader?.keys != keys {
      let new = CommandReader(
        keys, site: site, device: device, verifier: OpenSSLVerifier(), digests: OpenSSLDigests())
      reader = (keys, new)
    }
    return reader?.reader.read(
      message.payload, isRetained: message.retain, now: time.now().monotonicNanoseconds) ?? .ignored
  }

  private func carryOut(_ command: Command, _ digest: [UInt8]) async throws -> Bool {
    var view = try await outbox.command(command.id)
    if desk == nil || view.beganSeconds != desk?.ledgerBeganSeconds {
      // The database was made again without its ledger: what this start's challenge proved may have been done.
      await begin()
      view = try await outbox.command(command.id)
    }
    guard var desk else { return false }
    let decision = desk.decide(
      command, digest: digest, known: view.known, entries: view.entries, clock: clock, at: time.now())
    self.desk = desk
    switch decision {
    case .silence: return false
    case .repeatReply(let bytes):
      try await outbox.enqueue(.reply(bytes, created: time.now()))
      return false
    case .answer(let reply):
      logger.notice(
        "a command is refused", metadata: ["name": "\(reply.name)", "reason": "\(reply.reason ?? "")"])
      if let known = view.known, known.digest != digest {
        await alert("command-id-twice", "two different commands had the same id; only the first was done")
      }
      try await outbox.enqueue(.reply(try reply.encoded(), created: time.now()))
      return false
    case .begin(let action, let entry, let freshness):
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
    try await outbox.finish(entry, reply: .reply(try reply.encoded(), created: now))
    try await outbox.forgetCommands(expiredAt: clockFloor.seconds)
    return action == .restart && outcome.state == .done
  }

  // MARK: - Telling

  /// Of each kind the first is told; a broker full of rubbish fills no log.
  private func refuse(_ refusal: CommandRefusal) {
    let kind =
      switch refusal {
      case .retained: "retained"
      case .untrusted: "untrusted"
      case .malformed: "malformed"
      case .misdirected: "misdirected"
      }
    guard told.insert(kind).inserted else { return }
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
