import CSQLite
import Forwarding
import LocalFiles
import Provenance

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
      let reserve = try NumberReserve(databasePath: path, digests: OpenSSLDigests()).mark
      let database = try OutboxDatabase(configuration, time: time, generator: generator)
      let mark = try CommitMark.read(beside: path, keys: configuration.keys, cipher: database.cipher)
      try database.checkIndex()
      let standing = try database.standing(mark, isNew: fileBytes == nil, hasReserve: reserve != nil)
      let wasInterrupted = try database.wasInterrupted()
      try database.startMarking()
      // Before anything else is written: the first commit says what is missing, or a kill would leave it unsaid.
      let isLogLost = wasInterrupted && log?.isTorn ?? true
      var report = try tell(standing, database, isLogLost: isLogLost, isLogThere: log != nil)
      try database.beginRun()
      try database.mendAtStart()
      try database.releaseMemory()
      if isLogLost, report == nil, standing != .whole {
        let found = RecoveryReport(
          cause: log == nil ? .logMissing : .logTorn, recovered: 0, lost: 0, damagedPath: nil)
        try database.transaction { () throws(OutboxError) in try skipNumbers(database, found) }
        report = found
      }
      let older = try proceed(
        database, wasInterrupted: wasInterrupted && report == nil, isWhole: standing == .whole)
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
    let partial = path + partialSuffix
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
    try database.startMarking()
    try database.beginRun()
    try database.mendAtStart()
    // What the damaged file had of numbers is told and left out already.
    _ = try proceed(database, wasInterrupted: false, isWhole: false)
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

  static let partialSuffix = ".partial"
  static let rebuiltSuffix = ".rebuilt"
  static let damagedSuffix = ".damaged"
  private static func rebuilt(_ path: String) -> String { path + rebuiltSuffix }
  private static func damaged(_ path: String) -> String { path + damagedSuffix }

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
    // The counter goes on, so that this database is not taken for an older one.
    let mark = try CommitMark.read(beside: path, keys: database.configuration.keys, cipher: database.cipher)
    if case .mark(let mark) = mark { database.goOn(from: mark) }
    if let identity = try identity(in: salvage, database) { try database.adopt(identity) }
    // Numbers of the damaged file count only when they can be.
    var highestID = OutboxItem.isNumber(salvage.nextMessage) ? salvage.nextMessage - 1 : 0
    var highestSequence = OutboxItem.isNumber(salvage.nextSequence) ? salvage.nextSequence - 1 : 0
    var recovered: Set<Int64> = []
    var lost: [GapRecord.Loss] = []
    let ids = salvage.payloads.keys.sorted()
    for start in stride(from: 0, to: ids.count, by: 256) {
      try database.transaction { () throws(OutboxError) in
        for id in ids[start..<min(start + 256, ids.count)] {
          guard let (envelope, stored) = intact(id, in: salvage, database) else { continue }
          let mark = salvage.marks[id]
          try database.insert(
            envelope, stored: stored, state: mark?.state ?? .pending, attempts: mark?.attempts ?? 0,
            settled: mark?.settled)
          recovered.insert(id)
          highestSequence = max(highestSequence, envelope.item.sequence ?? 0)
        }
      }
    }
    for id in Set(ids).union(salvage.marks.keys).subtracting(recovered).sorted() {
      let mark = salvage.marks[id]
      let sequence = mark?.sequence.flatMap { OutboxItem.isNumber($0) ? $0 : nil }
      lost.append(GapRecord.Loss(id: id, deliveryClass: mark?.deliveryClass, sequence: sequence))
      highestSequence = max(highestSequence, sequence ?? 0)
      if OutboxItem.isNumber(id) { highestID = max(highestID, id) }
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
      guard let envelope, envelope.item.id == id, OutboxItem.isNumber(id),
        envelope.item.sequence.map(OutboxItem.isNumber) ?? true, envelope.outboxID == outboxID ?? envelope.outboxID
      else { continue }
      return (envelope, stored)
    }
    return nil
  }

  /// Goes on with the first numbers that were certainly never used, and reserves the next. Returns what is lost when the
  /// database is an older one.
  ///
  /// - Parameter isWhole: the commit counter says that no commit is missing: what is reserved beyond was never used.
  private static func proceed(
    _ database: OutboxDatabase, wasInterrupted: Bool, isWhole: Bool
  ) throws(OutboxError) -> RecoveryReport? {
    var reserve = try NumberReserve(databasePath: database.configuration.path, digests: database.digests)
    var mark = reserve.mark.flatMap { $0.outboxID == database.outboxID ? $0 : nil }
    if isWhole, let reserved = mark, !reserved.isExact,
      reserved.nextSequence - database.nextSequence <= 2 * NumberReserve.sequenceBlock,
      reserved.nextMessage - database.nextMessage <= 2 * NumberReserve.messageBlock
    {
      mark = nil
    }
    let sequence = max(database.nextSequence, mark?.nextSequence ?? 1)
    let message = max(database.nextMessage, mark?.nextMessage ?? 1)
    try reserve.reserve(nextSequence: sequence, nextMessage: message, of: database.outboxID)
    database.reserve = reserve
    if let numbers = database.unreserved {
      // No number is used that was not reserved before: the counter was damaged, or its reserve is an older one.
      try database.transaction { () throws(OutboxError) in
        try database.insertGap(
          .unused, item: nil, count: 0, detail: "these numbers were not reserved; a counter was damaged"
        ) { gap in
          gap.sequence = numbers.lowerBound
          gap.throughSequence = numbers.upperBound
        }
      }
    }
    guard let mark else {
      guard wasInterrupted, !isWhole, database.nextSequence > 1 else { return nil }
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

  /// Tells what the commit counter says of the database; nil when there is nothing to tell.
  ///
  /// - Parameters:
  ///   - isLogLost: the run was interrupted, and its log is gone or torn: that is why commits are missing.
  ///   - isLogThere: it is torn, not gone.
  private static func tell(
    _ standing: CommitStanding, _ database: OutboxDatabase, isLogLost: Bool, isLogThere: Bool
  ) throws(OutboxError) -> RecoveryReport? {
    func report(_ cause: RecoveryReport.Cause, lost: Int) -> RecoveryReport {
      RecoveryReport(cause: cause, recovered: 0, lost: lost, damagedPath: nil)
    }
    let found: RecoveryReport
    switch standing {
    case .unknown, .whole: return nil
    case .takenBack(let mark):
      let captures = Int(clamping: max(0, mark.nextSequence - database.nextSequence))
      let commits = Int(clamping: max(0, mark.commits - database.commits))
      let takenBack = RecoveryReport.Cause.takenBack(commits: commits, captures: captures)
      found = report(isLogLost ? (isLogThere ? .logTorn : .logMissing) : takenBack, lost: captures)
      database.goOn(from: mark)
      try database.transaction { () throws(OutboxError) in
        database.nextMessage = max(database.nextMessage, mark.nextMessage)
        if captures > 0 {
          try skipNumbers(database, found, through: mark.nextSequence - 1)
        } else {
          try database.tell(found)
        }
      }
      return found
    case .forked(let mark):
      found = report(.anotherHistory, lost: 0)
      database.goOn(from: mark)
      try database.transaction { () throws(OutboxError) in
        database.nextSequence = max(database.nextSequence, mark.nextSequence)
        database.nextMessage = max(database.nextMessage, mark.nextMessage)
        try skipNumbers(database, found)
      }
    case .gone(let mark):
      found = report(.gone(waiting: mark.map { Int(clamping: $0.waitingCaptures) }), lost: 0)
      try database.transaction { () throws(OutboxError) in
        try database.tell(found) { gap in
          gap.deliveryClass = DeliveryClass.capture.name
          gap.count = mark.map { Int(clamping: $0.waitingCaptures) } ?? 0
          if let mark { gap.outboxID = mark.outboxID }
        }
      }
    case .counterGone:
      found = report(.counterGone, lost: 0)
      try database.transaction { () throws(OutboxError) in
        database.nextMessage += skippedNumbers
        try database.leaveOut(before: database.nextSequence + skippedNumbers, detail: found.description)
        try database.insertAlert(code: "outbox-recovered", severity: .critical, detail: found.description)
      }
    }
    return found
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
    try database.tell(report) { gap in
      gap.sequence = first
      gap.throughSequence = database.nextSequence - 1
    }
  }
}

extension OutboxDatabase {
  /// Writes a gap record and an alert of what happened. Only inside `transaction`.
  fileprivate func tell(
    _ report: RecoveryReport, change: (inout GapRecord) -> Void = { _ in }
  ) throws(OutboxError) {
    try insertGap(.lost, item: nil, count: report.lost, detail: report.description, change: change)
    try insertAlert(code: "outbox-recovered", severity: .critical, detail: report.description)
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
