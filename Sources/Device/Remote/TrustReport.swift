import Provenance
import Trust

/// What a device trusts of one repository, for people and for `--json`.
package struct TrustReport: Sendable, Equatable, Codable {
  package enum State: String, Sendable, Codable {
    case absent, trusted
    /// It was trusted and can no longer be verified.
    case unusable
  }

  package struct Role: Sendable, Equatable, Codable {
    package var role: String
    package var version: Int64
    /// RFC 3339.
    package var expires: String
  }

  package var root: String
  package var state = State.absent
  package var reason: String?
  /// SHA-256 of the root that a person installed.
  package var fingerprint: String?
  package var freshness: String?
  package var roles: [Role] = []
  /// Keys that count now, by role.
  package var keys: [String: Int]?

  package init(_ trust: RepositoryTrust) {
    root = trust.root.rawValue
    let repository: TrustedRepository
    do throws(MetadataFault) {
      guard let found = try trust.repository() else { return }
      repository = found
    } catch {
      state = .unusable
      reason = "\(error)"
      return
    }
    state = .trusted
    fingerprint = repository.installedFingerprint
    freshness = "\(trust.freshness(of: repository))"
    roles = repository.metadata.roles.map {
      Role(role: $0.role, version: $0.version, expires: Self.date($0.expiresSeconds))
    }
    reason = trust.packageFault
    guard trust.root == .site else { return }
    var counts: [String: Int] = [:]
    for role in KeyRole.allCases {
      switch trust.keys(for: role) {
      case .keys(let keys): counts[role.rawValue] = keys.keys.count
      case .none(let why):
        counts[role.rawValue] = 0
        if role == .command { reason = why }
      case .noRoot: break
      }
    }
    keys = counts
  }

  private static func date(_ seconds: Int64) -> String { CivilDate(secondsSinceEpoch: seconds).text }

  /// Lines for a terminal.
  package var text: String {
    var lines: [String]
    switch state {
    case .absent: lines = ["\(root): no root is installed"]
    case .unusable: lines = ["\(root): NOT USABLE, \(reason ?? "")"]
    case .trusted:
      lines = ["\(root): root SHA-256 \(fingerprint ?? ""), freshness \(freshness ?? "")"]
      lines += roles.map { "  \($0.role) version \($0.version), until \($0.expires)" }
      if let keys {
        lines.append(
          "  keys: " + keys.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
      }
      if let reason { lines.append("  \(reason)") }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  private enum CodingKeys: String, CodingKey {
    case root, state, reason, fingerprint, freshness, roles, keys
  }
}
