import Cryptography
import Provenance
import Remote
import Storage
import Trust

/// Who sends commands in tests, with a key that is made for the test.
package struct CommandSender: Sendable {
  package let site: String
  package let device: String
  private let signer: SigningKey
  package let keys: TrustedKeys

  package init(site: String = "s1", device: String = "d1") throws {
    self.site = site
    self.device = device
    signer = try SigningKey(pem: try SigningKey.make(), digests: OpenSSLDigests())
    keys = try TrustedKeys([signer.publicKey], digests: OpenSSLDigests())
  }

  package var publicKey: String { signer.publicKey.pem }

  package var reader: CommandReader {
    CommandReader(keys, site: site, device: device, verifier: OpenSSLVerifier(), digests: OpenSSLDigests())
  }

  /// A statement's JSON, for tests to bend.
  package func statement(
    _ name: String, _ arguments: String = "{}", id: RandomIdentifier, issued: String = "2026-03-01T09:30:00Z",
    expires: String = "2026-03-02T09:30:00Z", challenge: String? = nil, device: String? = nil, site: String? = nil
  ) -> String {
    let bound = challenge.map { #""for_boot":"\#($0)","# } ?? ""
    return #"{"schema":"thermograph.command.v1","id":"\#(id)","site":"\#(site ?? self.site)","#
      + #""device":"\#(device ?? self.device)","issued":"\#(issued)","expires":"\#(expires)",\#(bound)"#
      + #""name":"\#(name)","arguments":\#(arguments)}"#
  }

  /// A configuration's JSON, for tests to bend.
  package func configuration(
    _ toml: String, version: Int64, id: RandomIdentifier, issued: String = "2026-03-01T09:30:00Z",
    expires: String = "2026-03-02T09:30:00Z", challenge: String? = nil, minutes: Int64? = nil, device: String? = nil
  ) -> String {
    var members: [JSONObject.Member] = [
      .init("schema", .string(ConfigurationStatement.schema)), .init("id", .string("\(id)")),
      .init("site", .string(site)), .init("device", .string(device ?? self.device)),
      .init("version", .integer(version)), .init("issued", .string(issued)), .init("expires", .string(expires)),
    ]
    if let challenge { members.append(.init("for_boot", .string(challenge))) }
    if let minutes { members.append(.init("confirm_minutes", .integer(minutes))) }
    members.append(.init("toml", .string(toml)))
    return String(decoding: JSONValue.object(JSONObject(members)).encoded(), as: UTF8.self)
  }

  package var configurationReader: StatementReader<ConfigurationStatement> {
    StatementReader(keys, site: site, device: device, verifier: OpenSSLVerifier(), digests: OpenSSLDigests())
  }

  package func envelope(_ statement: String, type: ExactText = Command.payloadType) throws -> [UInt8] {
    try Envelope(Array(statement.utf8), type: type, signedBy: [signer]).encoded()
  }
}

/// A result's JSON, for tests to bend.
package struct ResultText: Sendable {
  package var id: RandomIdentifier
  package var site = "s1"
  package var device = "d1"
  package var captureID: RandomIdentifier
  package var recordSHA256 = String(repeating: "ab", count: 32)
  package var patientRef = "ann"
  package var state = "answered"
  package var reviewer = "reader.1"
  package var received = "2026-03-01T09:30:00Z"
  package var cloudDone = "2026-03-01T09:30:04.250Z"
  package var reviewed = "2026-03-01T10:30:00Z"
  /// Members behind the others, e.g. `,"answer":"..."`.
  package var more = ""

  package init(id: RandomIdentifier, captureID: RandomIdentifier) {
    self.id = id
    self.captureID = captureID
  }

  package var json: String {
    #"{"schema":"thermograph.result.v1","id":"\#(id)","site":"\#(site)","device":"\#(device)","#
      + #""capture_id":"\#(captureID)","record_sha256":"\#(recordSHA256)","patient_ref":"\#(patientRef)","#
      + #""state":"\#(state)","reviewer":"\#(reviewer)","received_at":"\#(received)","#
      + #""cloud_done_at":"\#(cloudDone)","reviewed_at":"\#(reviewed)"\#(more)}"#
  }
}
