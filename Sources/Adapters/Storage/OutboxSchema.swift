/// The layout of the outbox on disk.
///
/// Programs go forward and back on a device, so what is new is **added**: a nullable column or one with a default behind
/// the others of `outbox` or `message`, a table, an index (`additions`). It changes no number, and an earlier program
/// reads and writes the database as if it were not there. `payload` never grows. A change that an earlier program could
/// not live with is a migration; it raises `user_version`. It is made only in a database of which the program is confirmed
/// (`OutboxConfiguration.isConfirmed`), because from then on there is no way back; until then the program does with the
/// layout before it.
enum OutboxSchema {
  /// "TGOB": tells our databases from others'.
  static let applicationID: Int64 = 0x5447_4F42

  /// Columns of `message` in the first layout, by which recovery knows its rows; later ones stand behind them.
  static let messageColumns = 20
  static let sequenceColumn = 8
  static let settledBootColumn = 17
  static let settledMonotonicColumn = 18
  static let reasonColumn = 19

  /// What this program uses, by table. A database that holds it is opened, whatever number it bears.
  static let tables: [(table: String, columns: [String])] = [
    ("outbox", ["one", "outbox_id", "next_message", "next_sequence", "running"]),
    (
      "message",
      [
        "id", "class", "state", "attempts", "length", "stored", "key_id", "capture_id", "sequence", "name", "topic",
        "content_type", "sha256", "created_utc", "created_boot", "created_monotonic", "created_synchronised",
        "settled_boot", "settled_monotonic", "reason",
      ]
    ),
    ("payload", ["id", "sealed"]),
  ]

  /// No program will ever write a later version; a greater number is damage.
  static let plausibleVersion: Int64 = 999

  /// A column that a later layout has and an earlier program does without.
  struct Addition: Sendable {
    let table: String
    let column: String
    /// Type and default.
    let definition: String
  }

  /// Only ever appended.
  static let additions = [
    Addition(table: "outbox", column: "commits", definition: "INTEGER NOT NULL DEFAULT 0"),
    Addition(table: "outbox", column: "history", definition: "BLOB"),
    handedOver,
  ]

  /// How a message has left the device, as bits: 1 acknowledged by the broker, 2 exported to a folder. NULL: not yet.
  static let handedOver = Addition(table: "message", column: "handed_over", definition: "INTEGER")

  /// The commands that were begun; of a later layout too. A row is sealed as a whole, so nothing else has a column.
  static let ledger = """
    CREATE TABLE IF NOT EXISTS command (id BLOB PRIMARY KEY, key_id INTEGER NOT NULL, sealed BLOB NOT NULL)
    WITHOUT ROWID
    """

  /// What is remembered of captures after they are gone, and what came back to them. Sealed row by row, as the commands are;
  /// `number` counts them, so that the oldest go first, and `shown` is a cache of what the row says.
  static let results = [
    """
    CREATE TABLE IF NOT EXISTS taken (
      id BLOB PRIMARY KEY, number INTEGER NOT NULL, key_id INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS taken_number ON taken (number)",
    """
    CREATE TABLE IF NOT EXISTS answer (
      id BLOB PRIMARY KEY, number INTEGER NOT NULL, shown INTEGER NOT NULL, key_id INTEGER NOT NULL, sealed BLOB NOT NULL)
    WITHOUT ROWID
    """,
  ]

  struct Migration: Sendable {
    let name: String
    let sql: String
  }

  static let migrations = [
    Migration(
      name: "messages and payloads",
      // What changes during delivery is a small row of its own, so that an acknowledgement does not rewrite the payload.
      sql: """
        CREATE TABLE outbox (
          one INTEGER PRIMARY KEY CHECK (one = 1),
          outbox_id BLOB NOT NULL,
          next_message INTEGER NOT NULL,
          next_sequence INTEGER NOT NULL,
          running INTEGER NOT NULL
        );
        CREATE TABLE message (
          id INTEGER PRIMARY KEY,
          class INTEGER NOT NULL,
          state INTEGER NOT NULL,
          attempts INTEGER NOT NULL,
          length INTEGER NOT NULL,
          stored INTEGER NOT NULL,
          key_id INTEGER NOT NULL,
          capture_id BLOB,
          sequence INTEGER,
          name TEXT,
          topic TEXT NOT NULL,
          content_type TEXT NOT NULL,
          sha256 BLOB NOT NULL,
          created_utc INTEGER NOT NULL,
          created_boot TEXT NOT NULL,
          created_monotonic INTEGER NOT NULL,
          created_synchronised INTEGER NOT NULL,
          settled_boot TEXT,
          settled_monotonic INTEGER,
          reason TEXT
        );
        CREATE INDEX message_waiting ON message (class, id) WHERE state = 0;
        CREATE INDEX message_awaiting ON message (id) WHERE state = 1;
        CREATE INDEX message_capture ON message (capture_id, name) WHERE capture_id IS NOT NULL;
        CREATE TABLE payload (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
        """)
  ]
}
