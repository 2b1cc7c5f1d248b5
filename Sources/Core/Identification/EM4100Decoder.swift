import Provenance

/// Decoder of the ASCII frames that 125 kHz readers send for an EM4100 tag.
///
///     RDM6300   02  d d d d d d d d d d  c c        03     14 bytes
///     ID-12LA   02  d d d d d d d d d d  c c  0D 0A 03     16 bytes
///
/// `d` are the ten hexadecimal digits of the 40 bits, version byte first; `c` the two digits of the XOR of those five
/// bytes (RDM6300 specification, "UART output"; ID-2/12/20LA datasheet, section 4). A start byte inside a frame
/// starts a new one, and a byte that is no digit is never taken for one.
package struct EM4100Decoder: TagDecoder, Equatable {
  package enum Layout: Sendable, Equatable {
    case rdm6300
    case id12la
  }

  package let layout: Layout

  /// Position in the frame of the next byte; 0 while waiting for a start byte.
  private var position = 0
  private var bits: UInt64 = 0
  /// Bytes seen outside any frame and not yet reported.
  private var noiseByteCount = 0

  private static let startByte: UInt8 = 0x02
  private static let endByte: UInt8 = 0x03
  /// First position after the twelve digits.
  private static let tailPosition = 13
  /// A reader at another baud rate may never send a start byte; its noise is reported in pieces of this size.
  private static let noiseReportByteCount = 1024

  package init(layout: Layout) {
    self.layout = layout
  }

  package mutating func decode(_ bytes: UnsafeRawBufferPointer, found: (DecoderEvent) -> Void) {
    for byte in bytes {
      if byte == Self.startByte {
        abandon(.restarted, found: found)
        position = 1
        bits = 0
      } else if position == 0 {
        noiseByteCount += 1
        if noiseByteCount == Self.noiseReportByteCount { abandon(.noise, found: found) }
      } else if position < Self.tailPosition {
        guard let digit = Hexadecimal.value(of: byte) else {
          position += 1
          abandon(.notADigit, found: found)
          continue
        }
        bits = bits << 4 | UInt64(digit)
        position += 1
      } else {
        tail(byte, found: found)
      }
    }
  }

  package mutating func endOfBurst(found: (DecoderEvent) -> Void) {
    abandon(.truncated, found: found)
  }

  private mutating func tail(_ byte: UInt8, found: (DecoderEvent) -> Void) {
    let expected: UInt8
    switch (layout, position) {
    case (.id12la, Self.tailPosition): expected = 0x0D
    case (.id12la, Self.tailPosition + 1): expected = 0x0A
    default: expected = Self.endByte
    }
    position += 1
    guard byte == expected else { return abandon(.badEnd, found: found) }
    guard expected == Self.endByte else { return }

    let checksum = UInt8(truncatingIfNeeded: bits)
    let data = bits >> 8
    let computed = UInt8(truncatingIfNeeded: data ^ data >> 8 ^ data >> 16 ^ data >> 24 ^ data >> 32)
    guard computed == checksum else { return abandon(.badChecksum, found: found) }
    position = 0
    found(
      .reading(
        TagReading(
          uid: TagUID(em4100: data), technology: .em4100, isSuspect: PhantomFrames.resembles(em4100: data))))
  }

  /// Reports what is pending, a broken frame or noise, and goes back to waiting for a start byte.
  private mutating func abandon(_ reason: FrameReject.Reason, found: (DecoderEvent) -> Void) {
    if noiseByteCount > 0 {
      found(.reject(FrameReject(.noise, byteCount: noiseByteCount)))
      noiseByteCount = 0
    }
    if position > 0 {
      found(.reject(FrameReject(reason, byteCount: position)))
      position = 0
    }
  }
}
