import Audit
import Forwarding
import FoundationEssentials
import Provenance

/// What a receiver needs to know of a record, whatever its version says beyond it.
package struct RecordEnvelope: Decodable, Equatable, Sendable {
  /// The longest record in bytes.
  static let bytesMaximum = 1 << 20
  /// Images of one capture.
  static let imagesMaximum = 64
  static let renderingsMaximum = 4

  package struct Image: Decodable, Equatable, Sendable {
    package var name: String
    package var bytes: Int
    package var sha256: String
  }

  package var schema: String
  package var captureID: RandomIdentifier
  package var outboxID: RandomIdentifier
  package var sequence: Int64
  package var site: String
  package var device: String
  package var images: [Image]
  /// Pictures that the device does not send because the master gives them again; nil where it sends all.
  package var renderings: [Image]?
  private var auditHead: LooseHead?
  private var patientRefText: LooseText?
  private var sessionIDText: LooseText?
  private var viewText: LooseText?
  private var capturedAt: LooseInstant?

  private enum CodingKeys: String, CodingKey {
    case schema
    case captureID = "capture_id"
    case outboxID = "outbox_id"
    case sequence, site, device, images, renderings
    case patientRefText = "patient_ref"
    case sessionIDText = "session_id"
    case viewText = "view"
    case capturedAt = "captured_at"
    case auditHead = "audit"
  }

  /// Where the device's audit log stood; nil where the record does not say so.
  package var sighting: AuditSighting? {
    auditHead?.head.map { AuditSighting(outboxID: outboxID, sequence: sequence, head: $0) }
  }

  /// The pseudonym, for a search; nil when the record has none of the form `[A-Za-z0-9._-]{1,64}`.
  package var patientRef: String? { patientRefText?.name }
  package var sessionID: RandomIdentifier? { sessionIDText?.text.flatMap { RandomIdentifier($0) } }
  /// Of the form `[A-Za-z0-9._-]{1,64}`, or nil.
  package var view: String? { viewText?.name }
  /// Nanoseconds since 1970 as the device's clock had it; nil when the record says none of the years 1970 to 2199.
  package var capturedNanoseconds: Int64? { capturedAt?.nanoseconds }

  /// Reads a record and checks what the receiver relies on. Throws the reason in a person's words.
  init(decoding bytes: [UInt8], from topic: TopicSchema) throws(Rejection) {
    guard bytes.count <= Self.bytesMaximum else {
      throw Rejection("the record has \(bytes.count) bytes; expected at most \(Self.bytesMaximum)")
    }
    let envelope: RecordEnvelope
    do {
      envelope = try JSONDecoder().decode(RecordEnvelope.self, from: Data(bytes))
    } catch {
      try Self.refuseUnknown(Self.heading(bytes), from: topic)
      throw Rejection("not a capture record: \(Self.words(error))")
    }
    try Self.refuseUnknown(
      Heading(schema: envelope.schema, site: envelope.site, device: envelope.device), from: topic)
    guard envelope.site == topic.site.text, envelope.device == topic.device.text else {
      throw Rejection("the record speaks of another site or device than its topic")
    }
    guard envelope.sequence >= 1 else { throw Rejection("sequence \(envelope.sequence); expected 1 or more") }
    guard envelope.images.count <= Self.imagesMaximum else {
      throw Rejection("\(envelope.images.count) images; expected at most \(Self.imagesMaximum)")
    }
    let promised = envelope.images + (envelope.renderings ?? [])
    guard (envelope.renderings ?? []).count <= Self.renderingsMaximum else {
      throw Rejection("\(envelope.renderings?.count ?? 0) renderings; expected at most \(Self.renderingsMaximum)")
    }
    for image in promised {
      guard Self.isImageName(image.name) else {
        throw Rejection("'\(image.name.prefix(64))' cannot name an image")
      }
      guard Hexadecimal.bytes(of: image.sha256)?.count == 32 else {
        throw Rejection("\(image.name): sha256 is not 64 hexadecimal digits")
      }
    }
    guard Set(promised.map(\.name)).count == promised.count else {
      throw Rejection("two images have the same name")
    }
    self = envelope
  }

  /// What a record of any version says of itself.
  private struct Heading: Decodable {
    var schema: String
    var site: String
    var device: String
  }

  private static func heading(_ bytes: [UInt8]) -> Heading? {
    do { return try JSONDecoder().decode(Heading.self, from: Data(bytes)) } catch { return nil }
  }

  private static func refuseUnknown(_ heading: Heading?, from topic: TopicSchema) throws(Rejection) {
    guard let heading, !CaptureRecord.readableSchemas.contains(heading.schema) else { return }
    let isItsOwn = heading.site == topic.site.text && heading.device == topic.device.text
    let isVersion =
      heading.schema.hasPrefix("thermograph.capture.") && heading.schema.utf8.allSatisfy(\.isNameCharacter)
    throw Rejection(
      "schema '\(heading.schema.prefix(64))'; expected thermograph.capture.v1 or thermograph.capture.v2",
      unknownSchema: isItsOwn && isVersion ? String(heading.schema.prefix(64)) : nil)
  }

  /// A name of the topic schema that is none of the receiver's own files.
  static func isImageName(_ name: String) -> Bool {
    guard !CaptureFolder.ownNames.contains(name) else { return false }
    do throws(TopicError) {
      _ = try TopicSchema.imageSuffix(captureID: RandomIdentifier.zero, name: name)
      return true
    } catch {
      return false
    }
  }

  private static func words(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "'\(key.stringValue)' is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' has another type"
    default: "no JSON"
    }
  }
}

