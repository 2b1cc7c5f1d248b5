import CSQLite
import Forwarding
import LocalFiles
import Provenance

/// What happened to the database before it could be used; a line for the log and an alert for the clinic.
package struct RecoveryReport: Sendable, Equatable, CustomStringConvertible {
  package enum Cause: Sendable, Equatable {
    /// SQLite or our own check found damage; its words.
    case damage(String)
    /// The program had not ended in order and its write-ahead log was gone.
    case logMissing
    /// The last transaction before an interruption is incomplete, as a power cut in the middle of a write leaves it.
    /// It was not announced as saved, unless the log was damaged afterwards.
    case logTorn
    /// The file is from before the last orderly end: somebody put an older copy in its place, or the file system did.
    /// These many captures are not in it.
    case older(captures: Int)
  }

  package let cause: Cause
  /// Messages that are in the new database.
  package let recovered: Int
  /// Messages that the index still listed, or whose payload was found damaged.
  package let lost: Int
  /// Where the damaged files lie; nil when there are none.
  package let damagedPath: String?

  package var description: String {
    switch cause {
    case .damage(let what):
      "outbox: the database was damaged (\(what)); \(recovered) messages recovered, \(lost) lost"
        + (damagedPath.map { "; the damaged file is \($0)" } ?? "")
    case .logMissing:
      "outbox: the program was interrupted and its write-ahead log is gone; captures of its last minutes may be lost"
    case .logTorn:
      "outbox: the program was interrupted in the middle of a write; what was being stored then is not there"
    case .older(let count):
      "outbox: the database is older than the last end of the program: \(count) captures that were stored since are not "
        + "in it; was a copy put in its place?"
    }
  }
}

/// Opens the outbox of a device whatever state its files are in.
enum OutboxRecovery {
  /// Numbers left out after a loss, more than one write-ahead log can hold captures: what was lost may have used them,
  /// and no number may ever name two captures.
  static let skippedNumbers: Int64 = 4096
  /// Messages named one by one in gap records.
  private static let maximumNamedLosses = 100

  /// The database, and what had to be done for it.
  static func open(
    _ configuration: OutboxConfiguration, time: any TimeSource, generator: any RandomNumberGenerator
  ) throws(OutboxError) -> (database: OutboxDatabase, report: RecoveryReport?) {
    let path = configuration.path
    if try onDisk({ () throws(FileError) in try BoundedFile.exists(rebuilt(path)) }) { try exchange(path) }
    let (log, fileBytes) = try onDisk { () throws(FileError) in
      (try WriteAheadLog(databasePath: path), try BoundedFile.status(path)?.byteCount)
    }
    // SQLite would take a file of less than a page for a new one, and throw the log of a missing one away.
    if fileBytes.map({ $0 < DatabasePages.pageBytes }) ?? (log != nil) {
      return try rebuild(configuration, time: time, generator: generator, cause: "the file is cut short or gone")
    }
    // Before SQLite opens it: SQLite drops what follows a damaged frame and writes over it.
    if log?.isDamaged == true {
      return try rebuild(configuration, time: time, generator: generator, cause: "the write-ahead log is damaged")
    }
    do throws(OutboxError) {
      let database = try OutboxDatabase(configuration, time: time, generator: generator)
      try database.checkIndex()
      let wasInterrupted = try database.beginRun()
      try database.releaseMemory()
      var report: RecoveryReport?
      if wasInterrupted, log?.isTorn ?? true {
        let found = RecoveryReport(
          cause: log == nil ? .logMissing : .logTorn, recovered: 0, lost: 0, damagedPath: nil)
        try database.transaction { () throws(OutboxError) in try skipNumbers(database, found) }
        report = found
      }
      let older = try proceed(database, wasInterrupted: wasInterrupted && report == nil)
      return (database, report ?? older)
    } catch {
      guard let cause = error.damage else { throw error }
      return try rebuild(configuration, time: time, generator: generator, cause: cause)
    }
  }

