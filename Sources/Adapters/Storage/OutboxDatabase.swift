import CSQLite
import Forwarding
import LocalFiles
import Provenance

/// The outbox's tables on one connection, for one thread at a time: `Outbox` is the door for everyone else.
///
/// WAL with synchronous=FULL: when `transaction` returns, what it did survives a power cut. Payloads are sealed, so
/// freed pages need no overwriting (`secure_delete` is a compile-time default of Debian's library and doubles the
/// writes), and whoever must forget everything erases the key.
final class OutboxDatabase {
  static let maximumPayloadBytes = OutboxItem.maximumBytes
  /// Messages of one capture: record, images.
  static let maximumImages = 16
  /// 4 KiB pages of WAL between checkpoints: bounds both the file and the fsyncs.
  private static let checkpointPages = 1000

  let configuration: OutboxConfiguration
  let connection: SQLiteConnection
  let cipher: PayloadCipher
  let digests = OpenSSLDigests()
  let time: any TimeSource
  let role: Role

  private(set) var outboxID: RandomIdentifier
  var nextMessage: Int64
  var nextSequence: Int64
  var accounts = OutboxAccounts()
  /// Of this run; what a transaction counted goes with it when it fails.
  var counters = OutboxCounters()
  /// What the receipts so far say of the receiver.
  var patience = ReceiptRetryPolicy()
  private(set) var sync = SyncLatency()
  /// Losses whose gap record had no room; they are told in one as soon as there is. A restart forgets them.
  var unreportedLosses = 0
  /// Of the device; a tool stores no captures and leaves it alone.
  var reserve: NumberReserve?
  /// Sequence numbers beyond the reserve that were found when the database was opened.
  var unreserved: ClosedRange<Int64>?
  /// What was set right, for the owner's notices; taken by it.
  var repairs: [String] = []
  private var dataVersion: Int64 = 0
  /// Opened, and nobody else decides about the numbers any more.
  private var isOpen = false
  /// The row of the numbers says something else than we hold; the next transaction writes it.
  var numbersAreWrong = false
  private var isMending = false
  /// The commit counter and digest; false in an outbox that only an earlier program has opened so far.
  var countsCommits = false
  /// Messages are marked that have left the device; false in an outbox that only an earlier program has opened so far.
  private(set) var marksHandOver = false
  /// The tables of `OutboxSchema.results` are there; false in an outbox that only an earlier program has opened so far.
  private(set) var holdsResults = false
  /// The times of the newest captures.
  var times = TimesDistribution()
  /// Whether the counter was there when the database was opened.
  var hadCounter = false
  var commits: Int64 = 0
  var history = [UInt8](repeating: 0, count: CommitMark.historyBytes)
  /// What this transaction adds to the history.
  var historyInput: [UInt8] = []
  var markWriter: CommitMarkWriter?
  var markFailed = false
  var boot: (id: String, digest: [UInt8]) = ("", [])
  /// The highest numbers that an envelope bears, as far as was looked when the database was opened.
  var newest: (message: Int64, sequence: Int64) = (0, 0)
  private var statements: [String: SQLiteStatement] = [:]

  /// The most that one message takes.
  static var largestStored: Int { maximumPayloadBytes + envelopeBytes }
  /// An upper bound of what a payload takes on disk beside itself.
  static let envelopeBytes = SealedEnvelope.maximumDescriptionBytes + PayloadCipher.overheadBytes

  /// Who opens the database.
  enum Role {
    /// The device: makes it when there is none, and ends it in order.
    case device
    /// A tool that may run beside the device: changes nothing but what it is asked to.
    case tool
  }

  /// Takes what was set right since the last time.
  func takeRepairs() -> [String] {
    defer { repairs = [] }
    return repairs
  }

