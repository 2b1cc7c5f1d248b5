import Foundation
import Provenance
import TestSupport
import Testing

@testable import Storage

@Suite struct DigestTests {
  private let digests = OpenSSLDigests()

  /// FIPS 180-4 examples (NIST "SHA256.pdf") and the empty message.
  @Test func sha256MatchesPublishedVectors() {
    #expect(
      Hexadecimal.text(of: digests.sha256(Array("abc".utf8)))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      Hexadecimal.text(of: digests.sha256([]))
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      Hexadecimal.text(of: digests.sha256(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
  }

  /// RFC 7914 section 12, the vector with r = 8 and p = 1 that fits the bound of memory.
  @Test func scryptMatchesThePublishedVector() {
    #expect(
      Hexadecimal.text(
        of: digests.scrypt(
          Array("pleaseletmein".utf8), salt: Array("SodiumChloride".utf8), cost: 16_384, byteCount: 64))
        == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        + "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")
  }

  /// RFC 4231 test cases 1, 2 and 6 (a key longer than the block), and an empty key.
  @Test func hmacMatchesPublishedVectors() {
    #expect(
      Hexadecimal.text(
        of: digests.hmacSHA256(key: [UInt8](repeating: 0x0B, count: 20), message: Array("Hi There".utf8)))
        == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    #expect(
      Hexadecimal.text(
        of: digests.hmacSHA256(key: Array("Jefe".utf8), message: Array("what do ya want for nothing?".utf8)))
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      Hexadecimal.text(
        of: digests.hmacSHA256(
          key: [UInt8](repeating: 0xAA, count: 131),
          message: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)))
        == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    #expect(
      Hexadecimal.text(of: digests.hmacSHA256(key: [], message: []))
        == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
  }
}

@Suite struct PayloadCipherTests {
  /// A generator that yields given words, so that a published nonce can be used.
  private struct ScriptedGenerator: RandomNumberGenerator {
    var words: [UInt64]
    mutating func next() -> UInt64 { words.removeFirst() }
  }

  /// Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation" (AES-256, with associated data).
  @Test func sealMatchesPublishedVector() throws {
    let keyBytes = try #require(
      Hexadecimal.bytes(of: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"))
    let key = try #require(SealingKey(bytes: keyBytes, digests: OpenSSLDigests()))
    // Nonce cafebabefacedbaddecaf888, little-endian words.
    let generator = ScriptedGenerator(words: [0xADDB_CEFA_BEBA_FECA, 0x0000_0000_88F8_CADE])
    let cipher = try PayloadCipher(generator: generator)
    let plain = try #require(
      Hexadecimal.bytes(
        of: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"))
    let associated = try #require(Hexadecimal.bytes(of: "feedfacedeadbeeffeedfacedeadbeefabaddad2"))
    let sealed = try cipher.seal(plain, associatedData: associated, key: key)
    #expect(
      Hexadecimal.text(of: sealed) == "cafebabefacedbaddecaf888"
        + "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" + "76fc6ece0f4e1768cddf8853bb2d551b")
    #expect(try cipher.open(sealed, associatedData: associated, key: key) == plain)
  }

  @Test func everyFlippedBitIsFound() throws {
    let key = try makeKey()
    let cipher = try PayloadCipher()
    let sealed = try cipher.seal(noise(40, seed: 1), associatedData: [1, 2, 3], key: key)
    for bit in 0..<(sealed.count * 8) {
      var damaged = sealed
      damaged[bit / 8] ^= 1 << (bit % 8)
      #expect(throws: SealingError.notAuthentic) {
        try cipher.open(damaged, associatedData: [1, 2, 3], key: key)
      }
    }
    for count in 0..<sealed.count {
      #expect(throws: SealingError.notAuthentic) {
        try cipher.open(Array(sealed[..<count]), associatedData: [1, 2, 3], key: key)
      }
    }
    #expect(throws: SealingError.notAuthentic) { try cipher.open(sealed, associatedData: [1, 2, 4], key: key) }
    let other = try makeKey()
    #expect(throws: SealingError.notAuthentic) { try cipher.open(sealed, associatedData: [1, 2, 3], key: other) }
  }

  @Test(arguments: [0, 1, 15, 16, 17, 4096, 100_000])
  func anyLengthComesBack(count: Int) throws {
    let key = try makeKey()
    let cipher = try PayloadCipher()
    let plain = noise(count, seed: 2)
    let sealed = try cipher.seal(plain, associatedData: [], key: key)
    #expect(sealed.count == count + PayloadCipher.overheadBytes)
    #expect(try cipher.open(sealed, associatedData: [], key: key) == plain)
    #expect(try cipher.seal(plain, associatedData: [], key: key) != sealed, "a nonce was used twice")
  }
}