  /// Makes a new database from every intact record of the old one and puts it in its place.
  static func rebuild(
    _ configuration: OutboxConfiguration, time: any TimeSource, generator: any RandomNumberGenerator, cause: String
  ) throws(OutboxError) -> (database: OutboxDatabase, report: RecoveryReport?) {
    let path = configuration.path
    let partial = path + ".partial"
    try remove(["", "-wal", "-shm"].map { partial + $0 })
    var partialConfiguration = configuration
    partialConfiguration.path = partial
    let counts: (recovered: Int, lost: Int)
    do {
      let database = try OutboxDatabase(partialConfiguration, time: time, generator: generator)
      counts = try fill(database, from: path, cause: cause)
      try database.close()
    }
    try remove(["-wal", "-shm"].map { partial + $0 })
    try onDisk { () throws(FileError) in
      try BoundedFile.rename(partial, to: rebuilt(path))
      try Folder.synchronise(Folder.holding(path))
    }
    try exchange(path)
    let database = try OutboxDatabase(configuration, time: time, generator: generator)
    _ = try database.beginRun()
    // What the damaged file had of numbers is told and left out already.
    _ = try proceed(database, wasInterrupted: false)
    let report = RecoveryReport(
      cause: .damage(cause), recovered: counts.recovered, lost: counts.lost,
      damagedPath: try onDisk { () throws(FileError) in try BoundedFile.exists(damaged(path)) } ? damaged(path) : nil)
    return (database, report)
  }

  private static func remove(_ paths: [String]) throws(OutboxError) {
    try onDisk { () throws(FileError) in
      for path in paths { try BoundedFile.remove(path, isDurable: false) }
    }
  }

  private static func rebuilt(_ path: String) -> String { path + ".rebuilt" }
  private static func damaged(_ path: String) -> String { path + ".damaged" }

  /// Puts the complete new database in the place of the old one. Can be interrupted anywhere and begun again: the new
  /// file keeps its name until the last step.
  private static func exchange(_ path: String) throws(OutboxError) {
    try onDisk { () throws(FileError) in
      try BoundedFile.remove(path + "-shm", isDurable: false)
      try BoundedFile.rename(path + "-wal", to: damaged(path) + "-wal")
      try BoundedFile.rename(path, to: damaged(path))
      try Folder.synchronise(Folder.holding(path))
      try BoundedFile.rename(rebuilt(path), to: path)
      try Folder.synchronise(Folder.holding(path))
    }
  }

  // MARK: - Filling the new database

  private static func fill(
    _ database: OutboxDatabase, from path: String, cause: String
  ) throws(OutboxError) -> (recovered: Int, lost: Int) {
    let salvage = DatabaseSalvage(try DatabasePages(path: path))
    if let identity = try identity(in: salvage, database) { try database.adopt(identity) }
    var highestID = salvage.nextMessage - 1
    var highestSequence = salvage.nextSequence - 1
    var recovered: Set<Int64> = []
    var lost: [GapRecord.Loss] = []
    let ids = salvage.payloads.keys.sorted()
    for start in stride(from: 0, to: ids.count, by: 256) {
      try database.transaction { () throws(OutboxError) in
        for id in ids[start..<min(start + 256, ids.count)] {
          guard let (envelope, stored) = intact(id, in: salvage, database) else { continue }
          let mark = salvage.marks[id]
          try database.insert(envelope, stored: stored, state: mark?.state ?? .pending, attempts: mark?.attempts ?? 0)
          recovered.insert(id)
          highestSequence = max(highestSequence, envelope.item.sequence ?? 0)
        }
      }
    }
    for id in Set(ids).union(salvage.marks.keys).subtracting(recovered).sorted() {
      let mark = salvage.marks[id]
      lost.append(GapRecord.Loss(id: id, deliveryClass: mark?.deliveryClass, sequence: mark?.sequence))
      highestSequence = max(highestSequence, mark?.sequence ?? 0)
      highestID = max(highestID, id)
    }
    highestID = max(highestID, recovered.max() ?? 0)
    database.nextMessage = highestID + 1
    database.nextSequence = highestSequence + 1
    let report = RecoveryReport(cause: .damage(cause), recovered: recovered.count, lost: lost.count, damagedPath: nil)
    try database.transaction { () throws(OutboxError) in
      for loss in lost.prefix(maximumNamedLosses) {
        try database.insertGap(.lost, item: nil, detail: "message \(loss.id) was damaged on disk") { gap in
          gap.deliveryClass = loss.deliveryClass?.name
          gap.sequence = loss.sequence
        }
      }
      try skipNumbers(database, report)
    }
    return (recovered.count, lost.count)
  }

  /// The old outbox's id: from its own row, or from the first payload that proves itself.
  private static func identity(
    in salvage: borrowing DatabaseSalvage, _ database: OutboxDatabase
  ) throws(OutboxError) -> RandomIdentifier? {
    for id in salvage.payloads.keys.sorted() {
      if let (envelope, _) = intact(id, in: salvage, database, expecting: nil) { return envelope.outboxID }
    }
    return salvage.outboxID
  }

