import Forwarding
import Provenance
import Remote
import Trust

/// What is remembered of captures, and the answers to them: tables beside the messages, so that a capture and its note, an
/// answer and its reply are one commit each. A row is sealed as a whole.
extension OutboxDatabase {
  private enum ResultTable: String, CaseIterable {
    case taken, answer

    var context: [UInt8] { Array("thermograph \(rawValue)".utf8) }
  }

  // MARK: Captures

  /// Remembers a capture that is being stored. Only inside `transaction`.
  func noteTaken(_ capture: NewCapture, _ belonging: NewCapture.Belonging, _ record: [UInt8]) throws(OutboxError) {
    guard holdsResults else { return }
    try write(
      TakenCapture(
        captureID: capture.captureID, recordSHA256: digests.sha256(record), sessionID: belonging.sessionID,
        patientRef: belonging.patientRef, course: CaptureCourse(ended: capture.created, stored: time.now())))
    try execute("DELETE FROM taken WHERE number <= (SELECT max(number) FROM taken) - \(TakenCapture.most)")
  }

  /// What is known of a capture: by the note, or by its record where an earlier program took it.
  func taken(_ id: RandomIdentifier) throws(OutboxError) -> ResultDesk.Finding<TakenCapture> {
    guard holdsResults else { return .none }
    var finding = ResultDesk.Finding<TakenCapture>.none
    try query(
      "SELECT key_id, sealed FROM taken WHERE id = ?", { row throws(SQLiteError) in try row.bind(1, id.bytes) }
    ) { row in
      let clear = self.open(.taken, id: id.bytes, keyID: row.integer(0), sealed: row.blob(1))
      finding = clear.flatMap { TakenCapture(captureID: id, row: $0) }.map { .found($0) } ?? .illegible
    }
    if finding == .none, let found = try takenByRecord(id) { return .found(found) }
    return finding
  }

  private func takenByRecord(_ id: RandomIdentifier) throws(OutboxError) -> TakenCapture? {
    for stored in try find(captureID: id) where stored.item.deliveryClass == .capture {
      do throws(OutboxError) {
        let payload = try payload(of: stored.item)
        guard let record = Self.record(payload) else { continue }
        return TakenCapture(
          captureID: id, recordSHA256: stored.item.sha256, sessionID: record.sessionID, patientRef: record.patientRef,
          course: CaptureCourse(ended: stored.item.created, stored: nil))
      } catch {
        guard case .sealing = error else { throw error }
      }
    }
    return nil
  }

  private static func record(_ payload: [UInt8]) -> CaptureRecord? {
    do { return try CaptureRecord(json: payload) } catch { return nil }
  }

  /// Only inside `transaction`.
  func write(_ taken: TakenCapture) throws(OutboxError) {
    let sealed = try seal(.taken, id: taken.captureID.bytes, taken.row)
    try run(
      """
      INSERT INTO taken (id, number, key_id, sealed) VALUES (?1, (SELECT ifnull(max(number), 0) + 1 FROM taken), ?2, ?3)
      ON CONFLICT (id) DO UPDATE SET key_id = ?2, sealed = ?3
      """
    ) { row throws(SQLiteError) in
      try row.bind(1, taken.captureID.bytes)
      try row.bind(2, sealed.keyID)
      try row.bind(3, sealed.bytes)
    }
  }

  // MARK: Times

  /// The receipt of a record closes the times of its capture, and an event tells them. Only inside `transaction`.
  func noteReceipt(_ entry: Receipt.Entry, at arrived: Timestamp) throws(OutboxError) {
    // An earlier receiver says nothing of its time; then there is nothing new to tell the far side.
    guard holdsResults, entry.storedAt != nil, case .found(var capture) = try taken(entry.captureID),
      capture.course.receipted == nil
    else { return }
    capture.course.receipt(at: arrived, cloud: entry.cloudMilliseconds)
    try tell(capture.course.timesToReceipt, of: &capture)
    try write(capture)
  }

