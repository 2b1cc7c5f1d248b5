import Audit
import LocalFiles
import Provenance
import Trust

/// A file of the audit log: the head before its first entry, then its entries, each sealed on its own, so that one can be
/// added without touching the others.
///
/// | bytes of a frame | |
/// |---|---|
/// | 4 | length of what follows, big endian |
/// | 8 | id of the key that seals it, big endian |
/// | ... | nonce, ciphertext, tag |
///
/// What is sealed together with a frame but not stored is the log's id and the frame's place, so that none can stand
/// elsewhere, nor in another log.
struct AuditSegment {
  static let nameDigits = 20
  static let suffix = ".log"
  private static let frameOverhead = 4 + 8 + PayloadCipher.overheadBytes
  static let maximumFrameBytes = frameOverhead + AuditEntry.maximumBytes

  let log: RandomIdentifier
  let keys: KeyRing
  let cipher: PayloadCipher

  /// The file's name: entries before its first one. Names sort as the entries do.
  static func name(base: UInt64) -> String {
    let digits = String(base)
    return String(repeating: "0", count: nameDigits - digits.count) + digits + suffix
  }

  static func base(ofName name: String) -> UInt64? {
    guard name.hasSuffix(suffix), case let digits = name.dropLast(suffix.count), digits.utf8.count == nameDigits else {
      return nil
    }
    return UInt64(digits)
  }

  // MARK: Frames

  /// The header of the file whose first entry is `base`.
  func header(_ base: AuditHead) throws(SealingError) -> [UInt8] {
    try frame(JSONValue.object(base.object).encoded(), described: description("segment", base.size))
  }

  /// Entry `index`.
  func entry(_ text: [UInt8], index: UInt64) throws(SealingError) -> [UInt8] {
    try frame(text, described: description("entry", index))
  }

  private func description(_ kind: String, _ place: UInt64) -> [UInt8] {
    Array("thermograph audit \(kind) v1 \(log) \(place)".utf8)
  }

  private func frame(_ text: [UInt8], described description: [UInt8]) throws(SealingError) -> [UInt8] {
    let sealed = try cipher.seal(text, associatedData: description, key: keys.current)
    return bigEndian(UInt64(8 + sealed.count), 4) + bigEndian(UInt64(bitPattern: keys.current.id), 8) + sealed
  }

  private func bigEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64(count - 1 - $0))) }
  }

  // MARK: Reading

  /// What a file holds.
  struct Content {
    let base: AuditHead
    /// Texts, oldest first.
    var entries: [[UInt8]] = []
    /// Bytes up to the end of the last readable frame.
    var legibleBytes = 0
    /// Why reading ended there, nil when it was the end of the file.
    var fault: String?
  }

  /// Reads a file. What is behind the first frame that cannot be read is not looked at: without it the digest is lost.
  func read(_ bytes: [UInt8], base: UInt64) throws(AuditFault) -> Content {
    var offset = 0
    let header: AuditHead
    do {
      let text = try open(bytes, at: &offset, described: description("segment", base))
      guard case .object(let object) = try JSONValue(reading: text, within: AuditEntry.limits) else {
        throw ShapeFault("it is no object")
      }
      header = try AuditHead(reading: object)
      guard header.size == base else { throw ShapeFault("it belongs to entry \(header.size)") }
    } catch { throw AuditFault("\(Self.name(base: base)): its first frame cannot be read: \(error)") }
    var content = Content(base: header, legibleBytes: offset)
    while offset < bytes.count {
      let index = base + UInt64(content.entries.count)
      do {
        content.entries.append(try open(bytes, at: &offset, described: description("entry", index)))
        content.legibleBytes = offset
      } catch {
        content.fault = "entry \(index): \(error)"
        break
      }
    }
    return content
  }

  private func open(_ bytes: [UInt8], at offset: inout Int, described description: [UInt8]) throws -> [UInt8] {
    func number(_ start: Int, _ count: Int) -> UInt64 {
      bytes[start..<(start + count)].reduce(0) { $0 << 8 | UInt64($1) }
    }
    guard bytes.count - offset >= Self.frameOverhead else { throw AuditFault("the frame is not complete") }
    let length = Int(number(offset, 4))
    guard length >= Self.frameOverhead - 4, length <= Self.maximumFrameBytes - 4 else {
      throw AuditFault("a frame of \(length) bytes; expected at most \(Self.maximumFrameBytes - 4)")
    }
    guard bytes.count - offset - 4 >= length else { throw AuditFault("the frame is not complete") }
    let key = try keys.key(id: Int64(bitPattern: number(offset + 4, 8)))
    let text = try cipher.open(
      Array(bytes[(offset + 12)..<(offset + 4 + length)]), associatedData: description, key: key)
    offset += 4 + length
    return text
  }
}