  /// The first version of a payload that proves itself, or that belongs to a key we do not have.
  private static func intact(
    _ id: Int64, in salvage: borrowing DatabaseSalvage, _ database: OutboxDatabase
  ) -> (SealedEnvelope, [UInt8])? {
    intact(id, in: salvage, database, expecting: database.outboxID)
  }

  private static func intact(
    _ id: Int64, in salvage: borrowing DatabaseSalvage, _ database: OutboxDatabase,
    expecting outboxID: RandomIdentifier?
  ) -> (SealedEnvelope, [UInt8])? {
    for found in salvage.payloads[id] ?? [] {
      guard let stored = salvage.stored(found) else { continue }
      let envelope: SealedEnvelope? = stored.withUnsafeBytes { bytes in
        do throws(SealingError) {
          return try SealedEnvelope.open(bytes, cipher: database.cipher, keys: database.configuration.keys).envelope
        } catch {
          guard case .unknownKey = error, outboxID != nil else { return nil }
          return SealedEnvelope(stored: bytes)
        }
      }
      guard let envelope, envelope.item.id == id, envelope.outboxID == outboxID ?? envelope.outboxID else { continue }
      return (envelope, stored)
    }
    return nil
  }

  /// Goes on with the first numbers that were certainly never used, and reserves the next. Returns what is lost when the
  /// database is an older one.
  private static func proceed(
    _ database: OutboxDatabase, wasInterrupted: Bool
  ) throws(OutboxError) -> RecoveryReport? {
    var reserve = try NumberReserve(databasePath: database.configuration.path, digests: database.digests)
    let mark = reserve.mark.flatMap { $0.outboxID == database.outboxID ? $0 : nil }
    let sequence = max(database.nextSequence, mark?.nextSequence ?? 1)
    let message = max(database.nextMessage, mark?.nextMessage ?? 1)
    try reserve.reserve(nextSequence: sequence, nextMessage: message, of: database.outboxID)
    database.reserve = reserve
    guard let mark else {
      guard wasInterrupted, database.nextSequence > 1 else { return nil }
      try database.transaction { () throws(OutboxError) in
        database.nextMessage += skippedNumbers
        try database.leaveOut(before: sequence + skippedNumbers, detail: "nothing tells which numbers were used")
      }
      return nil
    }
    guard (sequence, message) != (database.nextSequence, database.nextMessage) else { return nil }
    let missing = sequence - database.nextSequence
    var report: RecoveryReport?
    if mark.isExact, missing > 0 {
      report = RecoveryReport(
        cause: .older(captures: Int(clamping: missing)), recovered: 0, lost: Int(clamping: missing), damagedPath: nil)
    }
    try database.transaction { () throws(OutboxError) in
      database.nextMessage = message
      if let report {
        try skipNumbers(database, report, through: sequence - 1)
      } else {
        try database.leaveOut(
          before: sequence, detail: "the program was interrupted; these numbers may have been used then")
      }
    }
    return report
  }

  /// Leaves a range of numbers out and says so, to the clinic too. Only inside `transaction`.
  ///
  /// - Parameter last: of the range; nil for so many that whatever was lost cannot have used more.
  private static func skipNumbers(
    _ database: OutboxDatabase, _ report: RecoveryReport, through last: Int64? = nil
  ) throws(OutboxError) {
    let first = database.nextSequence
    database.nextSequence = last.map { $0 + 1 } ?? first + skippedNumbers
    if last == nil { database.nextMessage += skippedNumbers }
    try database.insertGap(.lost, item: nil, count: report.lost, detail: report.description) { gap in
      gap.sequence = first
      gap.throughSequence = database.nextSequence - 1
    }
    try database.insertAlert(code: "outbox-recovered", severity: .critical, detail: report.description)
  }
}

extension GapRecord {
  /// What is still known of a lost message.
  fileprivate struct Loss {
    let id: Int64
    let deliveryClass: DeliveryClass?
    let sequence: Int64?
  }
}

extension OutboxError {
  /// What is wrong with the file when its content is; nil for every other error. A database of somebody else counts:
  /// the file is set aside, never written to.
  var damage: String? {
    switch self {
    case .database(let error) where error.isDamage: error.message
    // A table or column is missing.
    case .database(let error) where error.primaryCode == SQLITE_ERROR: error.message
    case .foreign(_, let id): "it belongs to another program, application id \(id)"
    default: nil
    }
  }
}
