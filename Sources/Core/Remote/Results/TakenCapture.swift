import Forwarding
import FoundationEssentials
import Provenance
import Screening

/// What a device remembers of a capture after its outbox has forgotten it: as much as the answer to it needs.
package struct TakenCapture: Sendable, Equatable {
  /// Captures that are remembered; the answer to an older one is refused.
  package static let most: Int64 = 100_000
  /// Answers to one capture.
  package static let mostAnswers = 16

  /// An answer that was taken: its id never stands for another.
  package struct Answered: Sendable, Equatable {
    package var id: RandomIdentifier
    /// SHA-256 of the statement, in hexadecimal digits.
    package var digest: String
    package var reviewedMilliseconds: Int64

    package init(id: RandomIdentifier, digest: [UInt8], reviewedMilliseconds: Int64) {
      self.id = id
      self.reviewedMilliseconds = reviewedMilliseconds
      self.digest = Hexadecimal.text(of: digest)
    }
  }

  package var captureID: RandomIdentifier
  /// Of the record, in hexadecimal digits.
  package var recordSHA256: String
  package var sessionID: RandomIdentifier
  /// As the record has it.
  package var patientRef: String
  package var course: CaptureCourse
  /// As they were told last.
  package var times: CaptureTimes?
  package var answers: [Answered] = []

  package init(
    captureID: RandomIdentifier, recordSHA256: [UInt8], sessionID: RandomIdentifier, patientRef: String,
    course: CaptureCourse
  ) {
    self.captureID = captureID
    self.recordSHA256 = Hexadecimal.text(of: recordSHA256)
    self.sessionID = sessionID
    self.patientRef = patientRef
    self.course = course
  }

}

/// An answer that the device has taken and keeps for its patient.
package struct KeptAnswer: Sendable, Equatable, Codable {
  /// Answers that may wait for their patients; more are `busy`.
  package static let mostWaiting = 1024
  /// Rows in all; of those that were shown the oldest go.
  package static let mostKept = 4096

  package var id: RandomIdentifier
  /// SHA-256 of the statement, in hexadecimal digits.
  package var digest: String
  package var captureID: RandomIdentifier
  package var sessionID: RandomIdentifier
  /// To whom it belongs unless a correction says otherwise.
  package var patientRef: String
  package var word: String
  package var reviewer: String
  package var reviewedMilliseconds: Int64
  /// Whether a proven clock was there when it came.
  package var freshness: CommandReply.Freshness
  /// RFC 3339.
  package var keptAt: String
  /// nil until its patient's tag was presented.
  package var shownAt: String?
  /// A newer answer to the same capture has come before this one was shown; nil: none has.
  package var isOverruled: Bool?
  /// The JSON that was answered.
  package var reply: String

  /// It is for its patient to see.
  package var isWaiting: Bool { shownAt == nil && isOverruled != true }

  package init(decoding bytes: [UInt8]) throws { self = try JSONDecoder().decode(Self.self, from: Data(bytes)) }

  package func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(of: self) }

  init(
    _ statement: ResultStatement, digest: [UInt8], sessionID: RandomIdentifier, patientRef: String,
    freshness: CommandReply.Freshness, reply: [UInt8], at now: Timestamp
  ) {
    id = statement.id
    self.digest = Hexadecimal.text(of: digest)
    captureID = statement.captureID
    self.sessionID = sessionID
    self.patientRef = patientRef
    word = statement.word.rawValue
    reviewer = statement.reviewer
    reviewedMilliseconds = statement.reviewedMilliseconds
    self.freshness = freshness
    keptAt = now.rfc3339
    self.reply = String(decoding: reply, as: UTF8.self)
  }
}
