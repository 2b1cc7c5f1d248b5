import Forwarding
import Provenance

extension BaselineStore {
  /// What staff put right holds for the comparison too. The same request again changes nothing.
  package func follow(_ request: CorrectionRequest) throws(BaselineError) {
    switch request.kind {
    case .reassign:
      guard let session = RandomIdentifier(request.subject), let target = request.target else { return }
      try move(session: session, to: target)
    case .withdraw:
      guard let session = RandomIdentifier(request.subject) else { return }
      try remove(session: session)
    case .merge:
      guard let target = request.target else { return }
      try merge(request.subject, into: target)
    case .unmerge:
      // Nothing was merged here, or it is undone already: there is nothing to follow.
      guard try mergeTarget(of: request.subject) != nil else { return }
      try unmerge(request.subject)
    }
  }
}
