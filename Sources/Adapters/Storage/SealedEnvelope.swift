import Forwarding
import Provenance

/// How a payload lies on disk: `description | nonce | ciphertext | tag`. The description is everything about a message
/// that never changes and is the associated data of the seal, so a payload cannot be moved to another message,
/// database or class, nor its description be altered. It makes each payload complete in itself: from the payloads
/// alone the index can be made again.
///
/// | bytes | field |
/// |---|---|
/// | 1 | layout version, 1 |
/// | 2 | length of the description in all, big endian like every number here |
/// | 16 | outbox id |
/// | 8 | key id |
/// | 8 | message id |
/// | 1 | class |
/// | 8 | length of the payload |
/// | 1 + 16 | 1 and the capture's id, or 0 and zeros |
/// | 8 | sequence, 0 for none |
/// | 32 | SHA-256 of the payload |
/// | 8 + 8 + 1 | UTC and monotonic nanoseconds of the creation, clock synchronised |
/// | 4 x (1 + n) | name, topic suffix, content type, boot id: length and UTF-8 |
struct SealedEnvelope {
  private static let version: UInt8 = 1
  private static let fixedBytes = 1 + 2 + 16 + 8 + 8 + 1 + 8 + 17 + 8 + 32 + 17
  static let maximumDescriptionBytes = fixedBytes + 4 * 256

  let outboxID: RandomIdentifier
  let keyID: Int64
  let item: OutboxItem

  /// The description's bytes; nil when a text is longer than 255 bytes or the hash is not 32.
  var description: [UInt8]? {
    let texts = [item.name ?? "", item.topicSuffix, item.contentType, item.created.bootID]
    guard texts.allSatisfy({ $0.utf8.count <= 255 }), item.sha256.count == 32 else { return nil }
    let count = Self.fixedBytes + texts.reduce(0) { $0 + 1 + $1.utf8.count }
    var bytes: [UInt8] = [Self.version, UInt8(count >> 8), UInt8(count & 0xFF)]
    bytes.reserveCapacity(count)
    func append(_ value: UInt64) {
      for shift in stride(from: 56, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
      }
    }
    bytes += outboxID.bytes
    append(UInt64(bitPattern: keyID))
    append(UInt64(bitPattern: item.id))
    bytes.append(UInt8(truncatingIfNeeded: item.deliveryClass.rawValue))
    append(UInt64(item.byteCount))
    bytes.append(item.captureID == nil ? 0 : 1)
    bytes += item.captureID?.bytes ?? [UInt8](repeating: 0, count: 16)
    append(UInt64(bitPattern: item.sequence ?? 0))
    bytes += item.sha256
    append(UInt64(bitPattern: item.created.utcNanoseconds))
    append(item.created.monotonicNanoseconds)
    bytes.append(item.created.synchronised ? 1 : 0)
    for text in texts {
      bytes.append(UInt8(text.utf8.count))
      bytes += text.utf8
    }
    return bytes
  }

  init(outboxID: RandomIdentifier, keyID: Int64, item: OutboxItem) {
    self.outboxID = outboxID
    self.keyID = keyID
    self.item = item
  }

