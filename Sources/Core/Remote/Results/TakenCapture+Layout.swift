import Forwarding
import Provenance

/// How a capture that was taken lies in its sealed row: some 200 bytes, because there are 100,000 of them. Numbers are big
/// endian; the capture's id is the row's.
///
/// | bytes | field |
/// |---|---|
/// | 1 | layout version, 1 |
/// | 32, 16 | SHA-256 of the record, session |
/// | 1 + n | patient's reference |
/// | moment | last frame |
/// | 1 + moment, 1 + moment | stored, receipt: 1 and the moment, or 0 |
/// | 1 + 8 | the far side's share of the receipt: 1 and the milliseconds, or 0 |
/// | 5 x (1 + 8) | the five terms, each 1 and the milliseconds, or 0 |
/// | 1 + n x 56 | answers: id, SHA-256, milliseconds of the reader |
///
/// A moment is UTC and monotonic nanoseconds, 1 for a synchronised clock, and the boot's id with its length.
extension TakenCapture {
  private static let layoutVersion: UInt8 = 1

  package var row: [UInt8] {
    var writer = RowWriter()
    writer.bytes.append(Self.layoutVersion)
    writer.bytes += Hexadecimal.bytes(of: recordSHA256) ?? [UInt8](repeating: 0, count: 32)
    writer.bytes += sessionID.bytes
    writer.text(patientRef)
    writer.moment(course.ended)
    writer.optional(course.stored) { $0.moment($1) }
    writer.optional(course.receipted) { $0.moment($1) }
    writer.optional(course.receiptCloudMilliseconds) { $0.number($1) }
    for term in CaptureTimes.Term.allCases { writer.optional(times?[term]) { $0.number($1) } }
    let kept = answers.suffix(Self.mostAnswers)
    writer.bytes.append(UInt8(kept.count))
    for answer in kept {
      writer.bytes += answer.id.bytes
      writer.bytes += Hexadecimal.bytes(of: answer.digest) ?? [UInt8](repeating: 0, count: 32)
      writer.number(answer.reviewedMilliseconds)
    }
    return writer.bytes
  }

  /// nil where the bytes are none.
  package init?(captureID: RandomIdentifier, row: [UInt8]) {
    var reader = RowReader(row)
    guard reader.byte() == Self.layoutVersion, let sha256 = reader.take(32),
      let session = reader.take(16).flatMap({ RandomIdentifier(bytes: $0) }), let patient = reader.text(),
      let ended = reader.moment(), let stored = reader.optional({ $0.moment() }),
      let receipted = reader.optional({ $0.moment() }), let cloud = reader.optional({ $0.number() })
    else { return nil }
    var course = CaptureCourse(ended: ended, stored: stored)
    course.receipted = receipted
    course.receiptCloudMilliseconds = cloud
    self.init(captureID: captureID, recordSHA256: sha256, sessionID: session, patientRef: patient, course: course)
    var terms: [Int64?] = []
    for _ in CaptureTimes.Term.allCases {
      guard let term = reader.optional({ $0.number() }) else { return nil }
      terms.append(term)
    }
    let times = CaptureTimes(total: terms[0], edge: terms[1], queue: terms[2], cloud: terms[3], response: terms[4])
    self.times = times == CaptureTimes() ? nil : times
    guard let count = reader.byte(), Int(count) <= Self.mostAnswers else { return nil }
    for _ in 0..<count {
      guard let id = reader.take(16).flatMap({ RandomIdentifier(bytes: $0) }), let digest = reader.take(32),
        let reviewed = reader.number()
      else { return nil }
      answers.append(Answered(id: id, digest: digest, reviewedMilliseconds: reviewed))
    }
    guard reader.isAtEnd else { return nil }
  }
}

private struct RowWriter {
  var bytes: [UInt8] = []

  mutating func number(_ value: Int64) {
    for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: value >> Int64(shift))) }
  }

  /// At most 255 bytes of it.
  mutating func text(_ text: String) {
    let utf8 = Array(text.utf8.prefix(255))
    bytes.append(UInt8(utf8.count))
    bytes += utf8
  }

  mutating func moment(_ moment: Timestamp) {
    number(moment.utcNanoseconds)
    number(Int64(bitPattern: moment.monotonicNanoseconds))
    bytes.append(moment.synchronised ? 1 : 0)
    text(moment.bootID)
  }

  mutating func optional<Value>(_ value: Value?, _ write: (inout RowWriter, Value) -> Void) {
    bytes.append(value == nil ? 0 : 1)
    if let value { write(&self, value) }
  }
}

private struct RowReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func byte() -> UInt8? { rest.popFirst() }

  mutating func take(_ count: Int) -> [UInt8]? {
    guard rest.count >= count else { return nil }
    defer { rest.removeFirst(count) }
    return Array(rest.prefix(count))
  }

  mutating func number() -> Int64? {
    take(8).map { bytes in Int64(bitPattern: bytes.reduce(0) { $0 << 8 | UInt64($1) }) }
  }

  mutating func text() -> String? {
    guard let count = byte(), let bytes = take(Int(count)) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }

  mutating func moment() -> Timestamp? {
    guard let utc = number(), let monotonic = number(), let mark = byte(), mark <= 1, let boot = text() else {
      return nil
    }
    return Timestamp(
      utcNanoseconds: utc, bootID: boot, monotonicNanoseconds: UInt64(bitPattern: monotonic), synchronised: mark == 1)
  }

  /// nil where the bytes are none, `.some(nil)` where nothing was written.
  mutating func optional<Value>(_ read: (inout RowReader) -> Value?) -> Value?? {
    switch byte() {
    case 0: return .some(nil)
    case 1:
      guard let value = read(&self) else { return nil }
      return .some(value)
    default: return nil
    }
  }
}
