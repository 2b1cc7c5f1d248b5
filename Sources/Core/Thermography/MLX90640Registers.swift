/// Addresses of the MLX90640 (datasheet rev 12, section 10): 16-bit addresses of 16-bit big-endian words.
package enum MLX90640Address {
  /// First of 832 words of RAM: 768 pixels, then two rows of auxiliary words.
  package static let ram: UInt16 = 0x0400
  /// First of 832 words of EEPROM. The house never writes it: it has ten erase cycles and no checksum.
  package static let eeprom: UInt16 = 0x2400
  package static let status: UInt16 = 0x8000
  package static let control: UInt16 = 0x800D
  /// The sensor's I2C address as delivered.
  package static let defaultDevice: UInt8 = 0x33
}

/// Index of an auxiliary word in a sub-page's 832 words (address minus 0x0400; datasheet 10.4, 11.2.2).
package enum AuxiliaryIndex {
  package static let vbe = 768
  package static let compensationPixel0 = 776
  package static let gain = 778
  package static let ptat = 800
  package static let compensationPixel1 = 808
  package static let vdd = 810
  /// Words that the temperature maths uses.
  package static let used = [vbe, compensationPixel0, gain, ptat, compensationPixel1, vdd]
}

/// The only two registers that anything can write (datasheet 10.5). Other addresses are unrepresentable.
package enum WritableRegister: UInt16, Sendable {
  case status = 0x8000
  case control = 0x800D
}

/// Status register 0x8000 (datasheet 10.5, table 9).
package struct StatusRegister: Sendable, Hashable {
  package var rawValue: UInt16

  package init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The sub-page measured last: 0 or 1 (bits 0...2; the other values are reserved).
  package var lastSubPage: Int { Int(rawValue & 7) }
  /// New data in RAM since the host cleared this bit (bit 3).
  package var dataReady: Bool { rawValue & 8 != 0 }
  /// What the host writes to clear data-ready and keep overwriting enabled (bit 4); data hold is never used.
  package static let cleared = StatusRegister(rawValue: 0x0010)
}

/// Control register 0x800D (datasheet 10.5, table 10).
package struct ControlRegister: Sendable, Hashable {
  package var rawValue: UInt16

  package init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Sub-pages on, no data hold, no repeat, no step mode.
  package init(refreshRate: RefreshRate, resolution: Resolution, pattern: ReadingPattern) {
    rawValue =
      1 | UInt16(refreshRate.rawValue) << 7 | UInt16(resolution.rawValue) << 10 | UInt16(pattern.rawValue) << 12
  }

  package var refreshRate: RefreshRate { RefreshRate(code: Int(rawValue >> 7)) }
  package var resolution: Resolution { Resolution(code: Int(rawValue >> 10)) }
  package var pattern: ReadingPattern { rawValue & 0x1000 == 0 ? .interleaved : .chess }

  /// What the register holds after a power-up (0x1901): 2 Hz, 18 bit, chess.
  package static let powerUpDefault = ControlRegister(rawValue: 0x1901)
}

/// Sub-pages (not whole images) a second.
package enum RefreshRate: Int, Sendable, Hashable, CaseIterable {
  case halfHertz, hertz1, hertz2, hertz4, hertz8, hertz16, hertz32, hertz64

  init(code: Int) {
    let rates: [RefreshRate] = [.halfHertz, .hertz1, .hertz2, .hertz4, .hertz8, .hertz16, .hertz32, .hertz64]
    self = rates[code & 7]
  }

  /// The rate of exactly this many sub-pages a second, or nil.
  package init?(subPagesPerSecond: Double) {
    guard let rate = Self.allCases.first(where: { $0.subPagesPerSecond == subPagesPerSecond }) else { return nil }
    self = rate
  }

  package var subPagesPerSecond: Double { 0.5 * Double(1 << rawValue) }
  /// Time between two sub-pages.
  package var periodMicroseconds: UInt64 { 2_000_000 >> UInt64(rawValue) }
  /// The next slower rate, or nil at the slowest.
  package var slower: RefreshRate? { RefreshRate(rawValue: rawValue - 1) }
}

/// Bits of the converter. Its raw counts (pixels, gain, Vdd, compensation pixels) double with each bit.
package enum Resolution: Int, Sendable, Hashable, CaseIterable {
  case bits16, bits17, bits18, bits19

  init(code: Int) {
    let resolutions: [Resolution] = [.bits16, .bits17, .bits18, .bits19]
    self = resolutions[code & 3]
  }

  package var bits: Int { rawValue + 16 }
}

/// Which pixels a sub-page measures (datasheet 11.2.2.3 and figure 7).
package enum ReadingPattern: Int, Sendable, Hashable, CaseIterable {
  /// Sub-page 0 has the even rows, 1 the odd rows.
  case interleaved
  /// Sub-page 0 has the pixels of which row + column is even, 1 the others.
  case chess

  /// The sub-page (0 or 1) that measures pixel `index` (0..<768).
  package func subPage(ofPixel index: Int) -> Int {
    let row = index / MLX90640Geometry.columns
    switch self {
    case .interleaved: return row & 1
    case .chess: return (row ^ index) & 1
    }
  }
}
