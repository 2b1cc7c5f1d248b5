import CloudLink
import Forwarding
import Provenance

/// The dates of the certificates that this device has in files: its own, and the authority's that it trusts.
struct CertificateDates {
  /// Days before the end from which on it is a warning; the alert begins there too.
  static let warningDays = CertificateWatch.thresholdsDays[0]

  /// e.g. `device.pem until 2027-03-01, 100 days`.
  let what: String
  /// Why no handshake can succeed, or soon will not; nil when all is well.
  let fault: (outcome: DoctorFinding.Outcome, what: String, remedy: String)?

  /// - Parameters:
  ///   - own: the device's certificate; nil when it has none.
  ///   - authority: what signs the broker's; nil for the system's store.
  /// - Throws: a file that cannot be read, of kind `.tls`.
  init(own: String?, authority: String?, now: Timestamp) throws(LinkFailure) {
    var texts: [String] = []
    var faults: [(outcome: DoctorFinding.Outcome, what: String, remedy: String)] = []
    for (path, remedy) in [
      (own, "have it renewed: thermograph enroll --request FOLDER, then --install FOLDER"),
      (authority, "install the authority's new certificate: broker.ca_file"),
    ] {
      guard let path else { continue }
      let validity = try CertificateValidity(ofCertificateAt: path)
      let days = validity.daysLeft(at: now)
      if validity.notBeforeSeconds > now.utcNanoseconds / 1_000_000_000 {
        faults.append(
          (
            .fail, "\(path) is valid only from \(Self.date(validity.notBeforeSeconds))",
            "set the clock; it says \(now.rfc3339)"
          ))
      } else if days < 0 {
        faults.append((.fail, "\(path) expired on \(Self.date(validity.notAfterSeconds))", remedy))
      } else if days <= Self.warningDays {
        faults.append((.warn, "\(path) ends in \(days) days", remedy))
      }
      texts.append("\(path) until \(Self.date(validity.notAfterSeconds)), \(days) days")
    }
    what = texts.joined(separator: "; ")
    fault = faults.first { $0.outcome == .fail } ?? faults.first
  }

  /// Certificates may outlive the nanoseconds of a `Timestamp`, which end in 2262.
  private static func date(_ seconds: Int64) -> String { CivilDate(secondsSinceEpoch: seconds).text }
}
