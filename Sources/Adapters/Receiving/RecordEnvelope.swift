import Forwarding
import FoundationEssentials
import Provenance

/// What a receiver needs to know of a record, whatever its version says beyond it.
struct RecordEnvelope: Decodable, Equatable {
  /// The longest record in bytes.
  static let bytesMaximum = 1 << 20
  /// Images of one capture.
  static let imagesMaximum = 64

  struct Image: Decodable, Equatable {
    var name: String
    var bytes: Int
    var sha256: String
  }

  var schema: String
  var captureID: RandomIdentifier
  var outboxID: RandomIdentifier
  var sequence: Int64
  var site: String
  var device: String
  var images: [Image]

  private enum CodingKeys: String, CodingKey {
    case schema
    case captureID = "capture_id"
    case outboxID = "outbox_id"
    case sequence, site, device, images
  }

  /// Reads a record and checks what the receiver relies on. Throws the reason in a person's words.
  init(decoding bytes: [UInt8], from topic: TopicSchema) throws(Rejection) {
    guard bytes.count <= Self.bytesMaximum else {
      throw Rejection("the record has \(bytes.count) bytes; expected at most \(Self.bytesMaximum)")
    }
    let envelope: RecordEnvelope
    do {
      envelope = try JSONDecoder().decode(RecordEnvelope.self, from: Data(bytes))
    } catch {
      throw Rejection("not a capture record: \(Self.words(error))")
    }
    guard CaptureRecord.readableSchemas.contains(envelope.schema) else {
      throw Rejection(
        "schema '\(envelope.schema.prefix(64))'; expected thermograph.capture.v1 or thermograph.capture.v2")
    }
    guard envelope.site == topic.site.text, envelope.device == topic.device.text else {
      throw Rejection("the record speaks of another site or device than its topic")
    }
    guard envelope.sequence >= 1 else { throw Rejection("sequence \(envelope.sequence); expected 1 or more") }
    guard envelope.images.count <= Self.imagesMaximum else {
      throw Rejection("\(envelope.images.count) images; expected at most \(Self.imagesMaximum)")
    }
    for image in envelope.images {
      guard Self.isImageName(image.name) else {
        throw Rejection("'\(image.name.prefix(64))' cannot name an image")
      }
      guard Hexadecimal.bytes(of: image.sha256)?.count == 32 else {
        throw Rejection("\(image.name): sha256 is not 64 hexadecimal digits")
      }
    }
    guard Set(envelope.images.map(\.name)).count == envelope.images.count else {
      throw Rejection("two images have the same name")
    }
    self = envelope
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
struct Rejection: Error, Equatable, CustomStringConvertible {
  var description: String

  init(_ description: String) {
    self.description = description
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
