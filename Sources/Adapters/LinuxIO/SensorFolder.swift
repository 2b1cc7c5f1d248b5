import FoundationEssentials
import LocalFiles
import Provenance
import Thermography

/// A folder with what is kept about sensors: `<serial>.eeprom` (a word file, written once) and
/// `<serial>.flat-field.json`.
package struct SensorFolder: SensorArchive {
  package let path: String

  /// More sensors than one device ever sees.
  private static let maximumSensors = 64
  private static let maximumFlatFieldBytes = 65_536

  /// Makes the folder when it is missing; its parent must exist.
  package init(path: String) throws(FileError) {
    self.path = path
    try Folder.make(path, mode: 0o755)
  }

  package func eeprom(serialNumber: String) throws(SensorArchiveError) -> EEPROMImage? {
    guard let bytes = try read(file(serialNumber, "eeprom"), maximumBytes: WordFile.maximumBytes) else { return nil }
    do { return try WordFile.eeprom(bytes, name: file(serialNumber, "eeprom")) } catch {
      throw SensorArchiveError(error.description)
    }
  }

  package func allEEPROMs() throws(SensorArchiveError) -> [EEPROMImage] {
    var images: [EEPROMImage] = []
    for serialNumber in try serialNumbers() {
      if let image = try eeprom(serialNumber: serialNumber) { images.append(image) }
    }
    return images
  }

  package func keep(_ eeprom: EEPROMImage) throws(SensorArchiveError) {
    let name = file(eeprom.serialNumber, "eeprom")
    guard try read(name, maximumBytes: WordFile.maximumBytes) == nil else { return }
    try replace(name, with: Array(WordFile.text(of: eeprom.words).utf8))
  }

  package func flatField(serialNumber: String) throws(SensorArchiveError) -> FlatField? {
    let name = file(serialNumber, "flat-field.json")
    guard let bytes = try read(name, maximumBytes: Self.maximumFlatFieldBytes) else { return nil }
    do { return try JSONDecoder().decode(FlatField.self, from: Data(bytes)) } catch {
      throw SensorArchiveError("\(name): not a flat field; make it again with 'thermograph camera calibrate'")
    }
  }

  /// Replaces the flat field of its sensor.
  ///
  /// - Returns: the file.
  package func keep(_ flatField: FlatField) throws(SensorArchiveError) -> String {
    let name = file(flatField.serialNumber, "flat-field.json")
    let bytes: [UInt8]
    do { bytes = try CanonicalJSON.bytes(of: flatField) } catch {
      throw SensorArchiveError("\(name): the flat field holds numbers that are not finite")
    }
    try replace(name, with: bytes)
    return name
  }

  /// Serial numbers come from the sensor as twelve hexadecimal digits, so that they are safe in a file name.
  private func file(_ serialNumber: String, _ kind: String) -> String { "\(path)/\(serialNumber).\(kind)" }

  private func read(_ name: String, maximumBytes: Int) throws(SensorArchiveError) -> [UInt8]? {
    do { return try BoundedFile.readIfThere(name, maximumBytes: maximumBytes) } catch {
      throw SensorArchiveError(error.description)
    }
  }

  private func replace(_ name: String, with bytes: [UInt8]) throws(SensorArchiveError) {
    do { try BoundedFile.replace(name, with: bytes) } catch { throw SensorArchiveError(error.description) }
  }

  private func serialNumbers() throws(SensorArchiveError) -> [String] {
    do {
      return try Folder.names(in: path, maximumNames: 2 * Self.maximumSensors).filter { $0.hasSuffix(".eeprom") }.map {
        String($0.dropLast(7))
      }
    } catch {
      throw SensorArchiveError(error.description)
    }
  }
}