  /// Opens the database of the configuration, or makes it.
  init(
    _ configuration: OutboxConfiguration, time: any TimeSource, generator: any RandomNumberGenerator,
    role: Role = .device
  ) throws(OutboxError) {
    self.configuration = configuration
    self.time = time
    self.role = role
    var generator = generator
    do {
      cipher = try PayloadCipher(generator: generator)
    } catch {
      throw .sealing(error, id: 0)
    }
    if role == .device {
      // An empty file of mode 0600 for SQLite, which gives its log the same mode.
      try onDisk { () throws(FileError) in
        if try !BoundedFile.exists(configuration.path) {
          _ = try OpenFile(configuration.path, for: .writing(mode: 0o600))
        }
      }
    }
    do throws(SQLiteError) {
      connection = try SQLiteConnection(path: configuration.path, creates: role == .device)
      // The log ends by `close` alone: SQLite would delete it by name, be it that of the database's successor.
      connection.keepLogOnClose()
      // Another process (a command-line tool) may hold the write lock for a moment.
      try connection.execute("PRAGMA busy_timeout = 5000")
    } catch {
      throw OutboxError(error)
    }
    outboxID = RandomIdentifier(using: &generator)
    nextMessage = 1
    nextSequence = 1
    try prepare()
  }

  private func prepare() throws(OutboxError) {
    let (application, version, tables) = try sqlite { () throws(SQLiteError) in
      (
        try connection.integer("PRAGMA application_id") ?? 0, try connection.integer("PRAGMA user_version") ?? 0,
        try connection.integer("SELECT count(*) FROM sqlite_master") ?? 0
      )
    }
    guard application == OutboxSchema.applicationID || (application == 0 && tables == 0) else {
      throw .foreign(path: connection.path, applicationID: application)
    }
    let holdsOurs = try sqlite { () throws(SQLiteError) in try holdsKnownTables() }
    guard holdsOurs || (0...OutboxSchema.plausibleVersion).contains(version) else {
      throw damage("open", "schema version \(version) does not exist")
    }
    // The number alone decides nothing: a later program adds, and what is added is in nobody's way.
    guard holdsOurs || version <= schemaVersion else {
      throw .newerSchema(path: connection.path, version: version, known: schemaVersion)
    }
    try sqlite { () throws(SQLiteError) in
      for pragma in [
        "page_size = 4096", "journal_mode = WAL", "synchronous = FULL", "secure_delete = OFF", "temp_store = MEMORY",
        "cache_size = -1024", "wal_autocheckpoint = \(Self.checkpointPages)", "journal_size_limit = 8388608",
      ] {
        try connection.execute("PRAGMA \(pragma)")
      }
      try migrate(from: version, holdsOurs: holdsOurs)
      hadCounter = try hasCounter()
      if role == .device {
        for addition in configuration.additions { try add(addition) }
        try connection.execute(OutboxSchema.ledger)
        for table in OutboxSchema.results { try connection.execute(table) }
      }
      holdsResults = try hasResults()
      countsCommits = try hasCounter()
      marksHandOver = try isThere(OutboxSchema.handedOver)
    }
    try reload()
    isOpen = true
  }

  /// Whether every table and column that this program uses is there, and nothing that it would have to fill.
  private func holdsKnownTables() throws(SQLiteError) -> Bool {
    for (table, known) in OutboxSchema.tables {
      var missing = Set(known)
      let columns = try connection.prepare("SELECT name, \"notnull\", dflt_value FROM pragma_table_info('\(table)')")
      defer { columns.reset() }
      while try columns.step() {
        let isKnown = missing.remove(columns.text(0)) != nil
        if !isKnown, columns.integer(1) != 0, columns.isNull(2) { return false }
      }
      guard missing.isEmpty else { return false }
    }
    return true
  }

  private func hasResults() throws(SQLiteError) -> Bool {
    try connection.integer("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('taken', 'answer')")
      == 2
  }

  private func hasCounter() throws(SQLiteError) -> Bool {
    let count = try connection.integer(
      "SELECT count(*) FROM pragma_table_info('outbox') WHERE name IN ('commits', 'history')")
    return count == 2
  }

  /// Adds what this program has beyond an earlier layout.
  private func add(_ addition: OutboxSchema.Addition) throws(SQLiteError) {
    guard try !isThere(addition) else { return }
    try connection.execute("ALTER TABLE \(addition.table) ADD COLUMN \(addition.column) \(addition.definition)")
  }

  private func isThere(_ addition: OutboxSchema.Addition) throws(SQLiteError) -> Bool {
    let count = try connection.integer(
      "SELECT count(*) FROM pragma_table_info('\(addition.table)') WHERE name = '\(addition.column)'")
    return count == 1
  }

