/// One reason why an EEPROM image cannot be a calibration.
package enum EEPROMFault: Error, Sendable, Hashable {
  case allZero
  case allOnes
  /// Every second word is 0xFFFF: the corruption that writing to the EEPROM at the wrong moment leaves.
  case alternatingOnes
  /// The device-select bit says MLX90641.
  case otherDevice
  case header(address: UInt16, found: UInt16, expected: UInt16)
  case allKvZero
  /// A field outside of what any real part has.
  case field(name: String, found: String, expected: String)
}

extension EEPROMFault: CustomStringConvertible {
  package var description: String {
    switch self {
    case .allZero: "all words are 0: nothing was read, or the EEPROM is erased"
    case .allOnes: "all words are 0xffff: nobody drives the bus, or the EEPROM is erased"
    case .alternatingOnes: "every second word is 0xffff: the EEPROM is corrupted; restore it from the backup"
    case .otherDevice: "word 0x240a has the MLX90641's device bit: this is not an MLX90640"
    case .header(let address, let found, let expected):
      "header word \(hexadecimal(address)) is \(hexadecimal(found)), expected \(hexadecimal(expected))"
    case .allKvZero: "all Kv fields (word 0x2434) are 0, which no part has: the EEPROM is corrupted"
    case .field(let name, let found, let expected): "\(name) is \(found), expected \(expected)"
    }
  }
}

extension EEPROMImage {
  /// Every reason not to calibrate with these words; empty for a plausible EEPROM.
  ///
  /// The EEPROM has no checksum, so windows are all there is: constants of the header that all known parts share, and
  /// ranges well outside of what the datasheet's examples and real parts show.
  package var faults: [EEPROMFault] {
    if words.allSatisfy({ $0 == 0 }) { return [.allZero] }
    if words.allSatisfy({ $0 == 0xFFFF }) { return [.allOnes] }
    if hasAlternatingOnes { return [.alternatingOnes] }
    var faults: [EEPROMFault] = []
    if field(10, 6, 1) != 0 { faults.append(.otherDevice) }
    for (index, expected) in [(3, 0x2061), (5, 0x0320), (6, 0x03E0)] as [(Int, UInt16)] where words[index] != expected {
      faults.append(.header(address: MLX90640Address.eeprom + UInt16(index), found: words[index], expected: expected))
    }
    if words[52] == 0 { faults.append(.allKvZero) }
    return faults + fieldFaults
  }

  private var hasAlternatingOnes: Bool {
    [0, 1].contains { parity in
      stride(from: parity, to: words.count, by: 2).allSatisfy { words[$0] == 0xFFFF }
    }
  }

  private var fieldFaults: [EEPROMFault] {
    let calibration = Calibration(self)
    var faults: [EEPROMFault] = []
    func expect(_ name: String, _ value: Double, in range: ClosedRange<Double>) {
      guard !range.contains(value) else { return }
      let expected = "\(rounded(range.lowerBound, 2))...\(rounded(range.upperBound, 2))"
      faults.append(.field(name: name, found: rounded(value, 3), expected: expected))
    }
    expect("gain (word 0x2430)", calibration.gain, in: 1000...20_000)
    expect("PTAT at 25 degC (word 0x2431)", calibration.vPTAT25, in: 4000...30_000)
    expect("Kt-PTAT (word 0x2432)", calibration.ktPTAT, in: 10...100)
    expect("Kvdd (word 0x2433)", calibration.kVdd, in: -4064...(-1024))
    let sensitive = (0..<MLX90640Geometry.pixelCount).filter { calibration.alpha[$0] > 0 }.count
    if sensitive < MLX90640Geometry.pixelCount / 2 {
      faults.append(
        .field(
          name: "pixel sensitivity (word 0x2420)", found: "positive for \(sensitive) of 768 pixels",
          expected: "positive for most"))
    }
    return faults
  }
}
