import Forwarding
import FoundationEssentials
import Provenance

/// `captures.sqlite` of a receiver: every complete capture with its record and its images' hashes, for questions in SQL
/// and for whoever takes captures further.
///
/// ```sql
/// SELECT capture_id, json_extract(record, '$.verdict.outcome') FROM capture WHERE device = 'unit-3' ORDER BY sequence;
/// SELECT folder FROM capture JOIN standing USING (capture_id) WHERE patient_ref = 'ward-7-0042' AND NOT withdrawn;
/// ```
///
/// `capture` says what was recorded, `standing` what holds by the corrections of the site.
///
/// The files are the truth, and the index can be made again from them. Its key is the unique key of a capture (site,
/// device, outbox_id, sequence), so that adding one twice changes nothing. Several receivers may share it. One thread
/// at a time.
package final class CaptureIndex {
  /// "TGCX": tells our indices from others' databases.
  private static let applicationID: Int64 = 0x5447_4358
  private static let version: Int64 = 2

  package struct Image: Sendable, Equatable {
    package var name: String
    package var byteCount: Int
    /// 64 hexadecimal digits.
    package var sha256: String

    package init(name: String, byteCount: Int, sha256: String) {
      self.name = name
      self.byteCount = byteCount
      self.sha256 = sha256
    }
  }

  package struct Entry: Sendable, Equatable {
    package var site: String
    package var device: String
    package var captureID: RandomIdentifier
    package var outboxID: RandomIdentifier
    package var sequence: Int64
    /// The record's JSON as it came.
    package var record: [UInt8]
    package var images: [Image]
    /// Where the files lie, from the receiver's folder on.
    package var folder: String
    package var receivedAt: Timestamp

    package init(
      site: String, device: String, captureID: RandomIdentifier, outboxID: RandomIdentifier, sequence: Int64,
      record: [UInt8], images: [Image], folder: String, receivedAt: Timestamp
    ) {
      self.site = site
      self.device = device
      self.captureID = captureID
      self.outboxID = outboxID
      self.sequence = sequence
      self.record = record
      self.images = images
      self.folder = folder
      self.receivedAt = receivedAt
    }
  }

  private let connection: SQLiteConnection
  private let addCapture: SQLiteStatement
  private let addImage: SQLiteStatement
  private let addStanding: SQLiteStatement
  private let addCorrection: SQLiteStatement
  /// Whether what lay in the folder before the index must still be added; `noteFilled` ends it.
  package let needsFilling: Bool

  /// Opens the index, and makes it when it is missing.
  package init(path: String) throws(OutboxError) {
    do throws(SQLiteError) {
      connection = try SQLiteConnection(path: path, creates: true)
      try connection.execute("PRAGMA busy_timeout = 5000")
      try connection.writeAhead()
      try connection.execute("PRAGMA synchronous = FULL")
      let application = try connection.integer("PRAGMA application_id") ?? 0
      let tables = try connection.integer("SELECT count(*) FROM sqlite_master") ?? 0
      guard application == Self.applicationID || (application == 0 && tables == 0) else {
        throw SQLiteError(
          code: 0, path: path, operation: "open",
          message: "a database of another program (application id \(application)); move it away")
      }
      try connection.execute(
        """
        BEGIN IMMEDIATE;
        CREATE TABLE IF NOT EXISTS capture (
          site TEXT NOT NULL,
          device TEXT NOT NULL,
          outbox_id TEXT NOT NULL,
          sequence INTEGER NOT NULL,
          capture_id TEXT NOT NULL UNIQUE,
          folder TEXT NOT NULL,
          received_at TEXT NOT NULL,
          record TEXT NOT NULL,
          PRIMARY KEY (site, device, outbox_id, sequence)
        );
        CREATE TABLE IF NOT EXISTS image (
          capture_id TEXT NOT NULL REFERENCES capture (capture_id),
          name TEXT NOT NULL,
          bytes INTEGER NOT NULL,
          sha256 TEXT NOT NULL,
          PRIMARY KEY (capture_id, name)
        );
        CREATE TABLE IF NOT EXISTS standing (
          capture_id TEXT PRIMARY KEY REFERENCES capture (capture_id),
          site TEXT NOT NULL,
          device TEXT NOT NULL,
          session_id TEXT NOT NULL,
          recorded_ref TEXT NOT NULL,
          patient_ref TEXT NOT NULL,
          withdrawn INTEGER NOT NULL
        );
        CREATE INDEX IF NOT EXISTS standing_patient ON standing (site, patient_ref);
        CREATE TABLE IF NOT EXISTS correction (
          site TEXT NOT NULL,
          device TEXT NOT NULL,
          correction_id TEXT NOT NULL,
          message TEXT NOT NULL,
          PRIMARY KEY (site, device, correction_id)
        );
        PRAGMA application_id = \(Self.applicationID);
        COMMIT;
        """)
      needsFilling = try connection.integer("PRAGMA user_version") ?? 0 < Self.version
      addCapture = try connection.prepare("INSERT OR IGNORE INTO capture VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
      addImage = try connection.prepare("INSERT OR IGNORE INTO image VALUES (?, ?, ?, ?)")
      addStanding = try connection.prepare("INSERT OR IGNORE INTO standing VALUES (?, ?, ?, ?, ?, ?, ?)")
      addCorrection = try connection.prepare("INSERT OR IGNORE INTO correction VALUES (?, ?, ?, ?)")
    } catch {
      throw OutboxError(error)
    }
  }

  /// Adds a capture with its images, on the disk when this returns; one that is there already stays as it is.
  package func add(_ entry: Entry) throws(OutboxError) {
    try transaction { () throws(SQLiteError) in
      try insert(entry)
      try insertStanding(entry)
    }
  }

  private func transaction<R>(_ body: () throws(SQLiteError) -> R) throws(OutboxError) -> R {
    do throws(SQLiteError) {
      try connection.execute("BEGIN IMMEDIATE")
      do throws(SQLiteError) {
        let result = try body()
        try connection.execute("COMMIT")
        return result
      } catch {
        if connection.isInTransaction { try connection.execute("ROLLBACK") }
        throw error
      }
    } catch {
      throw OutboxError(error)
    }
  }

  private func insert(_ entry: Entry) throws(SQLiteError) {
    try addCapture.bind(1, entry.site)
    try addCapture.bind(2, entry.device)
    try addCapture.bind(3, "\(entry.outboxID)")
    try addCapture.bind(4, entry.sequence)
    try addCapture.bind(5, "\(entry.captureID)")
    try addCapture.bind(6, entry.folder)
    try addCapture.bind(7, entry.receivedAt.rfc3339)
    try addCapture.bind(8, String(decoding: entry.record, as: UTF8.self))
    try addCapture.run()
    for image in entry.images {
      try addImage.bind(1, "\(entry.captureID)")
      try addImage.bind(2, image.name)
      try addImage.bind(3, image.byteCount)
      try addImage.bind(4, image.sha256)
      try addImage.run()
    }
  }

  // MARK: - Corrections

  /// Adds a correction of a device and makes every capture of the site follow it; one that is there already changes nothing.
  ///
  /// - Returns: why it is not followed; nil when it is.
  package func add(_ correction: CorrectionMessage, site: String, device: String) throws(OutboxError) -> String? {
    let text: String
    do {
      text = try CanonicalJSON.text(of: correction)
    } catch {
      return "\(error)"
    }
    return try transaction { () throws(SQLiteError) in
      guard try corrections(of: device, site: site) < CorrectionLog.correctionsMaximum else {
        return "the device has made \(CorrectionLog.correctionsMaximum) corrections already"
      }
      try addCorrection.bind(1, site)
      try addCorrection.bind(2, device)
      try addCorrection.bind(3, "\(correction.correctionID)")
      try addCorrection.bind(4, text)
      try addCorrection.run()
      try follow(site: site)
      return nil
    }
  }

  /// What holds for the captures of a device: its own word on sessions, because no device knows another's, and every merge of
  /// the site, because a patient is the same person before all its devices.
  package func corrections(site: String, device: String) throws(OutboxError) -> CorrectionLog {
    do throws(SQLiteError) {
      return try log(site: site, device: device)
    } catch {
      throw OutboxError(error)
    }
  }

  private func corrections(of device: String, site: String) throws(SQLiteError) -> Int {
    let statement = try connection.prepare("SELECT count(*) FROM correction WHERE site = ? AND device = ?")
    defer { statement.reset() }
    try statement.bind(1, site)
    try statement.bind(2, device)
    return try statement.step() ? Int(clamping: statement.integer(0)) : 0
  }

  private func log(site: String, device: String) throws(SQLiteError) -> CorrectionLog {
    let statement = try connection.prepare("SELECT message, device FROM correction WHERE site = ?")
    defer { statement.reset() }
    try statement.bind(1, site)
    var messages: [CorrectionMessage] = []
    var unreadable = 0
    while try statement.step() {
      do {
        let message = try CorrectionMessage(decoding: Array(statement.text(0).utf8))
        let isOfSession = message.kind == .reassign || message.kind == .withdraw
        if !isOfSession || statement.text(1) == device { messages.append(message) }
      } catch {
        unreadable += 1
      }
    }
    return CorrectionLog(messages, unreadable: unreadable)
  }

  /// What a record says of whose it is.
  private struct Owner: Decodable {
    var sessionID: RandomIdentifier
    var patientRef: String

    private enum CodingKeys: String, CodingKey {
      case sessionID = "session_id"
      case patientRef = "patient_ref"
    }
  }

  /// A record that names no session and no patient has no standing.
  private func insertStanding(_ entry: Entry) throws(SQLiteError) {
    let owner: Owner
    do { owner = try JSONDecoder().decode(Owner.self, from: Data(entry.record)) } catch { return }
    let log = try log(site: entry.site, device: entry.device)
    try addStanding.bind(1, "\(entry.captureID)")
    try addStanding.bind(2, entry.site)
    try addStanding.bind(3, entry.device)
    try addStanding.bind(4, "\(owner.sessionID)")
    try addStanding.bind(5, owner.patientRef)
    try addStanding.bind(6, log.patient(of: owner.sessionID, recorded: owner.patientRef))
    try addStanding.bind(7, log.isWithdrawn(owner.sessionID) ? 1 : 0)
    try addStanding.run()
  }

  /// Brings the standing of every capture of a site up to date.
  private func follow(site: String) throws(SQLiteError) {
    let sessions = try connection.prepare(
      "SELECT DISTINCT device, session_id, recorded_ref, patient_ref, withdrawn FROM standing WHERE site = ?")
    try sessions.bind(1, site)
    var logs: [String: CorrectionLog] = [:]
    var changed: [(device: String, session: String, patient: String, withdrawn: Bool)] = []
    while try sessions.step() {
      let device = sessions.text(0)
      guard let session = RandomIdentifier(sessions.text(1)) else { continue }
      let log: CorrectionLog
      if let known = logs[device] {
        log = known
      } else {
        log = try self.log(site: site, device: device)
        logs[device] = log
      }
      let present = (log.patient(of: session, recorded: sessions.text(2)), log.isWithdrawn(session))
      if present != (sessions.text(3), sessions.integer(4) != 0) {
        changed.append((device, sessions.text(1), present.0, present.1))
      }
    }
    sessions.reset()
    let update = try connection.prepare(
      "UPDATE standing SET patient_ref = ?, withdrawn = ? WHERE site = ? AND device = ? AND session_id = ?")
    for session in changed {
      try update.bind(1, session.patient)
      try update.bind(2, session.withdrawn ? 1 : 0)
      try update.bind(3, site)
      try update.bind(4, session.device)
      try update.bind(5, session.session)
      try update.run()
    }
  }

  /// Everything that lay in the folder before is in the index.
  package func noteFilled() throws(OutboxError) {
    do throws(SQLiteError) {
      try connection.execute("PRAGMA user_version = \(Self.version)")
    } catch {
      throw OutboxError(error)
    }
  }

  /// Captures in the index.
  package func count() throws(OutboxError) -> Int {
    do throws(SQLiteError) {
      return Int(try connection.integer("SELECT count(*) FROM capture") ?? 0)
    } catch {
      throw OutboxError(error)
    }
  }
}
