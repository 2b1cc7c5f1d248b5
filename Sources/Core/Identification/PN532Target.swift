/// What kind of target InListPassiveTarget looks for: its BrTy byte (UM0701-02, section 7.3.5).
package enum PN532Modulation: UInt8, Sendable, CaseIterable {
  case iso14443A = 0x00
  case feliCa212 = 0x01
  case feliCa424 = 0x02
  case iso14443B = 0x03
  case jewel = 0x04
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

  /// The tags in `information` (TFI included), or nil when it is no answer that makes sense.
  ///
  /// Every byte must be accounted for. Without `modulation`, as when only the chip's side of a dialogue was recorded,
  /// the answer must fit one kind and no other.
  package static func readings(
    inAnswer information: [UInt8], to modulation: PN532Modulation?
  ) -> [TagReading]? {
    guard information.count >= 3, information[0] == 0xD5, information[1] == responseCode else { return nil }
    let targetCount = Int(information[2])
    // The PN532 initialises at most two targets at once.
    guard targetCount <= 2 else { return nil }
    if targetCount == 0 { return information.count == 3 ? [] : nil }
    if let modulation { return readings(information.dropFirst(3), count: targetCount, modulation) }
    let kinds: [PN532Modulation] = [.iso14443A, .feliCa212, .iso14443B, .jewel]
    let fits = kinds.compactMap { readings(information.dropFirst(3), count: targetCount, $0) }
    return fits.count == 1 ? fits[0] : nil
  }

  private static func readings(_ bytes: ArraySlice<UInt8>, count: Int, _ modulation: PN532Modulation) -> [TagReading]? {
    var cursor = Cursor(rest: bytes)
    var readings: [TagReading] = []
    for number in 1...count {
      guard cursor.byte() == UInt8(number), let reading = reading(&cursor, modulation) else { return nil }
      readings.append(reading)
    }
    return cursor.rest.isEmpty ? readings : nil
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
      [4, 7, 10].contains(length), let identity = cursor.take(Int(length)), let uid = TagUID(bytes: identity)
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
    guard let answer = cursor.take(2), answer.elementsEqual([0x0C, 0x00]) || answer.elementsEqual([0x00, 0x0C]),
      let identity = cursor.take(4), let uid = TagUID(bytes: identity)
    else { return nil }
    return TagReading(uid: uid, technology: .jewel, isSuspect: uid.isBlank)
  }

  private struct Cursor {
    var rest: ArraySlice<UInt8>

    mutating func byte() -> UInt8? { rest.popFirst() }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
      guard rest.count >= count else { return nil }
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }
  }
}
