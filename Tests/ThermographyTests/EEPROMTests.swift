import Testing
import Thermography

@Suite("EEPROM")
struct EEPROMTests {
  private func spoiled(_ spoil: (inout [UInt16]) -> Void) throws -> EEPROMImage {
    var words = try GoldenData.exampleEEPROM().words
    spoil(&words)
    return try EEPROMImage(words: words)
  }

  @Test("real parts and golden parts are plausible")
  func plausible() throws {
    #expect(try GoldenData.exampleEEPROM().faults.isEmpty)
    #expect(try EEPROMImage(words: GoldenData.words(file: "signaloid/eeprom.txt")).faults.isEmpty)
    for file in GoldenTests.files {
      for golden in try GoldenData.cases(file) { #expect(try golden.eeprom.faults.isEmpty, "\(golden.name)") }
    }
    #expect(try GoldenData.exampleEEPROM().serialNumber == "1710a2240185")
  }

  @Test("spoiled copies are refused with the reason")
  func refused() throws {
    #expect(try spoiled { $0 = Array(repeating: 0, count: 832) }.faults == [.allZero])
    #expect(try spoiled { $0 = Array(repeating: 0xFFFF, count: 832) }.faults == [.allOnes])
    for parity in [0, 1] {
      let alternating = try spoiled { words in
        for index in stride(from: parity, to: 832, by: 2) { words[index] = 0xFFFF }
      }
      #expect(alternating.faults == [.alternatingOnes])
    }
    #expect(try spoiled { $0[52] = 0 }.faults == [.allKvZero])
    #expect(try spoiled { $0[10] |= 0x40 }.faults == [.otherDevice])
    #expect(
      try spoiled { $0[3] = 0x1234 }.faults == [.header(address: 0x2403, found: 0x1234, expected: 0x2061)])
    #expect(!(try spoiled { $0[48] = 0 }.faults.isEmpty))
    #expect(!(try spoiled { $0[51] = 0 }.faults.isEmpty))
    #expect(throws: WordCountError.self) { try EEPROMImage(words: [1, 2, 3]) }
  }

  @Test("all defective pixels are listed; many or adjacent ones degrade")
  func defects() throws {
    let marked = try spoiled { words in
      for pixel in [0, 5, 40, 300, 500, 767] { words[64 + pixel] = 0 }
      words[64 + 100] |= 1
      words[64 + 101] |= 1
    }
    let defects = marked.defectivePixels
    #expect(defects.broken == [0, 5, 40, 300, 500, 767])
    #expect(defects.outliers == [100, 101])
    #expect(defects.hasAdjacentPixels)
    #expect(defects.isDegraded)
    #expect(!(try GoldenData.exampleEEPROM().defectivePixels.isDegraded))
  }

  @Test("live copy, backup, or neither")
  func source() throws {
    let good = try GoldenData.exampleEEPROM()
    let changed = try spoiled { $0[100] ^= 0x10 }
    let halfGone = try spoiled { words in
      for index in stride(from: 1, to: 832, by: 2) { words[index] = 0xFFFF }
    }
    let other = try EEPROMImage(words: GoldenData.words(file: "signaloid/eeprom.txt"))
    #expect(try CalibrationSource.decide(live: good, backup: nil, others: []) == .liveFirstSeen)
    #expect(try CalibrationSource.decide(live: good, backup: good, others: []) == .live)
    #expect(
      try CalibrationSource.decide(live: changed, backup: good, others: []) == .backup(good, differingWords: 1))
    // The serial number is among the spoiled words: the backup is found by what the copies still share.
    guard case .backup(let found, _) = try CalibrationSource.decide(live: halfGone, backup: nil, others: [other, good])
    else {
      Issue.record("no backup was found")
      return
    }
    #expect(found == good)
    #expect(
      try CalibrationSource.decide(live: halfGone, backup: nil, others: [other]) == .refused([.alternatingOnes]))
  }
}
