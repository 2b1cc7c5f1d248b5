import Forwarding
import Provenance
import Remote
import Trust

/// The ledger of commands: a table beside the messages, so that a command's row and its reply are one commit. A row is
/// sealed as a whole: one that was damaged or written by somebody else opens no more, and what does not open is taken for
/// done.
extension OutboxDatabase {
  /// The row that says when the ledger began; no command has this id.
  private static let beginning = [UInt8](repeating: 0, count: 16)
  private static let context = Array("thermograph command".utf8)

  /// What the ledger holds of an id.
  enum LedgerFinding {
    case none
    case entry(LedgerEntry)
    /// There is a row, and nothing proves it.
    case illegible
  }

  /// Seconds since 1970 at which the ledger began. One that is new, or of which a row opens no more, begins at `seconds`:
  /// what was issued before is not let in. Only inside `transaction`.
  func beginLedger(at seconds: Int64) throws(OutboxError) -> Int64 {
    var rows: [(id: [UInt8], clear: [UInt8]?)] = []
    try query("SELECT id, key_id, sealed FROM command", { _ in }) { row in
      rows.append((row.blob(0), self.open(id: row.blob(0), keyID: row.integer(1), sealed: row.blob(2))))
    }
    let illegible = rows.filter { $0.clear == nil }
    let began = rows.first { $0.id == Self.beginning }?.clear.flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
    if let began, illegible.isEmpty { return began }
    for row in illegible { try removeCommand(row.id) }
    if !illegible.isEmpty {
      repairs.append("\(illegible.count) rows of the command ledger were damaged; it begins anew")
    }
    try write(Self.beginning, Array("\(seconds)".utf8))
    return seconds
  }

  /// When the ledger began; nil when nothing says so: it is new, or the database was made again from its messages.
  func ledgerBeginning() throws(OutboxError) -> Int64? {
    var began: Int64?
    try query(
      "SELECT key_id, sealed FROM command WHERE id = ?",
      { row throws(SQLiteError) in try row.bind(1, Self.beginning) }
    ) { row in
      let clear = self.open(id: Self.beginning, keyID: row.integer(0), sealed: row.blob(1))
      began = clear.flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
    }
    return began
  }

  /// Rows of commands.
  func countCommands() throws(OutboxError) -> Int {
    var count = 0
    try query("SELECT count(*) FROM command", { _ in }, row: { count = Int($0.integer(0)) })
    return max(0, count - 1)
  }

  func command(_ id: RandomIdentifier) throws(OutboxError) -> LedgerFinding {
    var finding = LedgerFinding.none
    try query(
      "SELECT key_id, sealed FROM command WHERE id = ?",
      { row throws(SQLiteError) in try row.bind(1, id.bytes) }
    ) { row in
      let clear = self.open(id: id.bytes, keyID: row.integer(0), sealed: row.blob(1))
      finding = clear.flatMap { Self.entry(id, $0) }.map { .entry($0) } ?? .illegible
    }
    return finding
  }

  /// Every command in the ledger, in no order; rows that open no more are passed over.
  func commands() throws(OutboxError) -> [LedgerEntry] {
    var entries: [LedgerEntry] = []
    try query("SELECT id, key_id, sealed FROM command WHERE id <> x'\(Hexadecimal.text(of: Self.beginning))'", { _ in })
    {
      row in
      guard let id = RandomIdentifier(bytes: row.blob(0)),
        let clear = self.open(id: row.blob(0), keyID: row.integer(1), sealed: row.blob(2)),
        let entry = Self.entry(id, clear)
      else { return }
      entries.append(entry)
    }
    return entries
  }

  /// Writes a command down, in the place of what stood under its id. Only inside `transaction`.
  func write(_ entry: LedgerEntry) throws(OutboxError) {
    historyInput += entry.digest
    try write(entry.id.bytes, Self.clear(entry))
  }

  func removeCommand(_ id: [UInt8]) throws(OutboxError) {
    try run("DELETE FROM command WHERE id = ?") { row throws(SQLiteError) in try row.bind(1, id) }
  }

  // MARK: Sealing

  private func write(_ id: [UInt8], _ clear: [UInt8]) throws(OutboxError) {
    let key = configuration.keys.current
    let sealed: [UInt8]
    do throws(SealingError) {
      sealed = try cipher.seal(clear, associatedData: Self.context + id, key: key)
    } catch { throw .sealing(error, id: 0) }
    try run("INSERT OR REPLACE INTO command (id, key_id, sealed) VALUES (?, ?, ?)") { row throws(SQLiteError) in
      try row.bind(1, id)
      try row.bind(2, key.id)
      try row.bind(3, sealed)
    }
  }

  private func open(id: [UInt8], keyID: Int64, sealed: [UInt8]) -> [UInt8]? {
    do throws(SealingError) {
      return try cipher.open(sealed, associatedData: Self.context + id, key: configuration.keys.key(id: keyID))
    } catch { return nil }
  }

  private static func clear(_ entry: LedgerEntry) -> [UInt8] {
    var members: [JSONObject.Member] = [
      .init("digest", .string(Hexadecimal.text(of: entry.digest))), .init("name", .string(entry.name)),
      .init("expires", .integer(entry.expiresSeconds)),
    ]
    if let reply = entry.reply { members.append(.init("reply", .string(String(decoding: reply, as: UTF8.self)))) }
    return JSONValue.object(JSONObject(members)).encoded()
  }

  private static func entry(_ id: RandomIdentifier, _ clear: [UInt8]) -> LedgerEntry? {
    do {
      guard case .object(let object) = try JSONValue(reading: clear, within: JSONLimits(bytes: 256 * 1024)),
        let digest = Hexadecimal.bytes(of: try object.text("digest").string)
      else { return nil }
      return LedgerEntry(
        id: id, digest: digest, name: try object.text("name").string,
        expiresSeconds: try object.integer("expires", in: .min ... .max),
        reply: try object.optionalText("reply").map { Array($0.utf8) })
    } catch { return nil }
  }
}