  /// Reads the description at the beginning of stored bytes; nil when it is none. Whether it is authentic, only
  /// opening tells. `attempts` is not part of it and is 0.
  init?(stored: UnsafeRawBufferPointer) {
    guard stored.count >= Self.fixedBytes, stored[0] == Self.version else { return nil }
    let count = Int(stored[1]) << 8 | Int(stored[2])
    guard count <= stored.count, count <= Self.maximumDescriptionBytes else { return nil }
    var offset = 3
    func bytes(_ length: Int) -> [UInt8] {
      defer { offset += length }
      return Array(stored[offset..<(offset + length)])
    }
    func number() -> UInt64 { bytes(8).reduce(0) { $0 << 8 | UInt64($1) } }
    guard let outboxID = RandomIdentifier(bytes: bytes(16)) else { return nil }
    let keyID = Int64(bitPattern: number())
    let id = Int64(bitPattern: number())
    let classNumber = bytes(1)[0]
    let length = number()
    let hasCapture = bytes(1)[0] == 1
    let captureID = RandomIdentifier(bytes: bytes(16))
    let sequence = Int64(bitPattern: number())
    let sha256 = bytes(32)
    let utc = Int64(bitPattern: number())
    let monotonic = number()
    let synchronised = bytes(1)[0] == 1
    var texts: [String] = []
    for _ in 0..<4 {
      guard offset < count, case let length = Int(stored[offset]), offset + 1 + length <= count,
        let text = String(validating: bytes(1 + length).dropFirst(), as: UTF8.self)
      else { return nil }
      texts.append(text)
    }
    guard offset == count, id > 0, let deliveryClass = DeliveryClass(rawValue: Int(classNumber)),
      length <= UInt64(OutboxDatabase.maximumPayloadBytes)
    else { return nil }
    self.outboxID = outboxID
    self.keyID = keyID
    item = OutboxItem(
      id: id, deliveryClass: deliveryClass, topicSuffix: texts[1], contentType: texts[2],
      captureID: hasCapture ? captureID : nil, sequence: sequence == 0 ? nil : sequence,
      name: texts[0].isEmpty ? nil : texts[0], byteCount: Int(length), sha256: sha256,
      created: Timestamp(
        utcNanoseconds: utc, bootID: texts[3], monotonicNanoseconds: monotonic, synchronised: synchronised),
      attempts: 0)
  }

  /// Whether the index's row is about this payload; attempts are the index's own.
  func describes(_ other: OutboxItem) -> Bool {
    item == other.with(attempts: item.attempts)
  }

  /// Seals `payload` under its description.
  func sealed(_ payload: [UInt8], cipher: PayloadCipher, key: SealingKey) throws(SealingError) -> [UInt8] {
    guard let description else { throw SealingError.library }
    return description + (try cipher.seal(payload, associatedData: description, key: key))
  }

  /// Reads and opens stored bytes: the description they carry and the payload, both proven by the tag.
  static func open(
    _ stored: UnsafeRawBufferPointer, cipher: PayloadCipher, keys: KeyRing
  ) throws(SealingError) -> (envelope: SealedEnvelope, payload: [UInt8]) {
    guard let envelope = SealedEnvelope(stored: stored), let description = envelope.description,
      description.elementsEqual(stored.prefix(description.count))
    else { throw SealingError.notAuthentic }
    let payload = try open(
      stored, described: description, byteCount: envelope.item.byteCount, cipher: cipher,
      key: keys.key(id: envelope.keyID))
    return (envelope, payload)
  }

  /// The key that stored bytes claim to be sealed with; nil when they are too short.
  private static func keyID(ofStored stored: UnsafeRawBufferPointer) -> Int64? {
    guard stored.count >= fixedBytes else { return nil }
    return Int64(bigEndian: stored.loadUnaligned(fromByteOffset: 3 + 16, as: Int64.self))
  }

  /// Opens stored bytes that must carry the description of `item` in the outbox `outboxID`.
  static func open(
    _ stored: UnsafeRawBufferPointer, of item: OutboxItem, in outboxID: RandomIdentifier, cipher: PayloadCipher,
    keys: KeyRing
  ) throws(SealingError) -> [UInt8] {
    guard let keyID = keyID(ofStored: stored),
      let description = SealedEnvelope(outboxID: outboxID, keyID: keyID, item: item).description,
      description.elementsEqual(stored.prefix(description.count))
    else { throw SealingError.notAuthentic }
    return try open(stored, described: description, byteCount: item.byteCount, cipher: cipher, key: keys.key(id: keyID))
  }

  private static func open(
    _ stored: UnsafeRawBufferPointer, described description: [UInt8], byteCount: Int, cipher: PayloadCipher,
    key: SealingKey
  ) throws(SealingError) -> [UInt8] {
    let payload = try cipher.open(
      UnsafeRawBufferPointer(rebasing: stored[description.count...]), associatedData: description, key: key)
    guard payload.count == byteCount else { throw SealingError.notAuthentic }
    return payload
  }
}
