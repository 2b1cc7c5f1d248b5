import Forwarding
import Provenance
import Trust

/// Decides what becomes of a command that is believed: pure, so that every order of events can be played.
///
/// Two things make sure that a command is done at most once. Its row stands in the ledger before it is begun; rows go when
/// the time floor has passed their end, from when on the command is refused as expired. And what was issued before the
/// ledger began is refused, so that a ledger that was lost lets nothing in again.
package struct CommandDesk: Sendable {
  /// Rows that the ledger holds.
  package static let mostEntries = 4096
  /// How far another clock may be ahead of ours.
  package static let leewaySeconds: Int64 = 600
  private static let hourNanoseconds: UInt64 = 3600 * 1_000_000_000

  package enum Decision: Sendable, Equatable {
    /// Write `entry` down, then do it.
    case begin(CommandAction, LedgerEntry, CommandReply.Freshness)
    /// Answer, and write nothing down.
    case answer(CommandReply)
    /// The same reply once more.
    case repeatReply([UInt8])
    /// Say nothing: it is being done, or too much was answered already.
    case silence
  }

  /// Of this start of the device; the birth message names it.
  package let challenge: String
  package let ledgerBeganSeconds: Int64
  private var commands = RateLimiter(intervalNanoseconds: hourNanoseconds / 30, burst: 10)
  private var doctors = RateLimiter(intervalNanoseconds: hourNanoseconds / 6, burst: 2)
  private var restarts = RateLimiter(intervalNanoseconds: 8 * hourNanoseconds, burst: 1)
  /// While the device is locked down each command counts for two.
  package var isHalved = false
  /// Answers that come from no effect, so that whoever has a valid command cannot fill the outbox with it.
  private var answers = RateLimiter(intervalNanoseconds: hourNanoseconds / 240, burst: 60)

  /// - Parameters:
  ///   - challenge: random, new at each start.
  ///   - ledgerBeganSeconds: `CommandClock.seconds` when the ledger was made.
  package init(challenge: String, ledgerBeganSeconds: Int64) {
    self.challenge = challenge
    self.ledgerBeganSeconds = ledgerBeganSeconds
  }

  /// - Parameters:
  ///   - known: the ledger's row of this id.
  ///   - entries: rows in the ledger.
  package mutating func decide(
    _ command: Command, digest: [UInt8], known: LedgerEntry?, entries: Int, clock: CommandClock, at now: Timestamp
  ) -> Decision {
    let monotonic = now.monotonicNanoseconds
    if let known {
      guard known.digest == digest else {
        return answer(command, .refused, "another command had this id", now)
      }
      guard let reply = known.reply, Self.take(&answers, monotonic) else { return .silence }
      return .repeatReply(reply)
    }
    if let reason = refusalByTime(command, clock) { return answer(command, .refused, reason, now) }
    let action: CommandAction
    switch command.action {
    case .success(let asked): action = asked
    case .failure(let fault): return answer(command, .refused, "\(fault)", now)
    }
    let isOfThisStart = command.challenge == ExactText(challenge)
    guard command.challenge == nil || isOfThisStart else {
      return answer(command, .refused, "meant for another start of the device; the newest birth names this one", now)
    }
    guard clock.isProven || isOfThisStart || !action.hasEffect else {
      return answer(
        command, .refused, "the clock is not proven: the command must name this start (for_boot)", now)
    }
    guard entries < Self.mostEntries else { return answer(command, .busy, "the ledger is full", now) }
    guard allows(action, monotonic) else { return answer(command, .busy, "too many commands; try later", now) }
    return .begin(
      action,
      LedgerEntry(id: command.id, digest: digest, name: command.name, expiresSeconds: command.expiresSeconds),
      clock.isProven ? .clock : isOfThisStart ? .challenge : .unproven)
  }

  private func refusalByTime(_ command: Command, _ clock: CommandClock) -> String? {
    guard command.expiresSeconds > command.issuedSeconds,
      command.expiresSeconds - command.issuedSeconds <= Command.longestSeconds
    else { return "it must end after it was issued, and within 7 days" }
    if command.expiresSeconds <= clock.seconds { return "its time is over" }
    if command.issuedSeconds < ledgerBeganSeconds { return "it was issued before this device's ledger began" }
    if clock.isProven, command.issuedSeconds - Self.leewaySeconds > clock.seconds {
      return "it is issued in the future"
    }
    return nil
  }

  private mutating func allows(_ action: CommandAction, _ now: UInt64) -> Bool {
    guard commands.allows(now: now) else { return false }
    switch action {
    case .doctor: guard Self.take(&doctors, now) else { return false }
    case .restart: guard Self.take(&restarts, now) else { return false }
    case .status, .resend, .holdImages, .logLevel, .captureRequest, .identify, .updateInstall, .updateRollback,
      .sentinelRelease, .patientRestore:
      break
    }
    commands.take(now: now)
    // Each counts for two: the limit is half of what it was.
    if isHalved { commands.take(now: now) }
    return true
  }

  private static func take(_ limiter: inout RateLimiter, _ now: UInt64) -> Bool {
    guard limiter.allows(now: now) else { return false }
    limiter.take(now: now)
    return true
  }

  private mutating func answer(
    _ command: Command, _ state: CommandReply.State, _ reason: String, _ now: Timestamp
  ) -> Decision {
    guard Self.take(&answers, now.monotonicNanoseconds) else { return .silence }
    return .answer(CommandReply(to: command, state, reason: reason, at: now))
  }
}