  /// Makes room for the mark of what has left the device: a tool may be the first that needs it.
  func markHandOvers() throws(OutboxError) {
    guard !marksHandOver else { return }
    try sqlite { () throws(SQLiteError) in try add(OutboxSchema.handedOver) }
    marksHandOver = true
  }

  /// A call of SQLite with its error in the outbox's terms.
  func sqlite<R>(_ body: () throws(SQLiteError) -> R) throws(OutboxError) -> R {
    do throws(SQLiteError) {
      return try body()
    } catch {
      throw OutboxError(error)
    }
  }

  // MARK: - Beginning and end of a run

  /// Checks the tables that delivery goes by, and their indices. Payloads prove themselves when they are opened.
  func checkIndex() throws(OutboxError) {
    for table in ["outbox", "message"] {
      var verdict = "no answer"
      try query("PRAGMA integrity_check(\(table))", { _ in }, row: { verdict = $0.text(0) })
      guard verdict == "ok" else { throw damage("check of \(table)", verdict) }
    }
  }

  /// Gives back what reading the whole index took, which the check, the adding up and the count of locked messages do.
  func releaseMemory() throws(OutboxError) {
    try query("PRAGMA shrink_memory", { _ in }, row: { _ in })
    HeapMemory.giveBackUnused()
  }

  /// Whether the run before did not end in order; to be asked before `beginRun`.
  func wasInterrupted() throws(OutboxError) -> Bool {
    var running: Int64 = 0
    try query("SELECT running FROM outbox", { _ in }, row: { running = $0.integer(0) })
    return running != 0
  }

  /// Marks the database as being in use, in the main file and not only in the log, so that a lost log is noticed.
  func beginRun() throws(OutboxError) {
    try transaction { () throws(OutboxError) in try execute("UPDATE outbox SET running = 1") }
    try emptyLog()
    try writeMark(isSynced: true)
    // From here on the log is never empty while the run lasts.
    try transaction { () throws(OutboxError) in try execute("UPDATE outbox SET running = 1") }
    try recallTimes()
  }

  /// Ends the run in order: everything is in the main file, the log is empty, and no number is reserved.
  func close() throws(OutboxError) {
    try transaction { () throws(OutboxError) in try execute("UPDATE outbox SET running = 0") }
    try emptyLog()
    try reserve?.giveBack(nextSequence: nextSequence, nextMessage: nextMessage, of: outboxID)
    try writeMark(isEnd: true, isSynced: true)
  }

  /// Moves everything from the log to the main file and cuts the log to nothing. When a tool is just reading, the log
  /// keeps its length.
  func emptyLog() throws(OutboxError) {
    try query("PRAGMA wal_checkpoint(TRUNCATE)", { _ in }, row: { _ in })
  }

  /// Takes over the id of the outbox whose messages are being recovered.
  func adopt(_ identifier: RandomIdentifier) throws(OutboxError) {
    try run("UPDATE outbox SET outbox_id = ?") { update throws(SQLiteError) in try update.bind(1, identifier.bytes) }
    outboxID = identifier
  }

  private func damage(_ operation: String, _ message: String) -> OutboxError {
    .database(SQLiteError(code: SQLITE_CORRUPT, path: connection.path, operation: operation, message: message))
  }

  private var schemaVersion: Int64 { Int64(configuration.migrations.count) }

  private func migrate(from version: Int64, holdsOurs: Bool) throws(SQLiteError) {
    // A number that no program writes is damage, and the tables say what the database is.
    let isDamaged = holdsOurs && !(1...OutboxSchema.plausibleVersion).contains(version)
    let applied = isDamaged ? 1 : version
    // A layout that an earlier program cannot live with ends the way back: before it is confirmed, this program does with
    // the one that it finds.
    let target = applied == 0 || configuration.isConfirmed ? max(applied, schemaVersion) : applied
    guard applied < target || isDamaged else { return }
    try connection.execute("BEGIN IMMEDIATE")
    for migration in configuration.migrations.prefix(Int(target)).dropFirst(Int(applied)) {
      try connection.execute(migration.sql)
    }
    if applied == 0 {
      let insert = try connection.prepare(
        "INSERT INTO outbox (one, outbox_id, next_message, next_sequence, running) VALUES (1, ?, 1, 1, 0)")
      try insert.bind(1, outboxID.bytes)
      try insert.run()
    }
    try connection.execute("PRAGMA application_id = \(OutboxSchema.applicationID)")
    try connection.execute("PRAGMA user_version = \(target)")
    try connection.execute("COMMIT")
  }

