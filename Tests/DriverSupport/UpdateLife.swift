import Provenance
import Remote
import Storage

/// The same life of updates, each time: what a killed process did, and what it should have done, can be compared.
package enum UpdateLife {
  private static let figures = TrialFigures(samples: 8, candidateMicroseconds: 900, currentMicroseconds: 800)

  /// The unit's file: some pages, other for each version.
  package static func bytes(of version: Int64) -> [UInt8] {
    var generator = SeededGenerator(seed: UInt64(version))
    return (0..<20_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }

  private static func unit(_ version: Int64) -> UpdateUnit? {
    let digest = Hexadecimal.text(of: OpenSSLDigests().sha256(bytes(of: version)))
    return UnitTarget(model: "fold", version: version).map {
      UpdateUnit(target: $0, slot: .screening, fileSHA256: digest, unitSHA256: digest, bytes: 20_000)
    }
  }

  /// What happens next; nil: every version up to `last` has been through. Each third one is taken back.
  package static func next(_ book: UpdateBook, last: Int64) -> UpdateEvent? {
    if book.notes.count >= 8 { return .told(number: book.noteNumber) }
    guard let update = book.update else {
      let newest = book.ends.last?.unit.version ?? 0
      guard newest < last, let unit = unit(newest + 1) else { return nil }
      return .staged(unit, command: nil, window: nil)
    }
    switch update.phase {
    case .waiting, .passed: return .time(seconds: 5, quietSeconds: 300, isWindowOpen: true)
    case .golden: return .trial(.golden(figures))
    case .shadow: return .trial(.shadow(agrees: true, figures))
    case .active:
      return update.unit.version % 3 == 0
        ? .rollback(.screening, reason: "each third") : .captured(unitSHA256s: [update.unit.unitSHA256])
    }
  }

  /// Every record of the life, in order, as it lies on disk.
  package static func records(last: Int64) throws -> [[UInt8]] {
    var book = UpdateBook()
    var records: [[UInt8]] = []
    while let event = next(book, last: last) {
      try book.handle(event)
      records.append(try book.encoded())
    }
    return records
  }

  /// A word for where a record stands.
  package static func step(_ book: UpdateBook) -> String {
    "\(book.noteNumber)-\(book.notes.count)-\(book.update?.phase.rawValue ?? "none")-\(book.update?.shadows ?? 0)-\(book.update?.captures ?? 0)"
  }
}
