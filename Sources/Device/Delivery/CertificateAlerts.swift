import CloudLink
import Forwarding
import Provenance

/// Says as alerts that this device's certificate comes to its end.
struct CertificateAlerts {
  let path: String
  private var watch = CertificateWatch()

  init(path: String) { self.path = path }

  /// The alert that is due at `now`, or nil. Throws when the file cannot be read.
  mutating func due(at now: Timestamp) throws(LinkFailure) -> AlertMessage? {
    let validity = try CertificateValidity(ofCertificateAt: path)
    guard let days = watch.check(validity, at: now) else { return nil }
    let detail =
      days == 0
      ? "this device's certificate has expired; nothing is delivered until it is replaced"
      : "this device's certificate expires in \(validity.daysLeft(at: now)) days; replace the file, no restart is needed"
    return AlertMessage(
      code: "certificate-expiring", severity: days <= 1 ? .critical : .warning, detail: detail, at: now)
  }
}
