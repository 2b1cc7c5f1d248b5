import Provenance

/// A reader's protocol on the serial line.
package enum ReaderKind: String, Sendable, CaseIterable, Codable {
  /// RDM6300 and its kin: 9600 8N1, repeats about every 65 ms while the tag is near.
  case rdm6300
  /// ID-2LA, ID-12LA, ID-20LA: 9600 8N1, once an entry of the tag into the field.
  case id12la
  /// NXP PN532 on its high-speed UART: 115200 8N1.
  case pn532HSU = "pn532-hsu"
  /// Readers that send the identity as a line of text.
  case line

  /// The line speed the reader has after power-up.
  package var baud: Int {
    switch self {
    case .rdm6300, .id12la, .line: 9600
    case .pn532HSU: 115_200
    }
  }

  /// Whether the reader sends the same frame again and again while the tag is near, so that a presentation can be
  /// asked to prove itself.
  package var repeatsWhilePresent: Bool {
    switch self {
    case .rdm6300, .pn532HSU: true
    case .id12la, .line: false
    }
  }

  /// Identical frames that make a tag unless the configuration says otherwise: 3 where the reader repeats, else 1.
  package var requiredFrames: Int { repeatsWhilePresent ? 3 : 1 }
}

/// What kind of tag answered.
package enum TagTechnology: String, Sendable, Codable {
  /// 125 kHz, 40 bits, read only.
  case em4100
  /// 13.56 MHz, ISO/IEC 14443 type A.
  case iso14443A = "iso14443a"
  /// 13.56 MHz, ISO/IEC 14443 type B: the pseudo-unique identifier (PUPI).
  case iso14443B = "iso14443b"
  /// 13.56 MHz, JIS X 6319-4: the manufacture identifier (IDm).
  case feliCa = "felica"
  /// 13.56 MHz, NFC Forum type 1 (Innovision Topaz, Jewel).
  case jewel
  /// Whatever a line reader reads.
  case text
}

/// One frame that passed every check its protocol has.
package struct TagReading: Sendable, Hashable {
  package var uid: TagUID
  package var technology: TagTechnology
  /// The frame looks like one that readers are known to send with no tag near; see `PhantomFrames`. False is not a
  /// proof of the contrary: only repetition is, which is `PresentationConfirmer`'s work.
  package var isSuspect: Bool

  package init(uid: TagUID, technology: TagTechnology, isSuspect: Bool = false) {
    self.uid = uid
    self.technology = technology
    self.isSuspect = isSuspect
  }

  /// A single-size identity that starts with 08 is a random number, another one each time the tag is powered
  /// (ISO/IEC 14443-3, 6.4.4). It must never become a patient.
  package var isRandom: Bool {
    technology == .iso14443A && uid.byteCount == 4 && uid.leadingBits >> 56 == 0x08
  }
}

/// What a decoder found in the bytes it was fed.
package enum DecoderEvent: Sendable, Hashable {
  case reading(TagReading)
  /// A whole frame that carries no tag: an acknowledgement, an answer to another command.
  case otherFrame
  case reject(FrameReject)
}

/// Bytes that were thrown away, and why. It holds no byte of the frame: a damaged frame still has most of a UID in it.
package struct FrameReject: Sendable, Hashable {
  package enum Reason: String, Sendable, CaseIterable {
    /// Bytes outside any frame.
    case noise
    /// A new frame began before this one ended.
    case restarted
    /// The line fell silent, or the stream ended, inside a frame.
    case truncated
    /// A byte that is no hexadecimal (or decimal) digit where a digit is due.
    case notADigit
    /// The frame is not closed by the bytes its layout ends with.
    case badEnd
    /// The data do not match the checksum.
    case badChecksum
    /// The PN532 length and its checksum do not sum to zero.
    case badLengthChecksum
    /// The announced or the counted length is outside what the protocol or the configuration allows.
    case badLength
    /// A frame that passes its checksums and whose content makes no sense.
    case badContent
  }

  package var reason: Reason
  /// How many bytes were thrown away, at least 1.
  package var byteCount: Int

  package init(_ reason: Reason, byteCount: Int) {
    self.reason = reason
    self.byteCount = byteCount
  }
}

extension FrameReject: CustomStringConvertible {
  package var description: String {
    let bytes = byteCount == 1 ? "1 byte" : "\(byteCount) bytes"
    return switch reason {
    case .noise: "\(bytes) outside any frame: wrong baud rate, or the tail of a frame"
    case .restarted: "frame broken off after \(bytes) by the start of another"
    case .truncated: "frame broken off after \(bytes) by silence or the end of the stream"
    case .notADigit: "frame of \(bytes) dropped: a byte that is no digit where a digit is due"
    case .badEnd: "frame of \(bytes) dropped: it does not end as its layout says"
    case .badChecksum: "frame of \(bytes) dropped: its checksum does not match its data"
    case .badLengthChecksum: "frame of \(bytes) dropped: its length and length checksum do not sum to zero"
    case .badLength: "frame of \(bytes) dropped: its length is outside the allowed range"
    case .badContent: "frame of \(bytes) dropped: its checksums hold and its content makes no sense"
    }
  }
}

extension TagReading {
  /// The number in every way that is printed on tags and expected by other systems, in one line, for the person who
  /// enrols it. For EM4100: the 40 bits, the low 32 bits as eight hexadecimal and ten decimal digits, and the low 24
  /// as facility (3) and number (5).
  package var numberFormats: String {
    let bytes = uid.bytes
    let hexadecimal = Hexadecimal.text(of: bytes)
    guard technology == .em4100, bytes.count == 5 else {
      return "\(technology.rawValue) \(hexadecimal)\(isSuspect ? " suspect" : "")"
    }
    let number = bytes.dropFirst().reduce(0) { $0 << 8 | UInt32($1) }
    let facility = number >> 16 & 0xFF
    return "em4100 \(hexadecimal)  hex8 \(Hexadecimal.text(of: bytes.dropFirst()))  decimal \(padded(number, 10))  "
      + "wiegand26 \(padded(facility, 3)),\(padded(number & 0xFFFF, 5))\(isSuspect ? "  suspect" : "")"
  }
}

private func padded(_ number: UInt32, _ width: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
