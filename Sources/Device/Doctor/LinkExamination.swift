import CloudLink
import Forwarding
import Provenance

/// What doctor says of a connection to the broker, its own or the service's.
struct LinkExamination {
  let link: LinkSettings
  let now: Timestamp

  private var broker: String { "\(link.host):\(link.port)" }

  private var authority: String? {
    if case .tls(let files) = link.security { return files.authority }
    return nil
  }

  /// - Parameter protection: what the handshake agreed on, e.g. `TLSv1.3`, or why there is no connection.
  func finding(_ protection: Result<String, LinkFailure>) -> DoctorFinding {
    switch link.security {
    case .plaintext(let beyondLoopback): plaintextFinding(protection, isAllowed: beyondLoopback)
    case .tls(let files): securedFinding(protection, files)
    }
  }

  func failed(_ part: DoctorPart, _ failure: LinkFailure) -> DoctorFinding {
    .fail(part, "\(failure)", remedy: failure.remedy(host: link.host, port: Int(link.port), authority: authority))
  }

  private func plaintextFinding(_ protection: Result<String, LinkFailure>, isAllowed: Bool) -> DoctorFinding {
    if case .failure(let failure) = protection { return failed(.tls, failure) }
    return isAllowed
      ? .warn(
        .tls, "\(broker), not encrypted: records and images cross the network readable",
        remedy: "set ca_file, certificate_file and key_file in [broker], and take allow_plaintext out")
      : .pass(.tls, "\(broker), not encrypted, and does not leave this machine")
  }

  private func securedFinding(_ protection: Result<String, LinkFailure>, _ files: TLSFiles) -> DoctorFinding {
    let dates: CertificateDates
    do throws(LinkFailure) {
      dates = try CertificateDates(own: files.identity?.certificate, authority: files.authority, now: now)
    } catch {
      return .fail(.tls, "\(error)", remedy: "install a certificate: thermograph enroll --install FOLDER")
    }
    // A certificate that has ended explains every refusal, and the broker's words for it may be vague.
    if let fault = dates.fault, fault.outcome == .fail { return .fail(.tls, fault.what, remedy: fault.remedy) }
    switch protection {
    case .failure(let failure): return failed(.tls, failure)
    case .success(let version):
      let what = "\(version) with \(broker)" + (dates.what.isEmpty ? "" : "; \(dates.what)")
      return dates.fault.map { .warn(.tls, what, remedy: $0.remedy) } ?? .pass(.tls, what)
    }
  }
}
