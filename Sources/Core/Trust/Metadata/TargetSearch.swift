import Provenance

/// The search for a target through delegations (TUF 1.0, section 5.6.7).
enum TargetSearch {
  /// Roles that are looked at for one target.
  static let rolesMaximum = 32

  /// What the first role that may speak of `path`, in the order of trust, says of it; nil when none does.
  ///
  /// - Parameter load: a role's targets, held against its delegator's keys; nil when they are not there.
  static func find(
    _ path: ExactText, _ digests: any MessageDigests,
    load: (_ role: ExactText, _ delegator: ExactText?) throws(MetadataFault) -> TargetsRole?
  ) throws(MetadataFault) -> FileDescription? {
    var waiting: [(role: ExactText, delegator: ExactText?)] = [("targets", nil)]
    var visited: Set<ExactText> = []
    while visited.count <= rolesMaximum, let (role, delegator) = waiting.popLast() {
      guard !visited.contains(role) else { continue }
      visited.insert(role)
      guard let targets = try load(role, delegator) else { continue }
      if let description = targets.targets[path] { return description }
      var children: [(role: ExactText, delegator: ExactText?)] = []
      for delegation in targets.delegations where delegation.covers(path, digests) {
        children.append((delegation.name, role))
        if delegation.isTerminating {
          // Nobody else is asked for this path.
          waiting = []
          break
        }
      }
      waiting += children.reversed()
    }
    return nil
  }
}