  /// Counts the times and queues the event; an outbox without room for it keeps the times all the same. Only inside
  /// `transaction`.
  func tell(_ times: CaptureTimes, of capture: inout TakenCapture) throws(OutboxError) {
    capture.times = times
    self.times.note(capture.captureID, times)
    guard configuration.tellsTimes else { return }
    let now = time.now()
    let json: [UInt8]
    do { json = try TimesMessage(capture.captureID, times, at: now).encoded() } catch {
      throw .message("times: \(error)")
    }
    do throws(OutboxError) { _ = try insert(.event(json, created: now)) } catch {
      guard case .refused = error else { throw error }
      counters[.event].refused += 1
    }
  }

  /// Takes the times of the newest captures from their notes; for the beginning of a run.
  func recallTimes() throws(OutboxError) {
    guard holdsResults else { return }
    var found: [(RandomIdentifier, CaptureTimes)] = []
    try query(
      "SELECT id, key_id, sealed FROM taken ORDER BY number DESC LIMIT \(TimesDistribution.most)", { _ in }
    ) { row in
      guard let id = RandomIdentifier(bytes: row.blob(0)),
        let clear = self.open(.taken, id: row.blob(0), keyID: row.integer(1), sealed: row.blob(2)),
        let times = TakenCapture(captureID: id, row: clear)?.times
      else { return }
      found.append((id, times))
    }
    for (id, known) in found.reversed() { times.note(id, known) }
  }

  // MARK: Answers

  func answer(_ id: RandomIdentifier) throws(OutboxError) -> ResultDesk.Finding<KeptAnswer> {
    guard holdsResults else { return .none }
    var finding = ResultDesk.Finding<KeptAnswer>.none
    try query(
      "SELECT key_id, sealed FROM answer WHERE id = ?", { row throws(SQLiteError) in try row.bind(1, id.bytes) }
    ) { row in
      let answer = self.openAnswer(id: id.bytes, keyID: row.integer(0), sealed: row.blob(1))
      finding = answer.map { .found($0) } ?? .illegible
    }
    return finding
  }

  /// Answers that can be read, in the order in which they came.
  func answers(onlyWaiting: Bool) throws(OutboxError) -> [KeptAnswer] {
    guard holdsResults else { return [] }
    var answers: [KeptAnswer] = []
    try query(
      "SELECT id, key_id, sealed FROM answer WHERE shown <= \(onlyWaiting ? 0 : 1) ORDER BY number", { _ in }
    ) { row in
      if let answer = self.openAnswer(id: row.blob(0), keyID: row.integer(1), sealed: row.blob(2)) {
        answers.append(answer)
      }
    }
    return onlyWaiting ? answers.filter(\.isWaiting) : answers
  }

  func countWaitingAnswers() throws(OutboxError) -> Int {
    guard holdsResults else { return 0 }
    var count = 0
    try query("SELECT count(*) FROM answer WHERE shown = 0", { _ in }, row: { count = Int(clamping: $0.integer(0)) })
    return count
  }

  /// Only inside `transaction`.
  func write(_ answer: KeptAnswer) throws(OutboxError) {
    let clear: [UInt8]
    do { clear = try answer.encoded() } catch { throw .message("answer: \(error)") }
    let sealed = try seal(.answer, id: answer.id.bytes, clear)
    historyInput += sealed.bytes.suffix(16)
    try run(
      """
      INSERT INTO answer (id, number, shown, key_id, sealed)
      VALUES (?1, (SELECT ifnull(max(number), 0) + 1 FROM answer), ?2, ?3, ?4)
      ON CONFLICT (id) DO UPDATE SET shown = ?2, key_id = ?3, sealed = ?4
      """
    ) { row throws(SQLiteError) in
      try row.bind(1, answer.id.bytes)
      try row.bind(2, answer.isWaiting ? 0 : 1)
      try row.bind(3, sealed.keyID)
      try row.bind(4, sealed.bytes)
    }
  }

  /// A newer answer to the capture is there: those before it are shown to nobody any more. Only inside `transaction`.
  func overrule(_ ids: [RandomIdentifier]) throws(OutboxError) {
    for id in ids {
      guard case .found(var older) = try answer(id), older.isWaiting else { continue }
      older.isOverruled = true
      try write(older)
    }
  }

  /// Makes room for another answer: of those that were shown the oldest go. Only inside `transaction`.
  func removeOldAnswers() throws(OutboxError) {
    try execute(
      """
      DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE shown = 1 ORDER BY number
        LIMIT max(0, (SELECT count(*) FROM answer) - \(KeptAnswer.mostKept) + 1))
      """)
  }

