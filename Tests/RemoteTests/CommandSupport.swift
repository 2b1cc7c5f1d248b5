import Cryptography
import Forwarding
import Provenance
import Remote
import Storage
import TestSupport
import Trust

/// Who sends commands in the tests: a key that is made here and a clock that the test moves.
struct CommandSender {
  static let device = "d1"
  static let site = "s1"
  let signer: SigningKey
  let keys: TrustedKeys

  init() throws {
    signer = try SigningKey(pem: try SigningKey.make(), digests: OpenSSLDigests())
    keys = try TrustedKeys([signer.publicKey], digests: OpenSSLDigests())
  }

  var reader: CommandReader {
    CommandReader(
      keys, site: Self.site, device: Self.device, verifier: OpenSSLVerifier(), digests: OpenSSLDigests())
  }

  /// The statement's JSON; `change` bends it.
  static func statement(
    _ name: String, _ arguments: String = "{}", id: RandomIdentifier, issued: String = "2026-03-01T09:30:00Z",
    expires: String = "2026-03-02T09:30:00Z", challenge: String? = nil, device: String = Self.device,
    site: String = Self.site
  ) -> String {
    let bound = challenge.map { #""for_boot":"\#($0)","# } ?? ""
    return #"{"schema":"thermograph.command.v1","id":"\#(id)","site":"\#(site)","device":"\#(device)","#
      + #""issued":"\#(issued)","expires":"\#(expires)",\#(bound)"name":"\#(name)","arguments":\#(arguments)}"#
  }

  func envelope(_ statement: String, type: ExactText = Command.payloadType) throws -> [UInt8] {
    try Envelope(Array(statement.utf8), type: type, signedBy: [signer]).encoded()
  }
}
