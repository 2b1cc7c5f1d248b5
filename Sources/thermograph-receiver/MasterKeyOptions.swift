import ArgumentParser
import Glibc
import Storage

/// What opens the sites' data keys; the same for every command that seals or opens.
struct MasterKeyOptions: ParsableArguments {
  @Option(name: .long, help: "File with the master key, or a credential in $CREDENTIALS_DIRECTORY.")
  var masterKeyFile: String?

  @Option(name: .long, help: "File with a master key that still wraps data keys; may be repeated.")
  var olderMasterKeyFile: [String] = []

  func masters() throws -> KeyRing {
    guard let masterKeyFile else {
      throw ValidationError("--master-key-file is missing: contents are stored sealed")
    }
    return KeyRing(current: try Self.key(masterKeyFile), older: try olderMasterKeyFile.map { try Self.key($0) })
  }

  /// systemd shows a credential to its service through an access list, which looks like a readable group.
  private static func key(_ path: String) throws(KeyFileError) -> SealingKey {
    let credentials = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) + "/" }
    let isCredential = credentials.map { path.hasPrefix($0) } ?? false
    return try KeyFile.load(path: path, digests: OpenSSLDigests(), requirePrivate: !isCredential)
  }
}