@Suite struct KeyFileTests {
  private let digests = OpenSSLDigests()

  @Test func createdKeyLoadsAndIsPrivate() throws {
    let scratch = try ScratchFolder(inMemory: true)
    var generator = SystemRandomNumberGenerator()
    let made = try KeyFile.create(path: scratch.file("key"), digests: digests, using: &generator)
    let loaded = try KeyFile.load(path: scratch.file("key"), digests: digests)
    #expect(made.id == loaded.id)
    let mode = try FileManager.default.attributesOfItem(atPath: scratch.file("key"))[.posixPermissions] as? Int
    #expect(mode == 0o600)
    #expect(throws: KeyFileError.self) {
      try KeyFile.create(path: scratch.file("key"), digests: digests, using: &generator)
    }
    #expect(!String(reflecting: loaded).contains(where: { "{[".contains($0) }))
  }

  @Test func threeFormsAreOneKey() throws {
    let bytes = noise(32, seed: 3)
    let forms = [
      bytes, Array((Hexadecimal.text(of: bytes) + "\n").utf8), Array(Data(bytes).base64EncodedString().utf8),
    ]
    for form in forms { #expect(KeyFile.key(in: form) == bytes) }
    for bad in [
      Array(bytes.dropLast()), bytes + [0], Array("g".utf8) + Array(Hexadecimal.text(of: bytes).utf8.dropFirst()),
    ] {
      #expect(KeyFile.key(in: bad) == nil)
    }
  }

  @Test func faultsAreNamed() throws {
    let scratch = try ScratchFolder(inMemory: true)
    let path = scratch.file("key")
    #expect(throws: KeyFileError(path: path, .open(ENOENT))) { try KeyFile.load(path: path, digests: digests) }
    var generator = SystemRandomNumberGenerator()
    _ = try KeyFile.create(path: path, digests: digests, using: &generator)
    chmod(path, 0o640)
    #expect(throws: KeyFileError(path: path, .mode(0o640))) { try KeyFile.load(path: path, digests: digests) }
    // A credential's readable group is the mask of systemd's access list; a writable group or readable others are not.
    #expect(throws: Never.self) { try KeyFile.load(path: path, digests: digests, requirePrivate: false) }
    for mode in [0o660, 0o604] as [mode_t] {
      chmod(path, mode)
      #expect(throws: KeyFileError(path: path, .mode(UInt32(mode)))) {
        try KeyFile.load(path: path, digests: digests, requirePrivate: false)
      }
    }
    chmod(path, 0o600)
    try Data(noise(31, seed: 4)).write(to: URL(fileURLWithPath: path))
    chmod(path, 0o600)
    let error = #expect(throws: KeyFileError(path: path, .content(byteCount: 31))) {
      try KeyFile.load(path: path, digests: digests)
    }
    #expect(
      error?.description == "key file \(path): 31 bytes are no key; expected 32 raw bytes, 64 hexadecimal digits or "
        + "base64 of 32 bytes")
    #expect(throws: KeyFileError(path: scratch.path, .notAFile)) {
      try KeyFile.load(path: scratch.path, digests: digests)
    }
  }

  /// A technician who is root looks at the service's keys; what somebody else laid beside them is no key of the device.
  @Test(.enabled(if: geteuid() == 0, "needs root, to give files away")) func rootReadsTheKeysOfTheServicesFolder()
    throws
  {
    let scratch = try ScratchFolder(inMemory: true)
    let path = scratch.file("key")
    var generator = SystemRandomNumberGenerator()
    let key = try KeyFile.create(path: path, digests: digests, using: &generator)
    let (service, stranger) = (uid_t(63_001), uid_t(63_002))
    try #require(chown(scratch.path, service, 0) == 0 && chown(path, service, 0) == 0)
    #expect(try KeyFile.load(path: path, digests: digests).id == key.id)
    try #require(chown(path, stranger, 0) == 0)
    #expect(throws: KeyFileError(path: path, .owner(uid: stranger))) { try KeyFile.load(path: path, digests: digests) }
    // Of a folder of root's a stranger's file is none either.
    try #require(chown(scratch.path, 0, 0) == 0)
    #expect(throws: KeyFileError(path: path, .owner(uid: stranger))) { try KeyFile.load(path: path, digests: digests) }
  }

  @Test func erasedKeyIsGone() throws {
    let scratch = try ScratchFolder(inMemory: true)
    var generator = SystemRandomNumberGenerator()
    let key = try KeyFile.loadOrCreate(path: scratch.file("key"), digests: digests, using: &generator)
    #expect(try KeyFile.loadOrCreate(path: scratch.file("key"), digests: digests, using: &generator).id == key.id)
    try KeyFile.erase(path: scratch.file("key"))
    #expect(!FileManager.default.fileExists(atPath: scratch.file("key")))
  }
}
