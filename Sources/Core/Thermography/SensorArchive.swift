/// What is kept about sensors, each under its serial number: the EEPROM as first seen, and the flat field.
package protocol SensorArchive {
  /// The backup of the sensor `serialNumber`, or nil when there is none.
  func eeprom(serialNumber: String) throws(SensorArchiveError) -> EEPROMImage?
  /// All backups, for a sensor whose serial number has become unreadable.
  func allEEPROMs() throws(SensorArchiveError) -> [EEPROMImage]
  /// Keeps a backup; an existing one of the same serial number is never replaced.
  func keep(_ eeprom: EEPROMImage) throws(SensorArchiveError)
  func flatField(serialNumber: String) throws(SensorArchiveError) -> FlatField?
}

/// The archive could not be read or written; `description` is one line for a person.
package struct SensorArchiveError: Error, Equatable, Sendable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) { self.description = description }
}

/// Which EEPROM a camera calibrates with: decided from the live copy and the backups, without I/O.
package enum CalibrationSource: Sendable, Hashable {
  /// The live copy; there is no backup yet, so it is to be kept.
  case liveFirstSeen
  /// The live copy, which equals its backup.
  case live
  /// The backup, because the live copy has changed in so many words: an alarm.
  case backup(EEPROMImage, differingWords: Int)
  /// Nothing can be used.
  case refused([EEPROMFault])

  /// A spoiled copy still shares this part of its words with its own backup; another part shares a few per cent.
  static let minimumSharedWords = EEPROMImage.wordCount / 4

  /// - Parameters:
  ///   - live: as read, twice, from the sensor.
  ///   - backup: kept under the serial number that `live` shows.
  ///   - others: all backups, consulted only when `live` is implausible and its serial number has no backup.
  package static func decide(
    live: EEPROMImage, backup: EEPROMImage?, others: @autoclosure () throws(SensorArchiveError) -> [EEPROMImage]
  ) throws(SensorArchiveError) -> CalibrationSource {
    let faults = live.faults
    if let backup, backup.faults.isEmpty {
      let differing = differingWords(live, backup)
      return differing == 0 ? .live : .backup(backup, differingWords: differing)
    }
    if faults.isEmpty { return .liveFirstSeen }
    var best: (image: EEPROMImage, differing: Int)?
    for candidate in try others() where candidate.faults.isEmpty {
      let differing = differingWords(live, candidate)
      if differing < best?.differing ?? (EEPROMImage.wordCount - minimumSharedWords) { best = (candidate, differing) }
    }
    return best.map { .backup($0.image, differingWords: $0.differing) } ?? .refused(faults)
  }

  private static func differingWords(_ left: EEPROMImage, _ right: EEPROMImage) -> Int {
    zip(left.words, right.words).count { $0 != $1 }
  }
}
