import Identification

/// The bytes that readers send, written from their published layouts and not from the decoders under test.
package enum RFIDFrames {
  /// The frame of an EM4100 tag: start, ten digits, XOR, for the ID-12LA carriage return and line feed, end.
  ///
  /// - Parameter uid: five bytes, version byte first.
  package static func em4100(_ uid: [UInt8], layout: EM4100Decoder.Layout) -> [UInt8] {
    let checksum = uid.reduce(0) { $0 ^ $1 }
    let digits = (uid + [checksum]).flatMap { byte in [digit(byte >> 4), digit(byte & 15)] }
    return switch layout {
    case .rdm6300: [0x02] + digits + [0x03]
    case .id12la: [0x02] + digits + [0x0D, 0x0A, 0x03]
    }
  }

  /// The line of a reader that writes hexadecimal digits.
  package static func line(_ uid: [UInt8]) -> [UInt8] {
    uid.flatMap { byte in [digit(byte >> 4), digit(byte & 15)] } + [0x0D, 0x0A]
  }

  /// The value 0...15 as an upper-case digit.
  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
  }
}
