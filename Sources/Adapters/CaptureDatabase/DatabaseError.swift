/// What the database could not do; one line for a person. It never holds a value of a row.
package struct DatabaseError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Kind: Sendable, Equatable {
    /// No connection, a server that stops, has no room, cannot write or answers too late: try again.
    case unavailable
    /// Somebody else was in the way (deadlock, serialization): try again at once.
    case collision
    /// The values are not taken, whoever sends them again.
    case values
    /// A commit that no standby confirmed.
    case notReplicated
    /// The schema is another one, a right is missing, or this program is wrong.
    case misuse
  }

  package var kind: Kind
  /// Five characters of SQLSTATE; empty when the fault is on this side.
  package var state: String
  package var description: String

  init(_ kind: Kind, state: String = "", _ description: String) {
    self.kind = kind
    self.state = state
    self.description = description
  }

  /// - Parameter state: SQLSTATE (PostgreSQL 15, appendix A).
  init(state: String, message: String, doing operation: String) {
    self.state = state
    description = "database: \(operation): \(message)\(state.isEmpty ? "" : " (SQLSTATE \(state))")"
    kind =
      switch state.prefix(2) {
      case "22", "23": .values
      case "40": .collision
      case "", "08", "53", "57", "58", "XX": .unavailable
      // 25006: a server that became a standby; 55P03: a lock that did not come.
      case "25", "55": .unavailable
      default: .misuse
      }
  }
}
