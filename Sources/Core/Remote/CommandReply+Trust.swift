import Provenance
import Trust

extension CommandReply {
  /// To a message on `dn/trust` that was verified.
  package init(toTrust id: RandomIdentifier, detail: String, freshness: Freshness, at now: Timestamp) {
    self.id = id
    name = "trust"
    state = .done
    details = [detail]
    self.freshness = freshness
    at = now.rfc3339
  }
}