  /// A kept statement, prepared at its first use.
  func statement(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
    if let statement = statements[sql] { return statement }
    let statement = try connection.prepare(sql)
    statements[sql] = statement
    return statement
  }

  // MARK: - Transactions

  /// Runs `body` as one transaction. When this throws, nothing happened; when it returns, all of it is on disk.
  func transaction<R>(_ body: () throws(OutboxError) -> R) throws(OutboxError) -> R {
    let before = (nextMessage, nextSequence, accounts, counters, unreportedLosses, patience, marksHandOver)
    let changes = connection.changes
    historyInput.removeAll(keepingCapacity: true)
    do throws(OutboxError) {
      try execute("BEGIN IMMEDIATE")
      try reloadIfChangedElsewhere()
      let result = try body()
      let usesNumbers = numbersAreWrong || (nextMessage, nextSequence) != (before.0, before.1)
      if usesNumbers { try reserve?.reserve(nextSequence: nextSequence, nextMessage: nextMessage, of: outboxID) }
      let next = connection.changes != changes || usesNumbers ? nextCommit() : nil
      if usesNumbers || (next != nil && countsCommits) { try saveNumbers(next) }
      let start = time.now().monotonicNanoseconds
      try execute("COMMIT")
      let end = time.now().monotonicNanoseconds
      sync.note(microseconds: Int(clamping: (max(start, end) - start) / 1000))
      numbersAreWrong = false
      if let next, countsCommits {
        (commits, history) = next
        noteMark()
      }
      return result
    } catch {
      (nextMessage, nextSequence, accounts, counters, unreportedLosses, patience, marksHandOver) = before
      // What was read of another program's changes has gone with the rest.
      dataVersion = 0
      if connection.isInTransaction { try execute("ROLLBACK") }
      throw error
    }
  }

  func execute(_ sql: String) throws(OutboxError) {
    try sqlite { () throws(SQLiteError) in try statement(sql).run() }
  }

  private func saveNumbers(_ next: (commits: Int64, history: [UInt8])?) throws(OutboxError) {
    if let next, countsCommits {
      try run("UPDATE outbox SET next_message = ?, next_sequence = ?, commits = ?, history = ?") {
        update throws(SQLiteError) in
        try update.bind(1, nextMessage)
        try update.bind(2, nextSequence)
        try update.bind(3, next.commits)
        try update.bind(4, next.history)
      }
    } else {
      try run("UPDATE outbox SET next_message = ?, next_sequence = ?") { update throws(SQLiteError) in
        try update.bind(1, nextMessage)
        try update.bind(2, nextSequence)
      }
    }
    guard numbersAreWrong else { return }
    try run("UPDATE outbox SET outbox_id = ?") { update throws(SQLiteError) in try update.bind(1, outboxID.bytes) }
  }

  // MARK: - Mending

  /// Sets rows of the index right in a transaction of its own.
  func mend(_ ids: [Int64]) throws(OutboxError) -> VerificationReport {
    isMending = true
    defer { isMending = false }
    let report = try transaction { () throws(OutboxError) in
      var report = VerificationReport()
      try mend(ids, &report)
      return report
    }
    guard report.foundSomething else { return report }
    repairs.append(
      "\(report.reindexed.count) rows of the index were wrong and were made again from their sealed envelopes; "
        + "\(report.unreadable.count + report.hollow.count) messages cannot be opened and are told of in gap records")
    return report
  }

  /// Sets right what can be seen to be wrong without opening a payload; for the beginning of a run.
  func mendAtStart() throws(OutboxError) {
    for find in [impossibleRows, rowsWithAWrongKey, payloadsWithoutRow] {
      while case let ids = try find(), !ids.isEmpty {
        guard try mend(ids).foundSomething else { break }
      }
    }
  }

