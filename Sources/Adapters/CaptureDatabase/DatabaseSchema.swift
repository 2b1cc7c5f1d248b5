/// The schema of the capture database: made and raised by `migrate`, looked at by `check`.
package enum DatabaseSchema {
  /// Held while steps are applied, so that two who migrate take turns. The number is the word `thermogr` in ASCII.
  private static let lock: Int64 = 0x7468_6572_6d6f_6772

  /// Applies what is missing, each step in a transaction of its own. Returns the names of the steps.
  package static func migrate(_ target: DatabaseTarget) throws(DatabaseError) -> [String] {
    let connection = try DatabaseConnection(target)
    let operation = "migrate"
    try connection.run("SELECT pg_advisory_lock($1)", [.integer(lock)], operation)
    try connection.runScript(
      """
      CREATE TABLE IF NOT EXISTS schema_step (
        number bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
      """, operation)
    let present = try applied(connection)
    if let fault = fault(in: present), present.count > Migration.all.count || !isPrefix(present) {
      throw DatabaseError(.misuse, fault)
    }
    var done: [String] = []
    for step in Migration.all.dropFirst(present.count) {
      try connection.transaction("migrate to step \(step.number)") { connection throws(DatabaseError) in
        try connection.runScript(step.script, "migrate to step \(step.number)")
        try connection.run(
          "INSERT INTO schema_step (number, name) VALUES ($1, $2)", [.integer(step.number), .text(step.name)],
          "migrate to step \(step.number)")
      }
      done.append("\(step.number): \(step.name)")
    }
    return done
  }

  /// - Throws: what differs from this program's schema, and what to do.
  package static func check(_ target: DatabaseTarget) throws(DatabaseError) {
    try check(DatabaseConnection(target))
  }

  static func check(_ connection: DatabaseConnection) throws(DatabaseError) {
    let isThere = try connection.run("SELECT to_regclass('schema_step') IS NOT NULL", [], "check the schema").flag(0, 0)
    guard isThere else {
      throw DatabaseError(.misuse, "database: it has no schema yet; run thermograph-receiver --migrate")
    }
    if let fault = fault(in: try applied(connection)) { throw DatabaseError(.misuse, fault) }
  }

  private static func applied(_ connection: DatabaseConnection) throws(DatabaseError) -> [(Int64, String)] {
    let rows = try connection.run("SELECT number, name FROM schema_step ORDER BY number", [], "check the schema")
    return (0..<rows.count).map { (rows.integer($0, 0) ?? 0, rows.text($0, 1) ?? "") }
  }

  private static func isPrefix(_ present: [(Int64, String)]) -> Bool {
    zip(present, Migration.all).allSatisfy { $0.0 == $1.number && $0.1 == $1.name }
  }

  private static func fault(in present: [(Int64, String)]) -> String? {
    let known = Migration.all
    if present.count > known.count {
      return
        "database: its schema is at step \(present.count), this program knows \(known.count); install the newer program"
    }
    guard isPrefix(present) else {
      return "database: its schema has other steps than this program's; is it the database of another program?"
    }
    guard present.count < known.count else { return nil }
    return "database: its schema is at step \(present.count) of \(known.count); run thermograph-receiver --migrate"
  }
}
