import Audit
import Cryptography
import Forwarding
import Logging
import Provenance
import Remote
import ServiceLifecycle
import Storage
import Trust

/// Takes the clinic's answers: judged by `ResultDesk`, and on disk with their replies before anybody hears of them. Nothing
/// is shown here; `ClinicShelf` has them for the patient's next tag.
package actor ResultService: Service {
  private let intake: DownlinkIntake
  private let outbox: Outbox
  private let audit: any AuditTrail
  private let time: any TimeSource
  private let clockFloor: ClockFloor
  private let logger: Logger
  private var reader: StatementReader<ResultStatement>
  private var desk = ResultDesk()
  private var told: Set<String> = []
  private var refused: Set<String> = []

  package init(
    intake: DownlinkIntake, outbox: Outbox, audit: any AuditTrail = NoAuditTrail(), topics: TopicSchema,
    time: any TimeSource, clockFloor: ClockFloor, logger: Logger
  ) {
    self.intake = intake
    self.outbox = outbox
    self.audit = audit
    self.time = time
    self.clockFloor = clockFloor
    self.logger = logger
    reader = StatementReader(
      nil, site: topics.site.text, device: topics.device.text, verifier: OpenSSLVerifier(), digests: OpenSSLDigests())
  }

  package func run() async throws {
    await begin()
    for await message in intake.messages.cancelOnGracefulShutdown() { await handle(message) }
    try await gracefulShutdown()
  }

  /// Looks whether what is kept can still be read.
  func begin() async {
    do {
      let lost = try await outbox.openAnswers()
      guard lost > 0 else { return }
      await alert(
        "results-damaged",
        "\(lost) answers that were kept could not be read any more and are gone; have the reader answer again")
    } catch {
      logger.error("answers that are kept cannot be looked at", metadata: ["reason": "\(error)"])
    }
  }

  func handle(_ message: IncomingMessage) async {
    reader.believe(intake.keys)
    let now = time.now()
    switch reader.read(message.payload, isRetained: message.retain, now: now.monotonicNanoseconds) {
    case .ignored: break
    case .refused(let refusal, let isPause):
      if told.insert(refusal.word).inserted {
        logger.error(
          "an answer is not believed; more of this kind are not told", metadata: ["reason": "\(refusal)"])
      }
      if isPause {
        await alert(
          "results-untrusted",
          "\(StatementReading.mostUntrusted) messages on dn/result in a row had no right signature; answers are ignored "
            + "for ten minutes. Look who may write there (the broker's ACL), and whether the site's list names the key")
      }
    case .statement(let statement, let digest):
      do {
        try await take(statement, digest, at: now)
      } catch {
        // Nothing was written down, and nothing answered: it is offered again.
        logger.error("an answer could not be written down", metadata: ["reason": "\(error)"])
      }
    }
  }

  private func take(_ statement: ResultStatement, _ digest: [UInt8], at now: Timestamp) async throws {
    let view = try await outbox.view(of: statement)
    switch try desk.decide(statement, digest: digest, view, isClockProven: clockFloor.believes(now), at: now) {
    case .silence: break
    case .repeatReply(let bytes): try await outbox.enqueue(.reply(bytes, created: now))
    case .answer(let reply, let warning):
      if reply.state == .refused {
        logger.notice("an answer is refused", metadata: ["id": "\(reply.id)", "reason": "\(reply.reason ?? "")"])
        // The first of each kind in a run: whoever repeats itself fills no log.
        if refused.insert(reply.reason ?? "").inserted {
          audit.post(.result(.refused, id: reply.id, reason: reply.reason))
        }
      }
      if let warning { await alert(warning.code, warning.detail) }
      try await outbox.enqueue(.reply(try reply.encoded(), created: now))
    case .keep(let answer, let capture, let reply):
      let times = capture.course.timesToAnswer(
        at: now, cloud: statement.cloudDoneMilliseconds - statement.receivedMilliseconds)
      // What this log cannot witness is not taken: it is offered again.
      try await audit.write(.result(.accepted, id: answer.id, capture: answer.captureID))
      try await outbox.keep(answer, of: capture, times: times, reply: .reply(reply, created: now))
      // Neither whose it is nor which of the two words it has.
      logger.notice("an answer is kept for its patient", metadata: ["id": "\(answer.id)"])
    }
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
