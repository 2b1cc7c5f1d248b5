/// Why metadata of a repository is not trusted.
package enum MetadataFault: Error, Sendable, Equatable, CustomStringConvertible {
  case malformed(String)
  /// Fewer distinct keys of the role have signed than its threshold asks for.
  case signatures(role: String, valid: Int, threshold: Int)
  /// Another version than was asked for, or than its superior names.
  case version(role: String, found: Int64, expected: Int64)
  /// An earlier version than one that was trusted before.
  case rollback(String)
  case expired(role: String)
  /// Length or hash is not what its superior says.
  case content(String)
  /// Not there, or not named by its superior.
  case missing(String)
  /// The source failed, or the files that are kept cannot be written.
  case unavailable(String)
  /// Steps in another order than the specification's.
  case order(String)

  package var description: String {
    switch self {
    case .malformed(let what): what
    case .signatures(let role, let valid, let threshold):
      "\(role): right signatures of \(valid) keys of that role; expected at least \(threshold)"
    case .version(let role, let found, let expected): "\(role): version \(found); expected \(expected)"
    case .rollback(let what): "\(what): an earlier version than was trusted before"
    case .expired(let role): "\(role): has expired"
    case .content(let what): what
    case .missing(let what): "\(what): not there"
    case .unavailable(let what): what
    case .order(let what): what
    }
  }
}