  /// Looks at every answer: sets the column right by what the row says, and removes rows that open no more.
  ///
  /// - Returns: how many were removed. Only inside `transaction`.
  func mendAnswers() throws(OutboxError) -> Int {
    guard holdsResults else { return 0 }
    var illegible: [[UInt8]] = []
    var wrong: [KeptAnswer] = []
    try query("SELECT id, shown, key_id, sealed FROM answer", { _ in }) { row in
      // A key that is not here may come back.
      guard self.configuration.keys.holds(id: row.integer(2)) else { return }
      guard let answer = self.openAnswer(id: row.blob(0), keyID: row.integer(2), sealed: row.blob(3)) else {
        illegible.append(row.blob(0))
        return
      }
      if (answer.isWaiting ? 0 : 1) != row.integer(1) { wrong.append(answer) }
    }
    for answer in wrong { try write(answer) }
    for id in illegible {
      try run("DELETE FROM answer WHERE id = ?") { row throws(SQLiteError) in try row.bind(1, id) }
    }
    return illegible.count
  }

  // MARK: Sealing

  private func openAnswer(id: [UInt8], keyID: Int64, sealed: [UInt8]) -> KeptAnswer? {
    guard let clear = open(.answer, id: id, keyID: keyID, sealed: sealed) else { return nil }
    do {
      let answer = try KeptAnswer(decoding: clear)
      return answer.id.bytes == id ? answer : nil
    } catch { return nil }
  }

  private func seal(
    _ table: ResultTable, id: [UInt8], _ clear: [UInt8]
  ) throws(OutboxError) -> (keyID: Int64, bytes: [UInt8]) {
    let key = configuration.keys.current
    do throws(SealingError) {
      return (key.id, try cipher.seal(clear, associatedData: table.context + id, key: key))
    } catch { throw .sealing(error, id: 0) }
  }

  private func open(_ table: ResultTable, id: [UInt8], keyID: Int64, sealed: [UInt8]) -> [UInt8]? {
    do throws(SealingError) {
      return try cipher.open(sealed, associatedData: table.context + id, key: configuration.keys.key(id: keyID))
    } catch { return nil }
  }

  /// Seals rows anew that lie under an older key, at most `limit`; returns how many are left. Rows that do not open are
  /// removed: nothing would ever open them. Only inside `transaction`.
  func resealResults(limit: Int) throws(OutboxError) -> Int {
    guard holdsResults else { return 0 }
    var left = 0
    for table in ResultTable.allCases {
      let current = configuration.keys.current.id
      var rows: [(id: [UInt8], keyID: Int64, sealed: [UInt8])] = []
      try query(
        "SELECT id, key_id, sealed FROM \(table.rawValue) WHERE key_id <> \(current) AND \(opens) LIMIT \(limit)",
        { _ in }, row: { rows.append(($0.blob(0), $0.integer(1), $0.blob(2))) })
      for row in rows {
        guard let clear = open(table, id: row.id, keyID: row.keyID, sealed: row.sealed) else {
          try run("DELETE FROM \(table.rawValue) WHERE id = ?") { bound throws(SQLiteError) in try bound.bind(1, row.id)
          }
          continue
        }
        let sealed = try seal(table, id: row.id, clear)
        try run("UPDATE \(table.rawValue) SET key_id = ?, sealed = ? WHERE id = ?") { bound throws(SQLiteError) in
          try bound.bind(1, sealed.keyID)
          try bound.bind(2, sealed.bytes)
          try bound.bind(3, row.id)
        }
      }
      try query(
        "SELECT count(*) FROM \(table.rawValue) WHERE key_id <> \(current)", { _ in },
        row: { left += Int(clamping: $0.integer(0)) })
    }
    return left
  }

  /// Rows under a key.
  func countResults(keyID: Int64) throws(OutboxError) -> Int {
    guard holdsResults else { return 0 }
    var count = 0
    for table in ResultTable.allCases {
      try query(
        "SELECT count(*) FROM \(table.rawValue) WHERE key_id = ?",
        { statement throws(SQLiteError) in try statement.bind(1, keyID) },
        row: { count += Int(clamping: $0.integer(0)) })
    }
    return count
  }
}
