import CPostgreSQL
import Glibc
import LocalFiles
import Provenance

/// Which database, and how patient this side is.
package struct DatabaseTarget: Sendable {
  /// A connection string or URI of libpq, without a password.
  package var connection: String
  /// Plain connections to other machines are refused unless this is set.
  package var allowsPlaintext = false
  /// A statement that takes longer counts as a server that is gone.
  package var statementSeconds = 12

  /// - Throws: when `connection` cannot be read or holds a password, which every user of this machine could see.
  package init(_ connection: String, allowsPlaintext: Bool = false) throws(DatabaseError) {
    self.connection = connection
    self.allowsPlaintext = allowsPlaintext
    var fault: UnsafeMutablePointer<CChar>?
    guard let options = PQconninfoParse(connection, &fault) else {
      PQfreemem(fault)
      // libpq's own words would repeat the text, and with it a password.
      throw DatabaseError(
        .misuse, "--database: cannot be read; expected e.g. postgresql://thermograph@db.example/thermograph")
    }
    defer { PQconninfoFree(options) }
    var option = options
    while let keyword = option.pointee.keyword {
      if String(cString: keyword) == "password", option.pointee.val != nil {
        throw DatabaseError(
          .misuse,
          "--database: holds a password, which every user of this machine can see; put it into a file of mode 0600 and "
            + "name that with passfile=PATH, or use a service file (service=NAME)")
      }
      option += 1
    }
  }
}

/// A connection to PostgreSQL. Not thread-safe; every statement ends within the target's limit.
final class DatabaseConnection {
  /// Notices of the statement that runs.
  private final class Notices {
    var warning: String?

    func hear(_ notice: OpaquePointer?) {
      guard cpostgresql_is_warning(notice) != 0 else { return }
      warning = cpostgresql_message(notice).map { String(cString: $0) } ?? "a warning"
    }
  }

  private let handle: OpaquePointer
  private let notices: Unmanaged<Notices>
  private let statementSeconds: Int

  /// A dead server is noticed by what these say: libpq's own values notice nothing within 45 s.
  private static let defaults = [
    ("connect_timeout", "3"), ("tcp_user_timeout", "5000"), ("keepalives_idle", "3"), ("keepalives_interval", "1"),
    ("keepalives_count", "3"), ("target_session_attrs", "read-write"), ("application_name", "thermograph-receiver"),
    ("client_encoding", "UTF8"),
  ]

  /// Blocks until there is a connection, at most about 3 s for each host.
  init(_ target: DatabaseTarget) throws(DatabaseError) {
    statementSeconds = target.statementSeconds
    let options = Self.defaults + [("dbname", target.connection)]
    let opened = Self.withPointers(options.map(\.0)) { keywords in
      Self.withPointers(options.map(\.1)) { values in PQconnectdbParams(keywords, values, 1) }
    }
    guard let opened else { throw DatabaseError(.unavailable, "database: libpq has no memory") }
    guard PQstatus(opened) == CONNECTION_OK else {
      let words = Self.firstLine(PQerrorMessage(opened))
      PQfinish(opened)
      throw DatabaseError(.unavailable, "database: no connection: \(words)")
    }
    handle = opened
    notices = Unmanaged.passRetained(Notices())
    // Otherwise a large statement to a server that is gone would wait in the send, where no limit holds.
    guard PQsetnonblocking(handle, 1) == 0 else {
      throw DatabaseError(.unavailable, "database: the connection does not turn non-blocking")
    }
    PQsetNoticeReceiver(handle, hearDatabaseNotice, notices.toOpaque())
    if !target.allowsPlaintext, PQsslInUse(handle) == 0, !isLocal {
      let host = Self.firstLine(PQhost(handle))
      throw DatabaseError(
        .misuse,
        "database: the connection to \(host) is not encrypted; add sslmode=verify-full to --database, or --allow-plaintext"
      )
    }
  }

  deinit {
    PQfinish(handle)
    notices.release()
  }

