/// What kind of target InListPassiveTarget looks for: its BrTy byte (UM0701-02, section 7.3.5).
package enum PN532Modulation: UInt8, Sendable, CaseIterable {
  case iso14443A = 0x00
  case feliCa212 = 0x01
  case feliCa424 = 0x02
  case iso14443B = 0x03
  case jewel = 0x04

  /// As configurations write it.
  package var name: String {
    switch self {
    case .iso14443A: "iso14443a"
    case .feliCa212: "felica-212"
    case .feliCa424: "felica-424"
    case .iso14443B: "iso14443b"
    case .jewel: "jewel"
    }
  }
}

/// Reads the targets out of an answer to InListPassiveTarget: `D5 4B NbTg` and then, for each target, by kind
///
///     type A   Tg SENS_RES(2) SEL_RES NFCIDLength NFCID [ATSLength ATS]      ATS where SEL_RES has bit 5
///     FeliCa   Tg POL_RESLength(18|20) 01 NFCID2t(8) Pad(8) [SYST_CODE(2)]
///     type B   Tg ATQB(12: 50 PUPI(4) ...) ATTRIB_RESLength ATTRIB_RES
///     Jewel    Tg SENS_RES(2) JEWELID(4)
package enum PN532Target {
  package static let responseCode: UInt8 = 0x4B
  package static let commandCode: UInt8 = 0x4A

  /// The tags of one answer: the PN532 initialises at most two targets at once.
  struct Answer: Equatable {
    var first: TagReading?
    var second: TagReading?
  }

  /// The tags in `information` (TFI included), or nil when it is no answer that makes sense.
  ///
  /// Every byte must be accounted for. Without `modulation`, as when only the chip's side of a dialogue was recorded,
  /// the answer must fit one kind and no other.
  package static func readings(
    inAnswer information: [UInt8], to modulation: PN532Modulation?
  ) -> [TagReading]? {
    information.withUnsafeBufferPointer { answer($0, to: modulation) }
      .map { answer in [answer.first, answer.second].compactMap { $0 } }
  }

  /// The same without an allocation.
  static func answer(_ information: UnsafeBufferPointer<UInt8>, to modulation: PN532Modulation?) -> Answer? {
    guard information.count >= 3, information[0] == 0xD5, information[1] == responseCode else { return nil }
    let targetCount = Int(information[2])
    guard targetCount <= 2 else { return nil }
    if targetCount == 0 { return information.count == 3 ? Answer() : nil }
    let targets = UnsafeBufferPointer(rebasing: information[3...])
    if let modulation { return answer(targets, count: targetCount, modulation) }
    // FeliCa's two speeds have one form.
    let (typeA, feliCa) = (
      answer(targets, count: targetCount, .iso14443A), answer(targets, count: targetCount, .feliCa212)
    )
    let (typeB, jewel) = (
      answer(targets, count: targetCount, .iso14443B), answer(targets, count: targetCount, .jewel)
    )
    let fits = (typeA == nil ? 0 : 1) + (feliCa == nil ? 0 : 1) + (typeB == nil ? 0 : 1) + (jewel == nil ? 0 : 1)
    return fits == 1 ? typeA ?? feliCa ?? typeB ?? jewel : nil
  }

  private static func answer(
    _ bytes: UnsafeBufferPointer<UInt8>, count: Int, _ modulation: PN532Modulation
  ) -> Answer? {
    var cursor = Cursor(bytes: bytes)
    var answer = Answer()
    guard cursor.byte() == 1 else { return nil }
    answer.first = reading(&cursor, modulation)
    guard answer.first != nil else { return nil }
    if count == 2 {
      guard cursor.byte() == 2 else { return nil }
      answer.second = reading(&cursor, modulation)
      guard answer.second != nil else { return nil }
    }
    return cursor.isAtEnd ? answer : nil
  }

  private static func reading(_ cursor: inout Cursor, _ modulation: PN532Modulation) -> TagReading? {
    switch modulation {
    case .iso14443A: typeA(&cursor)
    case .feliCa212, .feliCa424: feliCa(&cursor)
    case .iso14443B: typeB(&cursor)
    case .jewel: jewel(&cursor)
    }
  }

  private static func typeA(_ cursor: inout Cursor) -> TagReading? {
    guard cursor.take(2) != nil, let selectAnswer = cursor.byte(), let length = cursor.byte(),
      length == 4 || length == 7 || length == 10, let identity = cursor.take(Int(length)),
      let uid = TagUID(bytes: identity)
    else { return nil }
    // 0x88 is the cascade tag, which never starts a whole single-size identity (ISO/IEC 14443-3, 6.4.4).
    if length == 4, identity.first == 0x88 { return nil }
    if selectAnswer & 0x20 != 0 {
      guard let answerLength = cursor.byte(), answerLength >= 1, cursor.take(Int(answerLength) - 1) != nil else {
        return nil
      }
    }
    return TagReading(uid: uid, technology: .iso14443A, isSuspect: uid.isBlank)
  }

  private static func feliCa(_ cursor: inout Cursor) -> TagReading? {
    guard let length = cursor.byte(), length == 18 || length == 20, cursor.byte() == 0x01,
      let identity = cursor.take(8), cursor.take(Int(length) - 10) != nil, let uid = TagUID(bytes: identity)
    else { return nil }
    return TagReading(uid: uid, technology: .feliCa, isSuspect: uid.isBlank)
  }

  private static func typeB(_ cursor: inout Cursor) -> TagReading? {
    guard cursor.byte() == 0x50, let identity = cursor.take(4), cursor.take(7) != nil,
      let length = cursor.byte(), cursor.take(Int(length)) != nil, let uid = TagUID(bytes: identity)
    else { return nil }
    return TagReading(uid: uid, technology: .iso14443B, isSuspect: uid.isBlank)
  }

  private static func jewel(_ cursor: inout Cursor) -> TagReading? {
    // SENS_RES 0C00 is what marks a type 1 tag (NFC Forum Digital Protocol, type 1 platform).
    guard let answer = cursor.take(2),
      (answer[0] == 0x0C && answer[1] == 0x00) || (answer[0] == 0x00 && answer[1] == 0x0C),
      let identity = cursor.take(4), let uid = TagUID(bytes: identity)
    else { return nil }
    return TagReading(uid: uid, technology: .jewel, isSuspect: uid.isBlank)
  }

  private struct Cursor {
    let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(bytes: UnsafeBufferPointer<UInt8>) {
      self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func byte() -> UInt8? {
      guard position < bytes.count else { return nil }
      defer { position += 1 }
      return bytes[position]
    }

    mutating func take(_ count: Int) -> UnsafeBufferPointer<UInt8>? {
      guard bytes.count - position >= count else { return nil }
      defer { position += count }
      return UnsafeBufferPointer(rebasing: bytes[position..<position + count])
    }
  }
}
