import CSQLite

/// A failed call of SQLite.
package struct SQLiteError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The extended result code, e.g. SQLITE_IOERR_FSYNC.
  package let code: Int32
  package let path: String
  /// What was being done, e.g. `commit`.
  package let operation: String
  package let message: String

  /// The primary result code, e.g. SQLITE_IOERR.
  package var primaryCode: Int32 { code & 0xFF }
  /// The file's content is not what SQLite wrote: recovery by salvage, not by retry.
  package var isDamage: Bool {
    primaryCode == SQLITE_CORRUPT || primaryCode == SQLITE_NOTADB || primaryCode == SQLITE_FORMAT
  }
  /// The file system has no room.
  package var isFull: Bool { primaryCode == SQLITE_FULL }

  package var description: String { "database \(path): \(operation): \(message) (SQLite code \(code))" }
}

/// One connection, used by one thread at a time.
final class SQLiteConnection {
  let path: String
  fileprivate let handle: OpaquePointer

  /// Opens the database file, and makes it when it is missing and `creates` says so.
  init(path: String, creates: Bool) throws(SQLiteError) {
    var handle: OpaquePointer?
    let access = SQLITE_OPEN_READWRITE | (creates ? SQLITE_OPEN_CREATE : 0)
    let code = sqlite3_open_v2(path, &handle, access | SQLITE_OPEN_NOMUTEX, nil)
    guard code == SQLITE_OK, let handle else {
      let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close_v2(handle)
      throw SQLiteError(code: code, path: path, operation: "open", message: message)
    }
    self.path = path
    self.handle = handle
    sqlite3_extended_result_codes(handle, 1)
  }

  deinit {
    // Statements are finalised by their owners; v2 waits for the last of them.
    sqlite3_close_v2(handle)
  }

  /// Leaves the write-ahead log as it is when this connection closes as the last one.
  func keepLogOnClose() {
    _ = csqlite_keep_log_on_close(handle)
  }

  /// Makes the database write ahead. SQLite asks no busy handler for that change, so that of two programs that make it at
  /// the same moment one is refused at once: it tries again, for 5 s.
  func writeAhead() throws(SQLiteError) {
    for _ in 0..<100 {
      do throws(SQLiteError) {
        return try execute("PRAGMA journal_mode = WAL")
      } catch {
        guard error.primaryCode == SQLITE_BUSY else { throw error }
      }
      sqlite3_sleep(50)
    }
    try execute("PRAGMA journal_mode = WAL")
  }

  /// Runs statements that return nothing of interest.
  func execute(_ sql: String) throws(SQLiteError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw error(code, String(sql.prefix(60))) }
  }

  func prepare(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
    try SQLiteStatement(sql, on: self)
  }

  /// The integer that a statement such as `PRAGMA user_version` returns.
  func integer(_ sql: String) throws(SQLiteError) -> Int64? {
    let statement = try prepare(sql)
    defer { statement.reset() }
    return try statement.step() ? statement.integer(0) : nil
  }

  /// Rows changed since the connection was opened.
  var changes: Int64 { sqlite3_total_changes64(handle) }

  /// Whether a transaction is open; SQLite itself rolls back after some errors.
  var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  fileprivate func error(_ code: Int32, _ operation: String) -> SQLiteError {
    SQLiteError(
      code: sqlite3_extended_errcode(handle) & 0xFF == code & 0xFF ? sqlite3_extended_errcode(handle) : code,
      path: path,
      operation: operation, message: String(cString: sqlite3_errmsg(handle)))
  }
}

/// A prepared statement, kept and reused. Parameters count from 1, columns from 0, as SQLite does.
final class SQLiteStatement {
  private let handle: OpaquePointer
  private let connection: SQLiteConnection
  private let sql: String

