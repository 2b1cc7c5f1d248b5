import Provenance
import Storage
import Testing
import Trust

@Suite struct PublicKeyTests {
  /// Encodings of points whose order divides 8, canonical and not, with either sign bit: the lists of "Taming the many
  /// EdDSAs" (Chalkias et al. 2020, table 1) and of libsodium's `ge25519_has_small_order`.
  static let weak = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  ]

  @Test(arguments: weak) func weakPointsAreNoKeys(point: String) throws {
    let bytes = try #require(Hexadecimal.bytes(of: point))
    guard case .weakPoint = #expect(throws: KeyFault.self, performing: { try PublicKey(.ed25519, bytes: bytes) }) else {
      Issue.record("\(point) is refused for another reason")
      return
    }
  }

  /// All 38 encodings whose y is not below the prime.
  @Test func everyEncodingBeyondThePrimeIsRefused() {
    for low in UInt8(0xED)...0xFF {
      for high: UInt8 in [0x7F, 0xFF] {
        let bytes = [low] + [UInt8](repeating: 0xFF, count: 30) + [high]
        #expect(throws: KeyFault.self) { try PublicKey(.ed25519, bytes: bytes) }
      }
    }
    // The greatest y below it is of small order; the one below that is none of these, on the curve or not.
    let below = [0xEB] + [UInt8](repeating: 0xFF, count: 30) + [0x7F]
    #expect(throws: Never.self) { try PublicKey(.ed25519, bytes: below) }
  }

  /// RFC 8032 section 7.1, TEST 1, as `openssl pkey -pubout` writes it.
  @Test func pemAndDERAreOneForm() throws {
    let bytes = try #require(
      Hexadecimal.bytes(of: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    let key = try PublicKey(.ed25519, bytes: bytes)
    let pem = """
      -----BEGIN PUBLIC KEY-----
      MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
      -----END PUBLIC KEY-----

      """
    #expect(key.pem == pem)
    #expect(try PublicKey(pem: pem) == key)
    #expect(try PublicKey(pem: pem.replacing("\n", with: "\r\n")) == key)
    #expect(try PublicKey(der: key.der) == key)
    #expect(key.identifier(OpenSSLDigests()).utf8.count == 64)
  }

  @Test func otherFormsAreRefused() throws {
    let bytes = try #require(
      Hexadecimal.bytes(of: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    let key = try PublicKey(.ed25519, bytes: bytes)
    for pem in [
      "", "x", key.pem + key.pem, "key:\n" + key.pem, key.pem.replacing("PUBLIC", with: "PRIVATE"),
      key.pem.replacing("MCow", with: "MCoX"), key.pem.replacing("=", with: ""), key.pem.replacing("Ro=", with: "Rp="),
      String(repeating: "A", count: 5000),
    ] {
      #expect(throws: KeyFault.self, "\(pem)") { try PublicKey(pem: pem) }
    }
    #expect(throws: KeyFault.self) { try PublicKey(der: key.der + [0]) }
    #expect(throws: KeyFault.self) { try PublicKey(der: key.der.dropLast()) }
    #expect(throws: KeyFault.self) { try PublicKey(.ed25519, bytes: bytes + [0]) }
    #expect(throws: KeyFault.self) { try PublicKey(.ecdsaP256, bytes: bytes) }
    #expect(throws: KeyFault.self) { try PublicKey(.ecdsaP256, bytes: [2] + [UInt8](repeating: 1, count: 64)) }
    #expect(throws: KeyFault.self) { try PublicKey(.ecdsaP256, bytes: []) }
  }
}
