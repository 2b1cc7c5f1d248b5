import COpenSSL
import Cryptography
import Provenance
import Storage
import Testing
import Trust

/// One vector of RFC 8032 section 7.1.
struct Vector: Sendable, CustomTestStringConvertible {
  let name: String
  let secret: String
  let publicKey: String
  let message: String
  let signature: String
  var testDescription: String { name }
}

private let vectors = [
  Vector(
    name: "TEST 1", secret: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", message: "",
    signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
      + "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
  Vector(
    name: "TEST 2", secret: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", message: "72",
    signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
      + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
  Vector(
    name: "TEST 3", secret: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", message: "af82",
    signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
      + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
  Vector(
    name: "TEST SHA(abc)", secret: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    publicKey: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    message: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    signature: "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
      + "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
]

private func bytes(_ digits: String) throws -> [UInt8] { try #require(Hexadecimal.bytes(of: digits)) }

/// PKCS #8 (RFC 8410 section 7) of a secret of 32 bytes.
private func pem(secret: [UInt8]) -> [UInt8] {
  let der = [0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20] + secret
  return Array("-----BEGIN PRIVATE KEY-----\n\(Base64Text.text(of: der))\n-----END PRIVATE KEY-----\n".utf8)
}

@Suite struct SignatureTests {
  @Test(arguments: vectors) func vectorsOfRFC8032(vector: Vector) throws {
    let signer = try SigningKey(pem: pem(secret: try bytes(vector.secret)), digests: OpenSSLDigests())
    let key = try PublicKey(.ed25519, bytes: try bytes(vector.publicKey))
    let (message, signature) = (try bytes(vector.message), try bytes(vector.signature))
    #expect(signer.publicKey == key)
    #expect(try signer.sign(message) == signature)
    #expect(OpenSSLVerifier().isValid(signature, of: message, by: key))
    #expect(!OpenSSLVerifier().isValid(signature, of: message + [0], by: key))
    for bit in 0..<512 {
      var changed = signature
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!OpenSSLVerifier().isValid(changed, of: message, by: key), "bit \(bit)")
    }
    for count in [0, 1, 63, 65, 128] {
      #expect(!OpenSSLVerifier().isValid(Array((signature + signature).prefix(count)), of: message, by: key))
    }
  }

  /// S + L signs the same in careless implementations (RFC 8032 section 5.1.7).
  @Test func aSignatureHasOneForm() throws {
    let vector = vectors[1]
    let order = try bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
    var (signature, carry) = (try bytes(vector.signature), 0)
    for index in 0..<32 {
      carry += Int(signature[32 + index]) + Int(order[index])
      signature[32 + index] = UInt8(carry & 0xFF)
      carry >>= 8
    }
    let key = try PublicKey(.ed25519, bytes: try bytes(vector.publicKey))
    #expect(!OpenSSLVerifier().isValid(signature, of: try bytes(vector.message), by: key))
  }

  /// Why weak points must be refused before libcrypto sees them: under the neutral element it takes one signature for
  /// every message.
  @Test func libcryptoTakesAnyMessageUnderTheNeutralElement() throws {
    let neutral = [1] + [UInt8](repeating: 0, count: 31)
    let der = [0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 3, 0x21, 0] + neutral
    let signature = neutral + [UInt8](repeating: 0, count: 32)
    for message in [[1], [2, 3], Array("free everything".utf8)] as [[UInt8]] {
      #expect(
        tg_signature_verify(der, der.count, message, message.count, signature, signature.count) == TG_CRYPTO_OK)
    }
    #expect(throws: KeyFault.self) { try PublicKey(der: der) }
  }

  @Test func pointsBesideTheCurveVerifyNothing() throws {
    let point = [4] + [UInt8](repeating: 1, count: 64)
    let key = try PublicKey(.ecdsaP256, bytes: point)
    // r = s = 1.
    #expect(!OpenSSLVerifier().isValid([0x30, 6, 2, 1, 1, 2, 1, 1], of: [1], by: key))
    // 2 is the y of no point of edwards25519.
    let off = try PublicKey(.ed25519, bytes: [2] + [UInt8](repeating: 0, count: 31))
    #expect(!OpenSSLVerifier().isValid([1] + [UInt8](repeating: 0, count: 63), of: [1], by: off))
  }

  @Test func newKeysDifferAndSign() throws {
    let (first, second) = (try SigningKey.make(), try SigningKey.make())
    #expect(first != second)
    let signer = try SigningKey(pem: first, digests: OpenSSLDigests())
    #expect(signer.publicKey.kind == .ed25519)
    #expect(OpenSSLVerifier().isValid(try signer.sign([1]), of: [1], by: signer.publicKey))
    #expect(signer.keyIdentifier == signer.publicKey.identifier(OpenSSLDigests()))
  }

  @Test func otherTextsAreNoSigningKeys() throws {
    let pem = String(decoding: try SigningKey.make(), as: UTF8.self)
    let publicPEM = try SigningKey(pem: Array(pem.utf8), digests: OpenSSLDigests()).publicKey.pem
    let texts = [
      "", "x", publicPEM, pem.replacing("MC4", with: "MC5"), String(pem.dropLast(40)), String(pem.dropFirst(3)),
    ]
    for text in texts {
      #expect(throws: SigningFault.self) { try SigningKey(pem: Array(text.utf8), digests: OpenSSLDigests()) }
    }
  }
}
