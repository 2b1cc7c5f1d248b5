import Audit
import Identification
import Logging
import Provenance
import Screening
import Storage

/// What the clinic has for patients, for the session to show at a tag.
struct ClinicShelf: Sendable {
  /// The word for somebody, and the answers that it tells.
  struct Waiting: Sendable, Equatable {
    var word: ClinicWord
    var answers: [RandomIdentifier]
  }

  var next: @Sendable (_ references: [String]) async -> Waiting?
  /// They were shown.
  var shown: @Sendable (_ answers: [RandomIdentifier], Timestamp) async -> Void

  /// Of a session that has no outbox.
  static let empty = ClinicShelf(next: { _ in nil }, shown: { _, _ in })

  init(
    next: @escaping @Sendable ([String]) async -> Waiting?,
    shown: @escaping @Sendable ([RandomIdentifier], Timestamp) async -> Void
  ) {
    self.next = next
    self.shown = shown
  }

  init(outbox: Outbox, audit: any AuditTrail = NoAuditTrail(), logger: Logger) {
    self.init(
      next: { references in
        do {
          return try await outbox.waitingAnswers().next(for: references).map { Waiting(word: $0.word, answers: $0.ids) }
        } catch {
          // A session is not kept waiting for it, and the answer waits for another tag.
          logger.error("answers for patients cannot be read", metadata: ["reason": "\(error)"])
          return nil
        }
      },
      shown: { answers, now in
        for answer in answers { audit.post(.result(.shown, id: answer)) }
        do {
          try await outbox.noteShown(answers, at: now)
        } catch {
          logger.error(
            "it could not be written down that an answer was shown; it is shown once more",
            metadata: ["reason": "\(error)"])
        }
      })
  }
}
