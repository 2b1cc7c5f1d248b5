import Audit
import Cryptography
import Foundation
import Provenance
import Storage
import Testing
import Trust

@Suite struct AuditChainTests {
  private let device = try? AuditDevice()

  /// Made again by another hand: Python's hashlib over bytes that were typed from the documentation.
  @Test func theDigestIsWhatTheDocumentationSays() throws {
    let key = try PublicKey(
      .ed25519, bytes: try #require(Base64Text.bytes(of: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")))
    let log = try #require(RandomIdentifier("0f0e0d0c-0b0a-4908-8706-050403020100"))
    let origin = AuditOrigin(site: "clinic-7", device: "unit-3", log: log, key: key)
    #expect(
      String(decoding: origin.encoded, as: UTF8.self)
        == #"{"schema":"thermograph.audit-origin.v1","site":"clinic-7","device":"unit-3","log":"0f0e0d0c-0b0a-4908-8706-050403020100","key":"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}"#
    )
    let empty = AuditHead(of: origin, digests: OpenSSLDigests())
    #expect(Hexadecimal.text(of: empty.digest) == "5aaa3f3b9699c646a2bae8df3645be22d9d917af8b77ef57e55f0d638d33020e")
    let entry = AuditEntry(
      index: 0, kind: .start,
      time: Timestamp(
        utcNanoseconds: 1_764_500_000_000_000_000, bootID: "b", monotonicNanoseconds: 5, synchronised: true),
      what: ["version": .string("0.2.0")])
    let text = try entry.encoded()
    #expect(
      String(decoding: text, as: UTF8.self)
        == #"{"schema":"thermograph.audit.v1","index":0,"kind":"start","utc_ns":1764500000000000000,"boot":"b","monotonic_ns":5,"synchronised":true,"what":{"version":"0.2.0"}}"#
    )
    let one = empty.extended(by: text, digests: OpenSSLDigests())
    #expect(one.size == 1)
    #expect(Hexadecimal.text(of: one.digest) == "104b918bfec4b0fcf5a74c31a48ca93849e0e46e452012a04378fb6fe886b8e9")
  }

  @Test func anEntryIsReadInItsOneFormOnly() throws {
    let entry = AuditEntry(
      index: 3, kind: .sessionEnd,
      time: Timestamp(utcNanoseconds: 1, bootID: "b", monotonicNanoseconds: 5, synchronised: false),
      what: ["session": .string("s"), "note": .string("two\nlines \"quoted\" é")])
    let text = try entry.encoded()
    #expect(try AuditEntry(reading: text) == entry)
    #expect(!text.contains(UInt8(ascii: "\n")))
    let string = String(decoding: text, as: UTF8.self)
    for other in [
      string + " ", string.replacingOccurrences(of: ":", with: ": "),
      string.replacingOccurrences(of: "\"index\":3", with: "\"index\":3.0"),
      string.replacingOccurrences(of: "\"index\":3", with: "\"index\":-3"),
      string.replacingOccurrences(of: "session-end", with: "another"),
      string.replacingOccurrences(of: "}}", with: "},\"more\":1}"),
      string.replacingOccurrences(of: "\"index\":3,", with: "\"index\":3,\"index\":3,"),
      string.replacingOccurrences(of: "audit.v1", with: "audit.v2"), "", "[]", "{}",
    ] {
      #expect(other != string)
      #expect(throws: AuditFault.self, "\(other)") { try AuditEntry(reading: Array(other.utf8)) }
    }
    let long = AuditEntry(
      index: 0, kind: .start, time: entry.time, what: ["x": .string(ExactText(String(repeating: "x", count: 4096)))])
    #expect(throws: AuditFault.self) { try long.encoded() }
  }

  @Test func aSignedHeadIsOfItsDeviceAndItsLog() throws {
    let device = try #require(device)
    let other = try AuditDevice()
    let head = AuditHead(of: device.origin, digests: OpenSSLDigests())
    let statement = AuditHeadStatement(log: device.origin.log, head: head, time: device.time(1))
    let envelope = try statement.signed(by: device.key)
    let verifier = OpenSSLVerifier()
    #expect(
      try AuditHeadStatement(envelope, of: device.origin, verifier: verifier, digests: OpenSSLDigests()) == statement)
    for origin in [
      other.origin,
      AuditOrigin(site: "s", device: "d", log: other.origin.log, key: device.origin.key),
      AuditOrigin(site: "s", device: "d", log: device.origin.log, key: other.origin.key),
    ] {
      #expect(throws: AuditFault.self) {
        try AuditHeadStatement(envelope, of: origin, verifier: verifier, digests: OpenSSLDigests())
      }
    }
  }
}
