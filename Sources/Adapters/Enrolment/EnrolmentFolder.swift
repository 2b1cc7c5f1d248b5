import LocalFiles

/// The folder on a stick by which a device without a line is enrolled. The device writes `request.csr`,
/// `audit.pem` and `provisioning.json`; whoever signs puts `certificate.pem` beside them, with `ca.pem` (the broker's authority) and, where
/// another authority signs devices, `issuer.pem`.
/// Whoever had the stick may have prepared it to harm: no link in it is followed, and nothing but a file is read.
package struct EnrolmentFolder: ~Copyable, Sendable {
  package static let requestName = "request.csr"
  package static let provisioningName = "provisioning.json"
  /// The public half of the key that signs the device's audit log.
  package static let auditName = "audit.pem"
  package static let certificateName = "certificate.pem"
  package static let authorityName = "ca.pem"
  package static let issuerName = "issuer.pem"
  /// Public keys of the receivers whose receipts the device shall take.
  package static let receiversName = "receivers.pem"

  /// The root of the site's repository.
  package static let siteRootName = "site-root.json"

  private let folder: OpenFolder

  /// - Throws: when the folder is not there, or a link leads to it.
  package init(path: String) throws(FileError) {
    folder = try OpenFolder(withoutLinks: path)
  }

  /// Writes the request, and the same as the payloads of AWS IoT fleet provisioning by claim: `CreateCertificateFromCsr`,
  /// then `RegisterThing` with these parameters.
  ///
  /// - Parameter auditKey: the audit key's public half in PEM; whoever signs the request keeps it.
  package func write(request: [UInt8], auditKey: [UInt8], device: String, site: String) throws(FileError) {
    try folder.replace(Self.requestName, with: request, mode: 0o644)
    try folder.replace(Self.auditName, with: auditKey, mode: 0o644)
    let pem = String(decoding: request, as: UTF8.self).replacing("\n", with: "\\n")
    // Ids are [a-z0-9-]{1,36} and PEM is base64: nothing to escape but line ends.
    let text = """
      {
        "create_certificate_from_csr": {"certificateSigningRequest": "\(pem)"},
        "register_thing": {"parameters": {"SerialNumber": "\(device)", "Site": "\(site)"}}
      }

      """
    try folder.replace(Self.provisioningName, with: Array(text.utf8), mode: 0o644)
  }

  package func certificate() throws(FileError) -> [UInt8] {
    try folder.read(Self.certificateName, maximumBytes: Self.maximumBytes)
  }

  /// nil when the folder has none.
  package func authority() throws(FileError) -> [UInt8]? { try readIfThere(Self.authorityName) }
  package func issuer() throws(FileError) -> [UInt8]? { try readIfThere(Self.issuerName) }
  package func receivers() throws(FileError) -> [UInt8]? { try readIfThere(Self.receiversName) }

  package func siteRoot(maximumBytes: Int) throws(FileError) -> [UInt8]? {
    try folder.readIfThere(Self.siteRootName, maximumBytes: maximumBytes)
  }

  /// Whether the folder brings the repository's metadata too.
  package func hasMetadata() throws(FileError) -> Bool { try folder.status(of: "metadata")?.kind == .folder }

  private static let maximumBytes = DeviceKey.maximumBytes * 4

  private func readIfThere(_ name: String) throws(FileError) -> [UInt8]? {
    try folder.readIfThere(name, maximumBytes: Self.maximumBytes)
  }
}
