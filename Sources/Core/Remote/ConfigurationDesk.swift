import Forwarding
import Provenance
import Trust

/// Decides what becomes of a believed configuration before anybody reads its text: pure, so that every order of events can
/// be played. That nothing is applied twice, and nothing old again, hangs on the versions in the record and on no clock.
package struct ConfigurationDesk: Sendable {
  private static let hourNanoseconds: UInt64 = 3600 * 1_000_000_000

  package enum Decision: Sendable, Equatable {
    /// Check its text; if that is in order, take it.
    case examine(CommandReply.Freshness)
    case answer(CommandReply)
    /// The same reply once more.
    case repeatReply([UInt8])
    /// Say nothing: it is waiting or being tried, or too much was answered already.
    case silence
  }

  /// Texts that are examined, and answers.
  private var examinations = RateLimiter(intervalNanoseconds: hourNanoseconds / 30, burst: 10)
  private var answers = RateLimiter(intervalNanoseconds: hourNanoseconds / 240, burst: 60)

  package init() {}

  /// - Parameters:
  ///   - challenge: of this start of the device.
  package mutating func decide(
    _ statement: ConfigurationStatement, digest: [UInt8], record: ConfigurationRecord, challenge: String,
    clock: CommandClock, at now: Timestamp
  ) -> Decision {
    let monotonic = now.monotonicNanoseconds
    if let attempt = record.attempt, attempt.text.id == statement.id {
      guard attempt.digest == digest else {
        return answer(statement, .refused, "another configuration had this id", now)
      }
      guard let reply = attempt.reply, Self.take(&answers, monotonic) else { return .silence }
      return .repeatReply(reply)
    }
    if let reason = Self.refusal(statement, record: record, clock: clock) {
      return answer(statement, .refused, reason, now)
    }
    let isOfThisStart = !challenge.isEmpty && statement.challenge == ExactText(challenge)
    guard statement.challenge == nil || isOfThisStart else {
      return answer(statement, .refused, "meant for another start of the device; the newest birth names this one", now)
    }
    guard clock.isProven || isOfThisStart else {
      return answer(
        statement, .refused, "the clock is not proven: the configuration must name this start (for_boot)", now)
    }
    if record.attempt?.isTrying == true {
      return answer(statement, .busy, "another configuration is being tried; it is confirmed or taken back first", now)
    }
    guard Self.take(&examinations, monotonic) else {
      return answer(statement, .busy, "too many configurations; try later", now)
    }
    return .examine(clock.isProven ? .clock : .challenge)
  }

  /// What keeps it out by version and time, whichever way it came; nil: nothing.
  package static func refusal(
    _ statement: ConfigurationStatement, record: ConfigurationRecord, clock: CommandClock
  ) -> String? {
    guard statement.version > record.highestVersion else {
      return "version \(statement.version) is not above \(record.highestVersion), the highest that was taken here"
    }
    guard statement.version - record.highestVersion <= ConfigurationStatement.mostStep else {
      return "version \(statement.version) is more than \(ConfigurationStatement.mostStep) above "
        + "\(record.highestVersion), the highest that was taken here"
    }
    guard statement.expiresSeconds > statement.issuedSeconds,
      statement.expiresSeconds - statement.issuedSeconds <= ConfigurationStatement.longestSeconds
    else { return "it must end after it was issued, and within 30 days" }
    if statement.expiresSeconds <= clock.seconds { return "its time is over" }
    if statement.issuedSeconds < record.beganSeconds {
      return "it was issued before this device's record of configurations began"
    }
    if clock.isProven, statement.issuedSeconds - CommandDesk.leewaySeconds > clock.seconds {
      return "it is issued in the future"
    }
    return nil
  }

  private static func take(_ limiter: inout RateLimiter, _ now: UInt64) -> Bool {
    guard limiter.allows(now: now) else { return false }
    limiter.take(now: now)
    return true
  }

  private mutating func answer(
    _ statement: ConfigurationStatement, _ state: CommandReply.State, _ reason: String, _ now: Timestamp
  ) -> Decision {
    guard Self.take(&answers, now.monotonicNanoseconds) else { return .silence }
    return .answer(CommandReply(to: statement, state, reason: reason, at: now))
  }
}

/// The trial of one configuration within one run of the program: what is to be done now. Pure; time is monotonic, because
/// a clock that steps must neither end a trial nor prolong it.
package struct ConfigurationTrial: Sendable {
  package enum Step: Sendable, Equatable {
    /// Nobody is before the device: put it in force.
    case begin
    /// Publish the reply over the line and say what became of that: `sent` and then `answered`.
    case send
    case confirm
    case takeBack(reason: String)
    /// It waited until its time was over.
    case refuse(reason: String)
  }

  private enum Line: Sendable, Equatable {
    case free, sending, acknowledged
  }

  private var id: RandomIdentifier?
  private var beganNanoseconds: UInt64 = 0
  private var line = Line.free

  package init() {}

  /// - Parameters:
  ///   - clockSeconds: `CommandClock.seconds`.
  ///   - now: monotonic nanoseconds.
  /// - Returns: nil: nothing now.
  package mutating func next(
    _ attempt: ConfigurationRecord.Attempt?, isIdle: Bool, clockSeconds: Int64, now: UInt64
  ) -> Step? {
    guard let attempt, attempt.isOpen else { return nil }
    guard attempt.isTrying else {
      if attempt.expiresSeconds <= clockSeconds {
        return .refuse(reason: "its time was over before it could be applied")
      }
      return isIdle ? .begin : nil
    }
    if id != attempt.text.id { (id, beganNanoseconds, line) = (attempt.text.id, now, .free) }
    if line == .acknowledged { return .confirm }
    let limit = UInt64(attempt.confirmMinutes) * 60 * 1_000_000_000
    if now >= beganNanoseconds, now - beganNanoseconds >= limit {
      return .takeBack(
        reason: "for \(attempt.confirmMinutes) minutes the line carried no reply that the broker acknowledged")
    }
    return line == .free ? .send : nil
  }

  package mutating func sent() { line = .sending }

  /// - Parameters:
  ///   - id: the configuration that the reply was of.
  ///   - isAcknowledged: the broker has it.
  package mutating func answered(_ id: RandomIdentifier, isAcknowledged: Bool) {
    guard id == self.id, line == .sending else { return }
    line = isAcknowledged ? .acknowledged : .free
  }

  /// Seconds until it is taken back.
  package func secondsLeft(_ attempt: ConfigurationRecord.Attempt, now: UInt64) -> Int {
    let limit = Int(attempt.confirmMinutes) * 60
    guard id == attempt.text.id, now >= beganNanoseconds else { return limit }
    return max(0, limit - Int((now - beganNanoseconds) / 1_000_000_000))
  }
}
