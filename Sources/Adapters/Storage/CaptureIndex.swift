import Provenance

/// `captures.sqlite` of a receiver: every complete capture with its record and its images' hashes, for questions in SQL
/// and for whoever takes captures further.
///
/// ```sql
/// SELECT capture_id, json_extract(record, '$.verdict.outcome') FROM capture WHERE device = 'unit-3' ORDER BY sequence;
/// ```
///
/// The files are the truth, and the index can be made again from them. Its key is the unique key of a capture (site,
/// device, outbox_id, sequence), so that adding one twice changes nothing. Several receivers may share it. One thread
/// at a time.
package final class CaptureIndex {
  /// "TGCX": tells our indices from others' databases.
  private static let applicationID: Int64 = 0x5447_4358
  private static let version: Int64 = 1

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
        PRAGMA application_id = \(Self.applicationID);
        COMMIT;
        """)
      needsFilling = try connection.integer("PRAGMA user_version") ?? 0 == 0
      addCapture = try connection.prepare("INSERT OR IGNORE INTO capture VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
      addImage = try connection.prepare("INSERT OR IGNORE INTO image VALUES (?, ?, ?, ?)")
    } catch {
      throw OutboxError(error)
    }
  }

  /// Adds a capture with its images, on the disk when this returns; one that is there already stays as it is.
  package func add(_ entry: Entry) throws(OutboxError) {
    do throws(SQLiteError) {
      try connection.execute("BEGIN IMMEDIATE")
      do throws(SQLiteError) {
        try insert(entry)
        try connection.execute("COMMIT")
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
