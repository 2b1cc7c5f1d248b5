import Cryptography
import Foundation
import Provenance
import Storage
import TestSupport
import Testing
import Trust

private let type: ExactText = "application/vnd.example.statement+json"
private let digests = OpenSSLDigests()
private let verifier = OpenSSLVerifier()

private func signingKey() throws -> SigningKey { try SigningKey(pem: try SigningKey.make(), digests: digests) }

/// Why `envelope` is not believed; nil when it is.
private func refusal(_ keys: TrustedKeys, _ envelope: [UInt8], type: ExactText = type) -> EnvelopeFault? {
  do throws(EnvelopeFault) {
    _ = try keys.open(try Envelope(reading: envelope, within: .statement), type: type, verifier: verifier)
    return nil
  } catch { return error }
}

@Suite struct EnvelopeTests {
  /// The vector of the specification (protocol.md, "Test Vectors"). Its signature is r and s behind one another; ours are
  /// DER, as OpenSSL and securesystemslib write them.
  @Test func theVectorOfTheSpecification() throws {
    #expect(
      Envelope.preAuthenticationEncoding(Array("hello world".utf8), type: "http://example.com/HelloWorld")
        == Array("DSSEv1 29 http://example.com/HelloWorld 11 hello world".utf8))
    // X and Y of the vector, in hexadecimal digits.
    let point = try #require(
      Hexadecimal.bytes(
        of: "0467cd390f77aa359cb08c2235f652270493a9ed832b0abcc01f70954c0390d238"
          + "0c782bd54e269125a44f4433aff1432ce94e12bca73aa67ac80cea12608ddf74"))
    let raw = try #require(
      Base64Text.bytes(
        of: "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="))
    let signature = Self.der(r: Array(raw.prefix(32)), s: Array(raw.suffix(32)))
    let text = """
      {"payload": "aGVsbG8gd29ybGQ=",
       "payloadType": "http://example.com/HelloWorld",
       "signatures": [{"sig": "\(Base64Text.text(of: signature))"}]}
      """
    let key = try PublicKey(.ecdsaP256, bytes: point)
    let keys = try TrustedKeys([key], digests: digests)
    let envelope = try Envelope(reading: Array(text.utf8), within: .statement)
    let statement = try keys.open(envelope, type: "http://example.com/HelloWorld", verifier: verifier)
    #expect(statement.payload == Array("hello world".utf8))
    #expect(statement.signers == [key])
  }

  /// ECDSA-Sig-Value (RFC 3279) of two numbers of 32 bytes.
  private static func der(r: [UInt8], s: [UInt8]) -> [UInt8] {
    func integer(_ bytes: [UInt8]) -> [UInt8] {
      let number = Array(bytes.drop { $0 == 0 })
      let padded = (number.first ?? 0x80) >= 0x80 ? [0] + number : number
      return [0x02, UInt8(padded.count)] + padded
    }
    let content = integer(r) + integer(s)
    return [0x30, UInt8(content.count)] + content
  }

  @Test func whatIsWrittenIsReadAndOpenedAgain() throws {
    let (first, second) = (try signingKey(), try signingKey())
    let payload = Array(#"{"a":"é\n"}"#.utf8)
    let bytes = try Envelope(payload, type: type, signedBy: [first, second]).encoded()
    let keys = try TrustedKeys([second.publicKey, first.publicKey], threshold: 2, digests: digests)
    let statement = try keys.open(try Envelope(reading: bytes, within: .statement), type: type, verifier: verifier)
    #expect(statement.payload == payload)
    #expect(Set(statement.signers) == [first.publicKey, second.publicKey])
  }

  /// Envelopes that plain OpenSSL made; and OpenSSL takes ours.
  @Test(arguments: ["ed25519", "p256"]) func anotherImplementationAgrees(algorithm: String) throws {
    let folder = try ScratchFolder()
    defer { folder.remove() }
    let kind = algorithm == "p256" ? ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"] : ["ED25519"]
    try folder.openssl(["genpkey", "-algorithm"] + kind + ["-out", "key.pem"])
    try folder.openssl(["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"])
    let payload = Array(#"{"from":"elsewhere"}"#.utf8)
    try folder.write(Envelope.preAuthenticationEncoding(payload, type: type), to: "message")
    let digest = algorithm == "p256" ? ["-digest", "sha256"] : []
    try folder.openssl(
      ["pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "message", "-out", "signature"] + digest)
    let text = """
      {"signatures":[{"keyid":"theirs","sig":"\(Base64Text.text(of: try folder.read("signature")))","cert":null}],
       "payloadType":"\(type)","payload":"\(Base64Text.text(of: payload))","unknown":{"kept":[1]}}
      """
    let key = try PublicKey(pem: String(decoding: try folder.read("public.pem"), as: UTF8.self))
    let keys = try TrustedKeys([key], digests: digests)
    #expect(refusal(keys, Array(text.utf8)) == nil)

    let ours = try SigningKey(pem: try folder.read("key.pem"), digests: digests)
    #expect(ours.publicKey == key)
    try folder.write(try ours.sign(Envelope.preAuthenticationEncoding(payload, type: type)), to: "ours")
    try folder.openssl(
      ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "public.pem", "-in", "message", "-sigfile", "ours"] + digest)
  }

  @Test func base64OfEitherAlphabetIsTakenButNotAMixture() throws {
    #expect(Base64Text.bytes(of: "-_-_") == [0xFB, 0xFF, 0xBF])
    #expect(Base64Text.bytes(of: "+/+/") == [0xFB, 0xFF, 0xBF])
    #expect(Base64Text.bytes(of: "") == [])
    for text: ExactText in [
      "+_+/", "AA", "AA=", "AB==", "AA==\n", " AA==", "A A==", "AA==AA==", "====", "é", "AAA\u{0}",
    ] {
      #expect(Base64Text.bytes(of: text) == nil, "\(text)")
    }
  }

  @Test func anotherTypeIsAnotherStatement() throws {
    let key = try signingKey()
    let keys = try TrustedKeys([key.publicKey], digests: digests)
    let bytes = try Envelope([1, 2, 3], type: "result", signedBy: [key]).encoded()
    #expect(refusal(keys, bytes, type: "command") == .payloadType(found: "result", expected: "command"))
    // Renaming it breaks the signature.
    let renamed = String(decoding: bytes, as: UTF8.self).replacing("result", with: "command")
    #expect(refusal(keys, Array(renamed.utf8), type: "command") == .signatures(valid: 0, threshold: 1))
    // The Kelvin sign looks like K and is not one.
    let kelvin = try Envelope([1], type: "\u{212A}", signedBy: [key]).encoded()
    #expect(refusal(keys, kelvin, type: "K") == .payloadType(found: "\u{212A}", expected: "K"))
  }

  @Test func oneKeyCountsOnceHoweverOftenItSigned() throws {
    let (key, other, stranger) = (try signingKey(), try signingKey(), try signingKey())
    let keys = try TrustedKeys([key.publicKey, other.publicKey, key.publicKey], threshold: 2, digests: digests)
    #expect(keys.keys.count == 2)
    let message = Envelope.preAuthenticationEncoding([7], type: type)
    let once = Base64Text.text(of: try key.sign(message))
    let twice = """
      {"payload":"Bw==","payloadType":"\(type)","signatures":[{"keyid":"a","sig":"\(once)"},{"keyid":"b","sig":"\(once)"},
      {"keyid":"\(other.keyIdentifier)","sig":"\(once)"},{"sig":"\(once)"}]}
      """
    #expect(refusal(keys, Array(twice.utf8)) == .signatures(valid: 1, threshold: 2))
    #expect(
      refusal(keys, try Envelope([7], type: type, signedBy: [key, stranger]).encoded())
        == .signatures(valid: 1, threshold: 2))
    #expect(refusal(keys, try Envelope([7], type: type, signedBy: [key, stranger, other]).encoded()) == nil)
  }

  /// A wrong hint of an unknown name costs nothing; the names of the keys decide nothing.
  @Test func theHintIsAHint() throws {
    let key = try signingKey()
    let keys = try TrustedKeys([try signingKey().publicKey, key.publicKey], digests: digests)
    let signature = Base64Text.text(of: try key.sign(Envelope.preAuthenticationEncoding([7], type: type)))
    for hint in ["", #""keyid":"","#, #""keyid":"root","#] {
      let text = #"{"payload":"Bw==","payloadType":"\#(type)","signatures":[{\#(hint)"sig":"\#(signature)"}]}"#
      #expect(refusal(keys, Array(text.utf8)) == nil, "\(hint)")
    }
  }

  @Test func thresholdsOutOfReachAreNoKeyLists() throws {
    let key = try signingKey().publicKey
    for (keys, threshold) in [([key], 0), ([key], -1), ([key], 2), ([key, key], 2), ([], 1), ([], 0)] {
      #expect(throws: KeyFault.self) { try TrustedKeys(keys, threshold: threshold, digests: digests) }
    }
    let many = try (0..<17).map { _ in try signingKey().publicKey }
    #expect(throws: KeyFault.self) { try TrustedKeys(many, digests: digests) }
  }

  @Test func hostileEnvelopesAreRefused() throws {
    let key = try signingKey()
    let keys = try TrustedKeys([key.publicKey], digests: digests)
    let good = String(decoding: try Envelope([1, 2, 3], type: type, signedBy: [key]).encoded(), as: UTF8.self)
    #expect(refusal(keys, Array(good.utf8)) == nil)
    let many = Array(repeating: #"{"sig":"AA=="}"#, count: 9).joined(separator: ",")
    let hostile = [
      "", "[]", "null", "{}", good + good, good.replacing(#""payload":"#, with: #""payload":"","payload":"#),
      good.replacing(#""payload":"#, with: #""\u0070ayload":"","payload":"#),
      good.replacing(#""payload":"#, with: #""Payload":"#), good.replacing("AQID", with: "AQI"),
      good.replacing("AQID", with: "AQ\nID"), good.replacing(#""AQID""#, with: "7"),
      good.replacing(#""signatures":["#, with: #""signatures":[1,"#),
      good.replacing(#""signatures":["#, with: #""signatures":[\#(many),"#),
      good.replacing("application/", with: "application\u{0}/"),
      #"{"payload":"AQID","payloadType":"\#(type)","signatures":[]}"#,
      #"{"payload":"AQID","payloadType":"\#(type)","signatures":[{"sig":""}]}"#,
      #"{"payload":"AQID","payloadType":"\#(type)"}"#,
    ]
    for text in hostile { #expect(refusal(keys, Array(text.utf8)) != nil, "\(text)") }
    let large = try Envelope([UInt8](repeating: 65, count: 12 * 1024 + 1), type: type, signedBy: [key]).encoded()
    #expect(refusal(keys, large) != nil)
    // 100,000 signatures are refused by their size, before one is looked at.
    let flood = Array(repeating: #"{"sig":"AA=="}"#, count: 100_000).joined(separator: ",")
    let text = #"{"payload":"AQID","payloadType":"\#(type)","signatures":[\#(flood)]}"#
    #expect(throws: EnvelopeFault.self) { try Envelope(reading: Array(text.utf8), within: .statement) }
  }

  /// 20,000 damaged envelopes of two signers: none opens with another payload.
  @Test func noDamagedEnvelopeOpensWithAnotherPayload() throws {
    let (first, second) = (try signingKey(), try signingKey())
    let keys = try TrustedKeys([first.publicKey, second.publicKey], threshold: 2, digests: digests)
    let payload = Array(#"{"schema":"x","id":"9f0c","n":12}"#.utf8)
    let good = try Envelope(payload, type: type, signedBy: [first, second]).encoded()
    var random = SeededGenerator(seed: 0x6473_7365)
    var opened = 0
    for _ in 0..<20_000 {
      var bytes = good
      for _ in 0...Int.random(in: 0...2, using: &random) { bytes.mutate(using: &random) }
      guard let envelope = try? Envelope(reading: bytes, within: .statement),
        let statement = try? keys.open(envelope, type: type, verifier: verifier)
      else { continue }
      opened += 1
      #expect(statement.payload == payload && statement.signers.count == 2)
    }
    // A changed hint or an escaped letter harms nothing, so some do open.
    #expect(opened > 0 && opened < 10_000, "\(opened)")
  }
}
