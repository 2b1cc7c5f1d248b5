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
  /// The largest payload in the clear; the views of a capture have some 100 KB.
  static let maximumPayloadBytes = 16 << 20
  /// Messages of one capture: record, images.
  static let maximumImages = 16
  /// 4 KiB pages of WAL between checkpoints: bounds both the file and the fsyncs.
  private static let checkpointPages = 1000

  let configuration: OutboxConfiguration
  let connection: SQLiteConnection
  let cipher: PayloadCipher
  let digests = OpenSSLDigests()
  let time: any TimeSource

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
  private var dataVersion: Int64 = 0
  private var statements: [String: SQLiteStatement] = [:]

  /// An upper bound of what a payload takes on disk beside itself.
  static let envelopeBytes = SealedEnvelope.maximumDescriptionBytes + PayloadCipher.overheadBytes

  /// Who opens the database.
  enum Role {
    /// The device: makes it when there is none, and ends it in order.
    case device
    /// A tool that may run beside the device: changes nothing but what it is asked to.
    case tool
  }

  /// Opens the database of the configuration, or makes it.
  init(
    _ configuration: OutboxConfiguration, time: any TimeSource, generator: any RandomNumberGenerator,
    role: Role = .device
  ) throws(OutboxError) {
    self.configuration = configuration
    self.time = time
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
    guard (0...OutboxSchema.plausibleVersion).contains(version) else {
      throw damage("open", "schema version \(version) does not exist")
    }
    guard version <= schemaVersion else {
      throw .newerSchema(path: connection.path, version: version, known: schemaVersion)
    }
    try sqlite { () throws(SQLiteError) in
      for pragma in [
        "page_size = 4096", "journal_mode = WAL", "synchronous = FULL", "secure_delete = OFF", "temp_store = MEMORY",
        "cache_size = -1024", "wal_autocheckpoint = \(Self.checkpointPages)", "journal_size_limit = 8388608",
      ] {
        try connection.execute("PRAGMA \(pragma)")
      }
      try migrate(from: version)
    }
    try reload()
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

  /// Marks the database as being in use, in the main file and not only in the log, so that a lost log is noticed.
  /// True when the run before did not end in order.
  func beginRun() throws(OutboxError) -> Bool {
    var wasRunning: Int64 = 0
    try query("SELECT running FROM outbox", { _ in }, row: { wasRunning = $0.integer(0) })
    try transaction { () throws(OutboxError) in try execute("UPDATE outbox SET running = 1") }
    try emptyLog()
    // From here on the log is never empty while the run lasts.
    try transaction { () throws(OutboxError) in try execute("UPDATE outbox SET running = 1") }
    return wasRunning != 0
  }

  /// Ends the run in order: everything is in the main file, the log is empty, and no number is reserved.
  func close() throws(OutboxError) {
    try transaction { () throws(OutboxError) in try execute("UPDATE outbox SET running = 0") }
    try emptyLog()
    try reserve?.giveBack(nextSequence: nextSequence, nextMessage: nextMessage, of: outboxID)
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

  private func migrate(from version: Int64) throws(SQLiteError) {
    guard version < schemaVersion else { return }
    try connection.execute("BEGIN IMMEDIATE")
    for migration in configuration.migrations.dropFirst(Int(version)) { try connection.execute(migration.sql) }
    if version == 0 {
      let insert = try connection.prepare("INSERT INTO outbox VALUES (1, ?, 1, 1, 0)")
      try insert.bind(1, outboxID.bytes)
      try insert.run()
    }
    try connection.execute("PRAGMA application_id = \(OutboxSchema.applicationID)")
    try connection.execute("PRAGMA user_version = \(schemaVersion)")
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
    let before = (nextMessage, nextSequence, accounts, counters, unreportedLosses, patience)
    do throws(OutboxError) {
      try execute("BEGIN IMMEDIATE")
      try reloadIfChangedElsewhere()
      let result = try body()
      if (nextMessage, nextSequence) != (before.0, before.1) {
        try reserve?.reserve(nextSequence: nextSequence, nextMessage: nextMessage, of: outboxID)
        try saveCounters()
      }
      let start = time.now().monotonicNanoseconds
      try execute("COMMIT")
      let end = time.now().monotonicNanoseconds
      sync.note(microseconds: Int(clamping: (max(start, end) - start) / 1000))
      return result
    } catch {
      (nextMessage, nextSequence, accounts, counters, unreportedLosses, patience) = before
      if connection.isInTransaction { try execute("ROLLBACK") }
      throw error
    }
  }

  func execute(_ sql: String) throws(OutboxError) {
    try sqlite { () throws(SQLiteError) in try statement(sql).run() }
  }

  private func saveCounters() throws(OutboxError) {
    try run("UPDATE outbox SET next_message = ?, next_sequence = ?") { update throws(SQLiteError) in
      try update.bind(1, nextMessage)
      try update.bind(2, nextSequence)
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
  private func reloadIfChangedElsewhere() throws(OutboxError) {
    var version: Int64 = 0
    try query("PRAGMA data_version", { _ in }, row: { version = $0.integer(0) })
    if version != dataVersion { try reload() }
  }

  /// Reads the counters and adds up the accounts.
  func reload() throws(OutboxError) {
    try query("PRAGMA data_version", { _ in }, row: { dataVersion = $0.integer(0) })
    var identifier: RandomIdentifier?
    try query("SELECT outbox_id, next_message, next_sequence FROM outbox", { _ in }) { row in
      identifier = RandomIdentifier(bytes: row.blob(0))
      nextMessage = row.integer(1)
      nextSequence = row.integer(2)
    }
    guard let identifier else {
      throw damage("open", "the outbox has no identity")
    }
    outboxID = identifier
    accounts = OutboxAccounts()
    try query("SELECT class, state, count(*), sum(stored) FROM message GROUP BY class, state", { _ in }) { row in
      guard let deliveryClass = DeliveryClass(rawValue: Int(row.integer(0))),
        let state = DeliveryState(rawValue: Int(row.integer(1)))
      else { return }
      accounts[deliveryClass, state] = OutboxUsage(rows: Int(row.integer(2)), bytes: Int(row.integer(3)))
    }
  }
}
