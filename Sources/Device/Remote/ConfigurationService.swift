import Audit
import ConfigurationFiles
import Cryptography
import Forwarding
import Logging
import Provenance
import Remote
import ServiceLifecycle
import Storage
import Trust

/// What a configuration from afar does to the running device.
struct ConfigurationEffects: Sendable {
  /// Publishes the birth message again, with this challenge and this standing.
  var announce: @Sendable (_ challenge: String, StatusMessage.Configuration) async -> Void
  /// Nobody is before the device.
  var isIdle: @Sendable () -> Bool
  /// Reads the files again.
  /// - Returns: true when what has changed takes a restart.
  var apply: @Sendable () throws -> Bool
  /// Publishes a reply over the line as it is now, and hears whether the broker has it.
  var send: @Sendable (_ reply: [UInt8], _ settled: @escaping @Sendable (Bool) -> Void) -> Void
}

/// Takes configurations that are signed for this device, tries them, and takes back what cuts the line.
///
///     dn/config --ConfigurationDesk--> check as a whole --> waiting --idle--> trying --line--> confirmed
///                                                                                `--time, second start--> taken back
///
/// When it ends, the device ends: what takes a restart is taken over by the next start.
package actor ConfigurationService: Service {
  /// Seconds between two looks while something is open, and after a disk that did not take what was to be written.
  private static let lookSeconds = 1
  private static let troubleSeconds = 10

  enum Look: Sendable, Equatable {
    /// Nothing is open.
    case rest
    case again(seconds: Int)
    /// The device is to end, and start again.
    case end
  }

  private let intake: DownlinkIntake
  private let folder: RemoteConfigurationFolder
  private let files: ConfigurationFolder
  private let outbox: Outbox
  private let audit: any AuditTrail
  private let effects: ConfigurationEffects
  private let challenge: StartChallenge
  private let time: any TimeSource
  private let clockFloor: ClockFloor
  private let logger: Logger
  /// Where what is not believed is counted; nil where nobody counts.
  private let counters: CounterBoard?
  /// Why none is taken now; nil when it is.
  private let lockDownRefusal: @Sendable () -> String?
  private var generator: any RandomNumberGenerator & Sendable
  private var reader: StatementReader<ConfigurationStatement>
  private var desk = ConfigurationDesk()
  private var trial = ConfigurationTrial()
  private var told: Set<String> = []
  /// What was tried is not in force in this run: it only has to be written down as taken back.
  private var mustTakeBack: Bool
  private var announced: StatusMessage.Configuration?
  private let wakes: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation

  /// - Parameters:
  ///   - folder: where configurations from afar are kept.
  ///   - files: the device's own.
  ///   - ignoresTrial: this run began without what was tried, because it could not be written down as taken back.
  init(
    intake: DownlinkIntake, folder: RemoteConfigurationFolder, files: ConfigurationFolder, outbox: Outbox,
    audit: any AuditTrail = NoAuditTrail(), topics: TopicSchema, effects: ConfigurationEffects,
    challenge: StartChallenge, time: any TimeSource, clockFloor: ClockFloor, ignoresTrial: Bool = false,
    generator: any RandomNumberGenerator & Sendable, logger: Logger, counters: CounterBoard? = nil,
    lockDownRefusal: @escaping @Sendable () -> String? = { nil }
  ) {
    self.intake = intake
    self.folder = folder
    self.files = files
    self.outbox = outbox
    self.audit = audit
    self.effects = effects
    self.challenge = challenge
    self.time = time
    self.clockFloor = clockFloor
    mustTakeBack = ignoresTrial
    self.generator = generator
    self.logger = logger
    self.counters = counters
    self.lockDownRefusal = lockDownRefusal
    reader = StatementReader(
      nil, site: topics.site.text, device: topics.device.text, verifier: OpenSSLVerifier(),
      digests: OpenSSLDigests())
    (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  package func run() async throws {
    await begin()
    let isEnd = await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        for await message in self.intake.messages.cancelOnGracefulShutdown() { await self.handle(message) }
        return false
      }
      group.addTask { await self.watch() }
      for await isEnd in group where isEnd {
        group.cancelAll()
        return true
      }
      return false
    }
    if !isEnd { try await gracefulShutdown() }
  }

  /// Looks whenever there is something to look at.
  private nonisolated func watch() async -> Bool {
    for await _ in wakes.cancelOnGracefulShutdown() {
      while true {
        let look = await look()
        if look == .end { return true }
        guard case .again(let seconds) = look else { break }
        do {
          try await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(seconds)) }
        } catch { return false }
        if Task.isCancelled || Task.isShuttingDownGracefully { return false }
      }
    }
    return false
  }

  /// Somebody else may have changed what there is: a tool at the device.
  nonisolated func lookAgain() { wake.yield() }

  private var clock: CommandClock {
    let now = time.now()
    return CommandClock(
      nowSeconds: now.utcNanoseconds / 1_000_000_000, isProven: clockFloor.believes(now),
      floorSeconds: clockFloor.seconds)
  }

  func begin() async {
    do {
      await announce(try await openRecord())
    } catch {
      logger.error("configurations from afar cannot be kept; none is taken", metadata: ["reason": "\(error)"])
    }
    lookAgain()
  }

  private func openRecord() async throws -> ConfigurationRecord {
    let (record, damage) = try folder.open(at: clock.seconds)
    if let damage {
      await alert(
        "configuration-record-damaged",
        "the record of configurations from afar was damaged (\(damage)); none of them is in force any more. Send the newest again, with a higher version",
        .critical)
    }
    return record
  }

  /// Says in the birth message how it stands, when that has changed.
  private func announce(_ record: ConfigurationRecord) async {
    let standing = StatusMessage.Configuration(
      version: record.inForce?.version, isTried: record.attempt?.isTrying == true, highest: record.highestVersion)
    guard standing != announced else { return }
    announced = standing
    await effects.announce(challenge.made(using: &generator), standing)
  }

  // MARK: - What arrives

  func handle(_ message: IncomingMessage) async {
    reader.believe(intake.keys)
    switch reader.read(message.payload, isRetained: message.retain, now: time.now().monotonicNanoseconds) {
    case .ignored: counters?.ignored(intake.keys)
    case .refused(let refusal, let isPause):
      counters?.refused(refusal)
      if told.insert(refusal.word).inserted {
        logger.error(
          "a configuration is not believed; more of this kind are not told", metadata: ["reason": "\(refusal)"])
      }
      if isPause {
        await alert(
          "configurations-untrusted",
          "\(StatementReading.mostUntrusted) messages on dn/config in a row had no right signature; configurations are ignored for ten minutes. Look who may write there (the broker's ACL), and whether the sender has the right key",
          .critical)
      }
    case .statement(let statement, let digest):
      do {
        try await consider(statement, digest)
      } catch {
        // Nothing was taken: it is offered again at the next birth.
        logger.error(
          "a configuration could not be taken",
          metadata: ["version": "\(statement.version)", "reason": "\(error)"])
      }
    }
  }

  private func consider(_ statement: ConfigurationStatement, _ digest: [UInt8]) async throws {
    var record = try await openRecord()
    // An end that nobody was told yet must be in the outbox before another takes its place.
    record = try await tellEnd(record)
    let decision = desk.decide(
      statement, digest: digest, record: record, challenge: challenge.value, clock: clock, at: time.now())
    switch decision {
    case .silence: return
    case .repeatReply(let bytes):
      counters?.count(.commandsReplayed)
      try await outbox.enqueue(.reply(bytes, created: time.now()))
    case .answer(let reply): try await answer(reply)
    case .examine(let freshness):
      if let refusal = lockDownRefusal() {
        return try await answer(CommandReply(to: statement, .refused, reason: refusal, at: time.now()))
      }
      let faults = files.faults(ofProposed: statement.toml)
      guard faults.isEmpty else {
        var reply = CommandReply(
          to: statement, .refused, reason: "\(faults.count) \(faults.count == 1 ? "fault" : "faults") in it",
          at: time.now())
        reply.tell(faults)
        reply.freshness = freshness
        return try await answer(reply)
      }
      if let former = record.attempt, former.isOpen {
        try await answer(
          CommandReply(
            configuration: former.text, .refused, reason: "version \(statement.version) took its place", at: time.now())
        )
      }
      let sha256 = OpenSSLDigests().sha256(statement.toml)
      do {
        try await audit.write(
          .configuration(.accepted, version: statement.version, sha256: Hexadecimal.text(of: sha256)))
      } catch {
        return try await answer(
          CommandReply(to: statement, .refused, reason: "the audit log cannot be written: \(error)", at: time.now()))
      }
      _ = try folder.change(taking: statement.toml) { record in
        record.accept(statement, digest: digest, sha256: sha256, freshness: freshness)
      }
      logger.notice(
        "a configuration is taken; it is applied when nobody is before the device",
        metadata: [
          "version": "\(statement.version)", "id": "\(statement.id)", "freshness": "\(freshness.rawValue)",
        ])
      lookAgain()
    }
  }

  private func answer(_ reply: CommandReply) async throws {
    audit.post(.configuration(.refused, version: reply.version, sha256: nil, reason: reply.reason))
    logger.notice(
      "a configuration is answered",
      metadata: [
        "version": "\(reply.version ?? 0)", "state": "\(reply.state.rawValue)", "reason": "\(reply.reason ?? "")",
      ])
    try await outbox.enqueue(.reply(try reply.encoded(), created: time.now()))
  }

  /// Puts the reply of what has ended into the outbox, once.
  private func tellEnd(_ record: ConfigurationRecord) async throws -> ConfigurationRecord {
    guard let attempt = record.attempt, !attempt.isOpen, !attempt.isTold, let reply = attempt.reply else {
      return record
    }
    try await outbox.enqueue(.reply(reply, created: time.now()))
    // Killed here, the same reply goes out once more: it is known by its id.
    return try folder.change { $0.attempt?.isTold = true }
  }

  // MARK: - What time brings

  /// Does what is due now.
  func look() async -> Look {
    do {
      guard let record = try folder.read() else { return .rest }
      await announce(record)
      guard let attempt = record.attempt else { return .rest }
      if !attempt.isOpen {
        mustTakeBack = false
        _ = try await tellEnd(record)
        return .rest
      }
      if mustTakeBack {
        try await takeBack(attempt, "the device started again before it was confirmed")
        mustTakeBack = false
        return .rest
      }
      guard
        let step = trial.next(
          attempt, isIdle: effects.isIdle(), clockSeconds: clock.seconds, now: time.now().monotonicNanoseconds)
      else { return .again(seconds: Self.lookSeconds) }
      return try await perform(step, attempt)
    } catch {
      logger.error("a configuration from afar is stuck", metadata: ["reason": "\(error)"])
      return .again(seconds: Self.troubleSeconds)
    }
  }

  private func perform(_ step: ConfigurationTrial.Step, _ attempt: ConfigurationRecord.Attempt) async throws -> Look {
    switch step {
    case .begin: return try await begin(attempt)
    case .send:
      trial.sent()
      let id = attempt.text.id
      var reply = CommandReply(configuration: attempt.text, .trying, at: time.now())
      reply.freshness = attempt.freshness
      effects.send(try reply.encoded()) { isAcknowledged in
        Task { await self.heard(id, isAcknowledged: isAcknowledged) }
      }
      return .again(seconds: Self.lookSeconds)
    case .confirm:
      var reply = CommandReply(configuration: attempt.text, .done, at: time.now())
      reply.freshness = attempt.freshness
      reply.tell(files.remarksOnRemote())
      let bytes = try reply.encoded()
      audit.post(.configuration(.confirmed, version: attempt.text.version, sha256: nil))
      let record = try folder.change { $0.confirm(reply: bytes) }
      logger.notice("a configuration from afar is confirmed", metadata: ["version": "\(attempt.text.version)"])
      await announce(try await tellEnd(record))
      return .rest
    case .refuse(let reason):
      audit.post(.configuration(.refused, version: attempt.text.version, sha256: nil, reason: reason))
      let bytes = try CommandReply(configuration: attempt.text, .refused, reason: reason, at: time.now()).encoded()
      let record = try folder.change { $0.end(.refused, reply: bytes) }
      _ = try await tellEnd(record)
      return .rest
    case .takeBack(let reason):
      do {
        try await takeBack(attempt, reason)
      } catch {
        // The record says that it had its start: the next one runs without it, whatever can be written.
        logger.critical(
          "a configuration cannot be written down as taken back; the device starts again without it",
          metadata: ["reason": "\(error)"])
        return .end
      }
      return try effects.apply() ? .end : .rest
    }
  }

  private func heard(_ id: RandomIdentifier, isAcknowledged: Bool) {
    trial.answered(id, isAcknowledged: isAcknowledged)
  }

  private func begin(_ attempt: ConfigurationRecord.Attempt) async throws -> Look {
    do {
      try await audit.write(.configuration(.trying, version: attempt.text.version, sha256: nil))
    } catch {
      logger.error("a configuration waits: the audit log cannot be written", metadata: ["reason": "\(error)"])
      return .again(seconds: Self.troubleSeconds)
    }
    // As if the running program had had its start: a crash from here on takes it back.
    _ = try folder.change { $0.begin(runs: 1) }
    logger.notice(
      "a configuration from afar is tried",
      metadata: ["version": "\(attempt.text.version)", "minutes": "\(attempt.confirmMinutes)"])
    do {
      guard try effects.apply() else { return .again(seconds: Self.lookSeconds) }
    } catch {
      try await takeBack(attempt, "it could not be applied: \(error)")
      return .rest
    }
    // What has changed takes a restart; that start is its one.
    _ = try folder.change { $0.begin(runs: 0) }
    return .end
  }

  /// What was before is in force again for whoever reads the files from here on.
  private func takeBack(_ attempt: ConfigurationRecord.Attempt, _ reason: String) async throws {
    audit.post(.configuration(.takenBack, version: attempt.text.version, sha256: nil, reason: reason))
    let bytes = try CommandReply(configuration: attempt.text, .rolledBack, reason: reason, at: time.now()).encoded()
    let record = try folder.change { $0.end(.rolledBack, reply: bytes) }
    await alert(
      "configuration-taken-back", "version \(attempt.text.version) from afar was taken back: \(reason)", .warning)
    await announce(try await tellEnd(record))
  }

  private func alert(_ code: String, _ detail: String, _ severity: AlertMessage.Severity) async {
    let now = time.now()
    logger.error("alert", metadata: ["code": "\(code)", "reason": "\(detail)"])
    do {
      let message = AlertMessage(code: code, severity: severity, detail: detail, at: now)
      try await outbox.enqueue(.alert(message.encoded(), created: now))
    } catch {
      logger.error("an alert could not be stored", metadata: ["code": "\(code)", "reason": "\(error)"])
    }
  }
}
