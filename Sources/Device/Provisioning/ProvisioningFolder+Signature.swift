import Configuration
import ConfigurationFiles
import Provenance
import Storage
import Trust

extension ProvisioningFolder {
  /// Holds each file of a folder against what the site has signed for it: the target `provisioning/DEVICE/NAME`, or
  /// `provisioning/NAME` for all devices of the site. The folder's `metadata/` is taken first, as by `thermograph trust import`.
  ///
  /// - Returns: why the folder is not signed; nil when it is.
  package static func reasonUnsigned(
    _ files: [(name: String, bytes: [UInt8])], in source: String, trust: RepositoryTrust, device: String,
    isDemanded: Bool
  ) -> String? {
    do throws(MetadataFault) {
      guard try trust.repository() != nil else {
        return !isDemanded
          ? nil : "no site root is installed to check it by; thermograph enroll --install takes site-root.json"
      }
      let repository = try trust.update(from: try RepositoryFolder(source)).repository
      if case .expired(let role) = trust.freshness(of: repository) { return "the site's \(role) metadata has expired" }
      for file in files {
        let names = ["provisioning/\(device)/\(file.name)", "provisioning/\(file.name)"]
        var description: FileDescription?
        for name in names where description == nil { description = try repository.description(of: ExactText(name)) }
        guard let description else { return "\(file.name) is not signed by the site" }
        try description.check(file.bytes, file.name, OpenSSLDigests())
      }
      return nil
    } catch { return "\(error)" }
  }
}