  fileprivate init(_ sql: String, on connection: SQLiteConnection) throws(SQLiteError) {
    var handle: OpaquePointer?
    let code = sqlite3_prepare_v3(connection.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
    guard code == SQLITE_OK, let handle else { throw connection.error(code, "prepare \(sql.prefix(60))") }
    self.handle = handle
    self.connection = connection
    self.sql = sql
  }

  deinit {
    sqlite3_finalize(handle)
  }

  // The bind calls fail only for a wrong index or a value beyond SQLite's limits; `step` would then meet the fault.
  func bind(_ index: Int32, _ value: Int64?) throws(SQLiteError) {
    try check(value.map { sqlite3_bind_int64(handle, index, $0) } ?? sqlite3_bind_null(handle, index))
  }

  func bind(_ index: Int32, _ value: Int) throws(SQLiteError) {
    try bind(index, Int64(value))
  }

  func bind(_ index: Int32, _ value: String?) throws(SQLiteError) {
    guard let value else { return try bind(index, Int64?.none) }
    try check(sqlite3_bind_text(handle, index, value, -1, Self.transient))
  }

  func bind(_ index: Int32, _ value: [UInt8]?) throws(SQLiteError) {
    guard let value else { return try bind(index, Int64?.none) }
    try check(
      value.isEmpty
        ? sqlite3_bind_zeroblob(handle, index, 0)
        : sqlite3_bind_blob64(handle, index, value, UInt64(value.count), Self.transient))
  }

  /// Advances to the next row; false at the end.
  func step() throws(SQLiteError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    case let code:
      let error = connection.error(code, String(sql.prefix(60)))
      sqlite3_reset(handle)
      throw error
    }
  }

  /// Runs a statement that returns no rows and makes it ready for the next use.
  func run() throws(SQLiteError) {
    defer { reset() }
    _ = try step()
  }

  /// Ends a use: releases the read lock and the bound values.
  func reset() {
    sqlite3_reset(handle)
    sqlite3_clear_bindings(handle)
  }

  func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
  func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }
  func optionalInteger(_ column: Int32) -> Int64? { isNull(column) ? nil : integer(column) }

  func text(_ column: Int32) -> String {
    sqlite3_column_text(handle, column).map { String(cString: $0) } ?? ""
  }

  func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }

  /// The blob's bytes; valid only inside `body`.
  func withBlob<R, E>(_ column: Int32, _ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    let pointer = sqlite3_column_blob(handle, column)
    return try body(UnsafeRawBufferPointer(start: pointer, count: Int(sqlite3_column_bytes(handle, column))))
  }

  func blob(_ column: Int32) -> [UInt8] { withBlob(column) { Array($0) } }

  private func check(_ code: Int32) throws(SQLiteError) {
    guard code == SQLITE_OK else { throw connection.error(code, "bind \(sql.prefix(60))") }
  }

  /// SQLITE_TRANSIENT: SQLite copies the value. The macro is a cast that Swift does not import.
  private static var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
}

/// Reads the beginnings of the blobs of one column, without the rest of them. It keeps the database's read lock until it
/// is gone, so it lives no longer than one look.
struct BlobBeginnings: ~Copyable {
  private let connection: SQLiteConnection
  private let table: String
  private let column: String
  private var blob: OpaquePointer?

  init(of column: String, in table: String, on connection: SQLiteConnection) {
    self.connection = connection
    self.table = table
    self.column = column
  }

  deinit {
    sqlite3_blob_close(blob)
  }

  /// Gives the blob's length and up to `bytes.count` bytes of its beginning; nil when the row is not there or holds no
  /// blob.
  mutating func read(row: Int64, into bytes: inout [UInt8]) throws(SQLiteError) -> (length: Int, filled: Int)? {
    var code = SQLITE_OK
    if blob != nil {
      code = sqlite3_blob_reopen(blob, row)
    } else {
      code = sqlite3_blob_open(connection.handle, "main", table, column, row, 0, &blob)
    }
    guard code == SQLITE_OK else {
      // After an error the handle is of no more use.
      sqlite3_blob_close(blob)
      blob = nil
      if code == SQLITE_ERROR { return nil }
      throw connection.error(code, "read the beginning of \(table) \(row)")
    }
    let length = Int(sqlite3_blob_bytes(blob))
    let filled = min(length, bytes.count)
    code = bytes.withUnsafeMutableBytes { sqlite3_blob_read(blob, $0.baseAddress, Int32(filled), 0) }
    guard code == SQLITE_OK else { throw connection.error(code, "read the beginning of \(table) \(row)") }
    return (length, filled)
  }
}