  /// Binds and runs a kept statement that returns nothing.
  func run(_ sql: String, _ bind: (SQLiteStatement) throws(SQLiteError) -> Void) throws(OutboxError) {
    try sqlite { () throws(SQLiteError) in
      let statement = try self.statement(sql)
      try bind(statement)
      try statement.run()
    }
  }

  /// Binds a kept statement, gives each row to `row` and resets it.
  func query(
    _ sql: String, _ bind: (SQLiteStatement) throws(SQLiteError) -> Void,
    row: (SQLiteStatement) throws(OutboxError) -> Void
  ) throws(OutboxError) {
    let statement = try sqlite { () throws(SQLiteError) in
      let prepared = try self.statement(sql)
      try bind(prepared)
      return prepared
    }
    defer { statement.reset() }
    while try sqlite({ () throws(SQLiteError) in try statement.step() }) { try row(statement) }
  }

  /// Another process (a tool) may have written since; its changes must not be overwritten by stale counters.
  func reloadIfChangedElsewhere() throws(OutboxError) {
    var version: Int64 = 0
    try query("PRAGMA data_version", { _ in }, row: { version = $0.integer(0) })
    if version != dataVersion { try reload() }
  }

  /// Reads the numbers and adds up the accounts. Throws `.unsound` when another program, or damage, left rows that
  /// cannot be; the device opens before they are looked for, and mends them first.
  func reload() throws(OutboxError) {
    try query("PRAGMA data_version", { _ in }, row: { dataVersion = $0.integer(0) })
    var row: Numbers?
    try query("SELECT outbox_id, next_message, next_sequence FROM outbox", { _ in }) { found in
      row = Numbers(
        outboxID: RandomIdentifier(bytes: found.blob(0)), nextMessage: found.integer(1),
        nextSequence: found.integer(2))
    }
    guard let row else { throw damage("open", "the outbox has no identity") }
    if countsCommits {
      try query("SELECT commits, history FROM outbox", { _ in }) { found in
        let number = found.integer(0)
        // While it is open, another program may have gone ahead of us, but not back.
        let isPlausible = (isOpen ? commits...commits + 4096 : 0...OutboxItem.largestNumber).contains(number)
        guard isPlausible else { return }
        commits = number
        let digest = found.blob(1)
        history = digest.count == CommitMark.historyBytes ? digest : history
      }
    }
    try take(row)
    try addUp()
    guard isOpen, role == .device, !isMending else { return }
    let unsound = try impossibleRows() + rowsWithAWrongKey()
    if !unsound.isEmpty { throw .unsound(ids: unsound) }
  }

  private func take(_ row: Numbers) throws(OutboxError) {
    let numbers: Numbers
    if isOpen {
      numbers = believed(
        row, beside: Numbers(outboxID: outboxID, nextMessage: nextMessage, nextSequence: nextSequence))
    } else {
      let reserve = try NumberReserve(databasePath: configuration.path, digests: digests)
      numbers = try believed(row, mark: reserve.mark)
      if let mark = reserve.mark, mark.outboxID == numbers.outboxID, mark.nextSequence < numbers.nextSequence {
        unreserved = mark.nextSequence...(numbers.nextSequence - 1)
      }
    }
    guard let identity = numbers.outboxID else { throw damage("open", "the outbox has no identity") }
    outboxID = identity
    (nextMessage, nextSequence) = (numbers.nextMessage, numbers.nextSequence)
    guard numbers != row, !numbersAreWrong else { return }
    numbersAreWrong = true
    repairs.append("the row of the outbox's own identity and numbers was damaged; it goes on with \(nextSequence)")
  }

  /// Adds up what is stored. Rows that cannot be count for nothing.
  func addUp() throws(OutboxError) {
    accounts = OutboxAccounts()
    try query(
      """
      SELECT class, state, count(*), sum(CASE WHEN stored BETWEEN 0 AND \(Self.largestStored) THEN stored ELSE 0 END)
      FROM message GROUP BY class, state
      """, { _ in }
    ) { row in
      guard let deliveryClass = DeliveryClass(rawValue: Int(clamping: row.integer(0))),
        let state = DeliveryState(rawValue: Int(clamping: row.integer(1)))
      else { return }
      accounts[deliveryClass, state] = OutboxUsage(
        rows: Int(clamping: row.integer(2)), bytes: Int(clamping: row.integer(3)))
    }
  }
}
