import FoundationEssentials
import Identification
import Provenance

/// The JSON on `up/event` by which staff put right whose a session is. Records stay as they are; what holds follows from
/// all corrections (`CorrectionLog`). Its schema is `Docs/schemas/correction-1.schema.json`.
package struct CorrectionMessage: Sendable, Hashable, Codable {
  package static let schema = "thermograph.correction.v1"
  /// `OutboxItem.name` of corrections, by which the outbox finds and keeps them.
  package static let name = "correction"
  /// Longer messages are none.
  package static let bytesMaximum = 4096

  package enum Kind: String, Sendable, Hashable, Codable {
    case reassign, withdraw, merge, revert
  }

  package var schema = Self.schema
  package var correctionID: RandomIdentifier
  package var outboxID: RandomIdentifier
  /// The message's number in the outbox; a greater one is later and overrules.
  package var number: Int64
  package var kind: Kind
  /// `reassign`, `withdraw`: the session; `merge`: the patient's reference; `revert`: the merge's `correctionID`.
  package var subject: String
  /// `reassign`, `merge`: to whom it belongs from now on.
  package var target: String?
  /// `reassign`, `withdraw`: what the session's records say.
  package var recordedRef: String?
  package var reason: String
  package var signedBy: String?
  /// RFC 3339.
  package var at: String

  /// Reads a correction of a device or a file. Throws what `JSONDecoder` throws, also when a member cannot be.
  package init(decoding payload: [UInt8]) throws {
    guard payload.count <= Self.bytesMaximum else { throw Self.corrupted("longer than \(Self.bytesMaximum) bytes") }
    self = try JSONDecoder().decode(Self.self, from: Data(payload))
    guard schema == Self.schema else { throw Self.corrupted("schema; expected \(Self.schema)") }
    guard (1...OutboxItem.largestNumber).contains(number) else { throw Self.corrupted("number; expected 1 or more") }
    guard CorrectionRequest.isReason(reason) else { throw Self.corrupted("reason") }
    let references = [target, recordedRef, signedBy].compactMap { $0 }
    guard references.allSatisfy({ PatientReference($0) != nil }) else { throw Self.corrupted("a reference") }
    let namesSomebody = kind == .reassign || kind == .merge
    guard namesSomebody == (target != nil) else { throw Self.corrupted("target of a \(kind.rawValue)") }
    let isSound = kind == .merge ? PatientReference(subject) != nil : RandomIdentifier(subject) != nil
    guard isSound else { throw Self.corrupted("subject of a \(kind.rawValue)") }
    // One spelling: it is looked up by its text.
    subject = subject.lowercased()
  }

  private static func corrupted(_ what: String) -> DecodingError {
    .dataCorrupted(.init(codingPath: [], debugDescription: "no correction: \(what)"))
  }

  init(
    _ kind: Kind, id: RandomIdentifier, outboxID: RandomIdentifier, number: Int64, subject: String, target: String?,
    recordedRef: String?, request: CorrectionRequest, at: Timestamp
  ) {
    correctionID = id
    self.outboxID = outboxID
    self.number = number
    self.kind = kind
    self.subject = subject
    self.target = target
    self.recordedRef = recordedRef
    reason = request.reason
    signedBy = request.signedBy
    self.at = at.rfc3339
  }

  /// The JSON on the wire.
  package func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(of: self) }

  private enum CodingKeys: String, CodingKey {
    case schema, number, kind, subject, target, reason, at
    case correctionID = "correction_id"
    case outboxID = "outbox_id"
    case recordedRef = "recorded_ref"
    case signedBy = "signed_by"
  }
}

/// What staff ask for, at the command line or over the control socket.
package struct CorrectionRequest: Sendable, Hashable, Codable {
  package static let reasonCharactersMaximum = 500

  package enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
    case reassign, withdraw, merge, unmerge
  }

  package var kind: Kind
  /// A session's id; of a merge, or its undoing, the reference that goes up in the other.
  package var subject: String
  package var target: String?
  package var reason: String
  package var signedBy: String?

  package init(
    _ kind: Kind, _ subject: String, to target: String? = nil, reason: String, signedBy: String? = nil
  ) {
    self.kind = kind
    self.subject = subject
    self.target = target
    self.reason = reason
    self.signedBy = signedBy
  }

  /// The session that it is about; nil where it is about patients.
  package var session: RandomIdentifier? {
    kind == .reassign || kind == .withdraw ? RandomIdentifier(subject) : nil
  }

  /// Refuses what says nothing, whatever is stored.
  package func check() throws(CorrectionRefusal) {
    guard Self.isReason(reason) else {
      throw CorrectionRefusal(
        "a correction needs a reason in one line of 1 to \(Self.reasonCharactersMaximum) characters")
    }
    if kind == .reassign || kind == .withdraw {
      guard session != nil else {
        throw CorrectionRefusal(
          "'\(subject.prefix(64))' is no session's id; expected a UUID as 'session list' prints it")
      }
    } else {
      try Self.check(reference: subject)
    }
    if let signedBy { try Self.check(reference: signedBy) }
    guard kind == .reassign || kind == .merge else {
      guard target == nil else { throw CorrectionRefusal("\(kind.rawValue) names nobody it goes to") }
      return
    }
    guard let target else { throw CorrectionRefusal("\(kind.rawValue): to whom? Name the patient's reference") }
    try Self.check(reference: target)
  }

  private static func check(reference: String) throws(CorrectionRefusal) {
    guard PatientReference(reference) != nil else {
      throw CorrectionRefusal(
        "'\(reference.prefix(64))' is no pseudonym and no roster's id; expected 1 to 36 of a-z, 0-9 and '-'")
    }
  }

  static func isReason(_ text: String) -> Bool {
    (1...reasonCharactersMaximum).contains(text.unicodeScalars.count)
      && text.contains { !$0.isWhitespace }
      && !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
  }

  private enum CodingKeys: String, CodingKey {
    case kind, subject, target, reason
    case signedBy = "signed_by"
  }
}

/// Why a correction was not made; for a person.
package struct CorrectionRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}
