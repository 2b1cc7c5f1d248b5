import ConfigurationFiles
import Enrolment
import Identification
import Storage
import Trust

extension ProvisioningFolder {
  /// Reads a file of an import as the device will read it later.
  @Sendable package static func examination(_ kind: Kind, _ content: [UInt8]) -> Examination {
    switch kind {
    case .configuration: return Examination()
    case .certificate: return Examination(fault: CertificateText.fault(in: content))
    case .receiverKeys:
      do throws(KeyFault) {
        let keys = try PublicKey.list(pem: content)
        return Examination(
          notes: keys.map { "a receiver's key, SHA-256 \($0.identifier(OpenSSLDigests()))" })
      } catch { return Examination(fault: "\(error)") }
    case .siteKey:
      let isKey = KeyFile.isKey(content)
      return Examination(
        fault: isKey ? nil : "is no key; expected 32 raw bytes, 64 hexadecimal digits or base64 of 32 bytes")
    case .roster:
      let (roster, faults) = RosterReader.read(content)
      guard roster.count > 0 || faults.isEmpty else {
        return Examination(fault: "is no roster: \(faults.first.map { "\($0)" } ?? "")")
      }
      return Examination(notes: faults.map { "\($0)" })
    }
  }
}