/// Why a message was not stored; a person reads it.
package struct Rejection: Error, Equatable, Sendable, CustomStringConvertible {
  package var description: String
  /// The schema of a record whose version is not known here: a store may keep it as it is.
  package var unknownSchema: String?

  package init(_ description: String, unknownSchema: String? = nil) {
    self.description = description
    self.unknownSchema = unknownSchema
  }
}

extension RandomIdentifier {
  /// Any identifier: only the form of a name beside it is asked for.
  fileprivate static let zero: RandomIdentifier = {
    var generator = Constant()
    return RandomIdentifier(using: &generator)
  }()

  private struct Constant: RandomNumberGenerator {
    mutating func next() -> UInt64 { 0 }
  }
}

/// A text that a search may use, if it is one: whatever else stands there is no fault of the record.
private struct LooseText: Decodable, Equatable, Sendable {
  var text: String?

  init(from decoder: any Decoder) throws {
    do { text = try decoder.singleValueContainer().decode(String.self) } catch { text = nil }
  }

  /// The text when it is of the form `[A-Za-z0-9._-]{1,64}`.
  var name: String? {
    text.flatMap { (1...64).contains($0.utf8.count) && $0.utf8.allSatisfy(\.isNameCharacter) ? $0 : nil }
  }
}

/// Where an audit log stood, if it is that: anything else is no fault of the record.
private struct LooseHead: Decodable, Equatable, Sendable {
  var head: AuditHead?

  init(from decoder: any Decoder) throws {
    do { head = try decoder.singleValueContainer().decode(AuditHead.self) } catch { head = nil }
  }
}

/// An instant that a search may use, if it is one.
private struct LooseInstant: Decodable, Equatable, Sendable {
  var nanoseconds: Int64?

  private struct Form: Decodable {
    var utcNanoseconds: Int64

    private enum CodingKeys: String, CodingKey { case utcNanoseconds = "utc_nanoseconds" }
  }

  init(from decoder: any Decoder) throws {
    let said: Int64?
    do { said = try decoder.singleValueContainer().decode(Form.self).utcNanoseconds } catch { said = nil }
    // 2200-01-01
    nanoseconds = said.flatMap { (0..<7_258_118_400_000_000_000).contains($0) ? $0 : nil }
  }
}
