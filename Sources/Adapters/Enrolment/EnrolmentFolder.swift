import LocalFiles

/// The folder on a stick by which a device without a line is enrolled. The device writes `request.csr` and
/// `provisioning.json`; whoever signs puts `certificate.pem` beside them, with `ca.pem` (the broker's authority) and, where
/// another authority signs devices, `issuer.pem`.
package struct EnrolmentFolder: Sendable {
  package static let requestName = "request.csr"
  package static let provisioningName = "provisioning.json"
  package static let certificateName = "certificate.pem"
  package static let authorityName = "ca.pem"
  package static let issuerName = "issuer.pem"
  /// Public keys of the receivers whose receipts the device shall take.
  package static let receiversName = "receivers.pem"

  package let path: String

  package init(path: String) {
    self.path = path
  }

  /// Writes the request, and the same as the payloads of AWS IoT fleet provisioning by claim: `CreateCertificateFromCsr`,
  /// then `RegisterThing` with these parameters.
  package func write(request: [UInt8], device: String, site: String) throws(FileError) {
    try BoundedFile.replace("\(path)/\(Self.requestName)", with: request)
    let pem = String(decoding: request, as: UTF8.self).replacing("\n", with: "\\n")
    // Ids are [a-z0-9-]{1,36} and PEM is base64: nothing to escape but line ends.
    let text = """
      {
        "create_certificate_from_csr": {"certificateSigningRequest": "\(pem)"},
        "register_thing": {"parameters": {"SerialNumber": "\(device)", "Site": "\(site)"}}
      }

      """
    try BoundedFile.replace("\(path)/\(Self.provisioningName)", with: Array(text.utf8))
  }

  package func certificate() throws(FileError) -> [UInt8] { try read(Self.certificateName) }

  /// nil when the folder has none.
  package func authority() throws(FileError) -> [UInt8]? { try readIfThere(Self.authorityName) }
  package func issuer() throws(FileError) -> [UInt8]? { try readIfThere(Self.issuerName) }
  package func receivers() throws(FileError) -> [UInt8]? { try readIfThere(Self.receiversName) }

  private func read(_ name: String) throws(FileError) -> [UInt8] {
    try BoundedFile.read("\(path)/\(name)", maximumBytes: DeviceKey.maximumBytes * 4)
  }

  private func readIfThere(_ name: String) throws(FileError) -> [UInt8]? {
    do throws(FileError) { return try read(name) } catch {
      if error.isMissing { return nil }
      throw error
    }
  }
}
