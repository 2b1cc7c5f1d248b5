import Foundation
import LinuxIO
import LocalFiles
import Testing
import Thermography

@Suite struct SensorFolderTests {
  private func eeprom(changing index: Int? = nil) throws -> EEPROMImage {
    let path = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Hardware/sensors/melexis-example/eeprom.txt")
    var words = try WordFile.eeprom(Data(contentsOf: path), name: path.path).words
    if let index { words[index] ^= 1 }
    return try EEPROMImage(words: words)
  }

  private func inFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "thermograph-sensors-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  @Test func theFirstCopyIsKeptForEverAndFoundByItsSerialNumber() throws {
    try inFolder { folder in
      let first = try eeprom()
      let archive = try SensorFolder(path: folder)
      #expect(try archive.eeprom(serialNumber: first.serialNumber) == nil)
      try archive.keep(first)
      // A changed copy of the same sensor must not take the backup's place.
      try archive.keep(try eeprom(changing: 400))
      let again = try SensorFolder(path: folder)
      #expect(try again.eeprom(serialNumber: first.serialNumber) == first)
      #expect(try again.allEEPROMs() == [first])
    }
  }

  @Test func aSpoiledBackupIsNamedAndNotUsed() throws {
    try inFolder { folder in
      let first = try eeprom()
      let archive = try SensorFolder(path: folder)
      try Data("1 2 three".utf8).write(to: URL(fileURLWithPath: "\(folder)/\(first.serialNumber).eeprom"))
      let error = #expect(throws: SensorArchiveError.self) {
        try archive.eeprom(serialNumber: first.serialNumber)
      }
      #expect(error?.description.contains("'three' is not a word") == true)
    }
  }

  @Test func aFolderThatCannotBeMadeIsNamed() {
    #expect(throws: FileError.self) { try SensorFolder(path: "/proc/thermograph/sensors") }
  }
}