  private var isLocal: Bool {
    let host = Self.firstLine(PQhost(handle))
    let address = Self.firstLine(PQhostaddr(handle))
    return host.hasPrefix("/") || host.hasPrefix("@") || address.hasPrefix("127.") || address == "::1"
  }

  fileprivate static func hear(_ context: UnsafeMutableRawPointer?, _ notice: OpaquePointer?) {
    guard let context else { return }
    Unmanaged<Notices>.fromOpaque(context).takeUnretainedValue().hear(notice)
  }

  // MARK: Statements

  /// Runs one statement. `operation` names it for a person, e.g. `store captures`.
  @discardableResult
  func run(
    _ statement: String, _ parameters: [DatabaseValue] = [], _ operation: String
  ) throws(DatabaseError) -> DatabaseRows {
    notices.takeUnretainedValue().warning = nil
    let encoded = parameters.map(\.encoded)
    let types = parameters.map(\.type)
    let lengths = encoded.map { Int32(clamping: $0.count) }
    let formats = [Int32](repeating: 1, count: parameters.count)
    let sent = Self.withByteLists(encoded) { values in
      PQsendQueryParams(handle, statement, Int32(parameters.count), types, values, lengths, formats, 1)
    }
    guard sent == 1 else { throw lost(operation) }
    return try result(of: operation)
  }

  /// Runs statements without parameters and results, as a migration is written.
  func runScript(_ script: String, _ operation: String) throws(DatabaseError) {
    guard PQsendQuery(handle, script) == 1 else { throw lost(operation) }
    _ = try result(of: operation)
  }

  /// Runs `body` in a transaction. A commit that brings a warning is none: the server says so when it could not wait for
  /// the standby, and the row may be gone after a failover.
  func transaction<Result>(
    _ operation: String, _ body: (DatabaseConnection) throws(DatabaseError) -> Result
  ) throws(DatabaseError) -> Result {
    try run("BEGIN", [], operation)
    let result: Result
    do throws(DatabaseError) {
      result = try body(self)
    } catch {
      // A connection that is gone has rolled back by itself.
      if error.kind != .unavailable { try run("ROLLBACK", [], operation) }
      throw error
    }
    try run("COMMIT", [], operation)
    if let warning = notices.takeUnretainedValue().warning {
      throw DatabaseError(.notReplicated, "database: \(operation): not confirmed by a standby: \(warning)")
    }
    return result
  }

  private func result(of operation: String) throws(DatabaseError) -> DatabaseRows {
    let deadline = Self.milliseconds() + Int64(statementSeconds) * 1000
    var rows: DatabaseRows?
    var failure: DatabaseError?
    while true {
      try wait(until: deadline, operation)
      guard let result = PQgetResult(handle) else { break }
      switch PQresultStatus(result) {
      case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: rows = DatabaseRows(takingOver: result)
      default:
        let state = cpostgresql_state(result).map { String(cString: $0) } ?? ""
        let message = cpostgresql_message(result).map { String(cString: $0) } ?? Self.firstLine(PQerrorMessage(handle))
        failure = failure ?? DatabaseError(state: state, message: message, doing: operation)
        PQclear(result)
      }
    }
    if let failure { throw failure }
    guard let rows else { throw lost(operation) }
    return rows
  }

  /// Until a result can be taken without waiting. Sends what is still to be sent meanwhile.
  private func wait(until deadline: Int64, _ operation: String) throws(DatabaseError) {
    var isSent = false
    while true {
      if !isSent {
        let flushed = PQflush(handle)
        if flushed < 0 { throw lost(operation) }
        isSent = flushed == 0
      }
      if isSent, PQisBusy(handle) == 0 { return }
      let left = deadline - Self.milliseconds()
      guard left > 0 else {
        throw DatabaseError(.unavailable, "database: \(operation): no answer within \(statementSeconds) s")
      }
      var descriptor = pollfd(
        fd: PQsocket(handle), events: Int16(POLLIN) | (isSent ? 0 : Int16(POLLOUT)), revents: 0)
      // A poll that a signal ends finds nothing, and the loop asks again.
      _ = poll(&descriptor, 1, Int32(clamping: left))
      if descriptor.revents != 0, PQconsumeInput(handle) == 0 { throw lost(operation) }
    }
  }

