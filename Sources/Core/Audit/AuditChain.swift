import Provenance
import Trust

/// Whose log it is. Its digest is the head of the empty log, so that no entry of another device's log fits behind it.
package struct AuditOrigin: Sendable, Equatable {
  package static let schema: ExactText = "thermograph.audit-origin.v1"

  package let site: String
  package let device: String
  /// New for each log: at enrolment, and when a lost log begins anew.
  package let log: RandomIdentifier
  /// By which the device signs its heads.
  package let key: PublicKey

  package init(site: String, device: String, log: RandomIdentifier, key: PublicKey) {
    self.site = site
    self.device = device
    self.log = log
    self.key = key
  }

  /// JSON without white space: `schema`, `site`, `device`, `log`, `key` (SubjectPublicKeyInfo, base64).
  package var encoded: [UInt8] {
    JSONValue.object([
      "schema": .string(Self.schema), "site": .string(ExactText(site)), "device": .string(ExactText(device)),
      "log": .string(ExactText(log.description)), "key": .string(Base64Text.text(of: key.der)),
    ]).encoded()
  }

  package init(reading bytes: [UInt8]) throws(AuditFault) {
    do {
      let tree: JSONValue
      do throws(JSONFault) {
        tree = try JSONValue(reading: bytes, within: JSONLimits(bytes: 4096, depth: 2, values: 16))
      } catch { throw ShapeFault("\(error)") }
      guard case .object(let object) = tree else { throw ShapeFault("\(tree.kind); expected an object") }
      guard try object.text("schema") == Self.schema else { throw ShapeFault("'schema' is another one") }
      site = try object.text("site").string
      device = try object.text("device").string
      guard let log = RandomIdentifier(try object.text("log").string) else { throw ShapeFault("'log' is no id") }
      self.log = log
      guard let der = Base64Text.bytes(of: try object.text("key")) else { throw ShapeFault("'key' is not base64") }
      do throws(KeyFault) { key = try PublicKey(der: der) } catch { throw ShapeFault("\(error)") }
    } catch { throw AuditFault("the log's origin is not readable: \(error)") }
    guard encoded == bytes else { throw AuditFault("the log's origin is not in the form in which origins are written") }
  }
}

/// What a log is up to one of its entries: how many, and a digest over all of them in their order.
package struct AuditHead: Sendable, Hashable {
  /// Entries.
  package let size: UInt64
  /// SHA-256, 32 bytes.
  package let digest: [UInt8]

  package init(size: UInt64, digest: [UInt8]) {
    self.size = size
    self.digest = digest
  }

  // What is hashed begins differently for the two, so that no origin can be taken for an entry.
  private static let originPrefix = Array("thermograph audit origin v1\0".utf8)
  private static let entryPrefix = Array("thermograph audit entry v1\0".utf8)

  /// Of the log without an entry.
  package init(of origin: AuditOrigin, digests: some MessageDigests) {
    self.init(size: 0, digest: digests.sha256(Self.originPrefix + origin.encoded))
  }

  /// With one entry more: SHA-256 of the prefix, the digest so far and the entry's text.
  package func extended(by entry: [UInt8], digests: some MessageDigests) -> AuditHead {
    AuditHead(size: size + 1, digest: digests.sha256(Self.entryPrefix + digest + entry))
  }

  /// `size` and `head` as records and receipts carry them.
  package var object: JSONObject {
    [
      "size": .integer(Int64(clamping: size)), "head": .string(ExactText(Hexadecimal.text(of: digest))),
    ]
  }

  /// - Parameter object: of any statement that names a head; other members are passed over.
  package init(reading object: JSONObject) throws(ShapeFault) {
    let size = UInt64(try object.integer("size", in: 0...Int64.max))
    guard let digest = Hexadecimal.bytes(of: try object.text("head").string), digest.count == 32 else {
      throw ShapeFault("'head' is not 64 hexadecimal digits")
    }
    self.init(size: size, digest: digest)
  }
}

extension AuditHead: Codable {
  private enum CodingKeys: String, CodingKey {
    case size
    case head
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(size, forKey: .size)
    try container.encode(Hexadecimal.text(of: digest), forKey: .head)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let size = try container.decode(Int64.self, forKey: .size)
    let text = try container.decode(String.self, forKey: .head)
    guard size >= 0, let digest = Hexadecimal.bytes(of: text), digest.count == 32 else {
      throw DecodingError.dataCorruptedError(
        forKey: .head, in: container, debugDescription: "no head of an audit log: size \(size), head '\(text)'")
    }
    self.init(size: UInt64(size), digest: digest)
  }
}

/// A head that the device signed with its audit key.
package struct AuditHeadStatement: Sendable, Equatable {
  package static let schema: ExactText = "thermograph.audit-head.v1"
  package static let payloadType: ExactText = "application/vnd.thermograph.audit-head.v1+json"

  package let log: RandomIdentifier
  package let head: AuditHead
  package let time: Timestamp

  package init(log: RandomIdentifier, head: AuditHead, time: Timestamp) {
    self.log = log
    self.head = head
    self.time = time
  }

  package func signed(by signer: some SignatureSigner) throws(SigningFault) -> Envelope {
    try Envelope(
      JSONValue.object([
        "schema": .string(Self.schema), "log": .string(ExactText(log.description)),
        "size": .integer(Int64(clamping: head.size)), "head": .string(ExactText(Hexadecimal.text(of: head.digest))),
        "utc_ns": .integer(time.utcNanoseconds), "synchronised": .boolean(time.synchronised),
        "boot": .string(ExactText(time.bootID)),
        "monotonic_ns": .integer(Int64(clamping: time.monotonicNanoseconds)),
      ]).encoded(), type: Self.payloadType, signedBy: [signer])
  }

  /// Opens a signed head of the log of `origin`.
  package init(
    _ envelope: Envelope, of origin: AuditOrigin, verifier: some SignatureVerifier, digests: some MessageDigests
  ) throws(AuditFault) {
    do {
      let statement = try TrustedKeys([origin.key], digests: digests)
        .open(envelope, type: Self.payloadType, verifier: verifier)
      guard
        case .object(let object) = try JSONValue(
          reading: statement.payload, within: JSONLimits(bytes: 4096, depth: 2, values: 32))
      else { throw ShapeFault("it is no object") }
      guard try object.text("schema") == Self.schema else { throw ShapeFault("'schema' is another one") }
      guard let log = RandomIdentifier(try object.text("log").string), log == origin.log else {
        throw ShapeFault("it is of another log")
      }
      self.log = log
      head = try AuditHead(reading: object)
      time = Timestamp(
        utcNanoseconds: try object.integer("utc_ns", in: Int64.min...Int64.max),
        bootID: try object.text("boot").string,
        monotonicNanoseconds: UInt64(try object.integer("monotonic_ns", in: 0...Int64.max)),
        synchronised: try object.boolean("synchronised"))
    } catch { throw AuditFault("the signed head is not believed: \(error)") }
  }
}