  private func lost(_ operation: String) -> DatabaseError {
    DatabaseError(.unavailable, "database: \(operation): \(Self.firstLine(PQerrorMessage(handle)))")
  }

  // MARK: C

  private static func milliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  private static func firstLine(_ text: UnsafePointer<CChar>?) -> String {
    guard let text else { return "" }
    return String(String(cString: text).prefix { !$0.isNewline })
  }

  private static func withPointers<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
  ) -> Result {
    let copies = texts.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    let pointers: [UnsafePointer<CChar>?] = copies.map { $0.map { UnsafePointer($0) } } + [nil]
    return pointers.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { preconditionFailure("the list ends in a null pointer") }
      return body(base)
    }
  }

  /// Pointers to the bytes of each list, valid within `body`.
  private static func withByteLists<Result>(
    _ lists: [[UInt8]], _ body: ([UnsafePointer<CChar>?]) -> Result
  ) -> Result {
    var pointers: [UnsafePointer<CChar>?] = []
    func descend(_ index: Int) -> Result {
      guard index < lists.count else { return body(pointers) }
      // An empty list has no address, but a null pointer would mean NULL.
      guard !lists[index].isEmpty else {
        return withUnsafeBytes(of: UInt64(0)) { zero in
          pointers.append(zero.baseAddress?.assumingMemoryBound(to: CChar.self))
          return descend(index + 1)
        }
      }
      return lists[index].withUnsafeBytes { buffer in
        pointers.append(buffer.baseAddress?.assumingMemoryBound(to: CChar.self))
        return descend(index + 1)
      }
    }
    return descend(0)
  }
}

/// The C entry point: a free function, since a callback literal in isolated code traps when C calls it.
private func hearDatabaseNotice(_ context: UnsafeMutableRawPointer?, _ notice: OpaquePointer?) {
  DatabaseConnection.hear(context, notice)
}

/// What a statement returned.
final class DatabaseRows {
  private let handle: OpaquePointer
  let count: Int

  init(takingOver handle: OpaquePointer) {
    self.handle = handle
    count = Int(PQntuples(handle))
  }

  deinit { PQclear(handle) }

  /// Rows that an INSERT, UPDATE or DELETE touched.
  var touched: Int { Int(String(cString: PQcmdTuples(handle))) ?? 0 }

  private func field<Result>(_ row: Int, _ column: Int, _ read: (UnsafeRawBufferPointer) -> Result) -> Result? {
    guard row < count, column < Int(PQnfields(handle)), PQgetisnull(handle, Int32(row), Int32(column)) == 0 else {
      return nil
    }
    let length = Int(PQgetlength(handle, Int32(row), Int32(column)))
    return read(UnsafeRawBufferPointer(start: PQgetvalue(handle, Int32(row), Int32(column)), count: length))
  }

  func bytes(_ row: Int, _ column: Int) -> [UInt8]? { field(row, column) { Array($0) } }
  func text(_ row: Int, _ column: Int) -> String? { field(row, column) { String(decoding: $0, as: UTF8.self) } }
  func flag(_ row: Int, _ column: Int) -> Bool { field(row, column) { $0.first == 1 } ?? false }

  /// int2, int4 or int8.
  func integer(_ row: Int, _ column: Int) -> Int64? {
    field(row, column) { bytes in
      guard let first = bytes.first else { return 0 }
      return bytes.dropFirst().reduce(Int64(Int8(bitPattern: first))) { $0 << 8 | Int64($1) }
    }
  }

  func identifier(_ row: Int, _ column: Int) -> RandomIdentifier? {
    field(row, column) { RandomIdentifier(bytes: $0) } ?? nil
  }
}
