import Identification
import Provenance
import Testing

@Suite("Patient references")
struct PatientReferenceTests {
  /// Stands in for libcrypto: answers a fixed 32 bytes and remembers what it was asked, so that the encoding is checked
  /// here and the hash where it is implemented.
  private struct FixedDigests: MessageDigests {
    var answer: [UInt8]
    func sha256(_ message: [UInt8]) -> [UInt8] { [] }
    func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] {
      #expect(key == [1, 2, 3])
      #expect(message == [0x67, 0x00, 0x3B, 0x51, 0xC6])
      return answer
    }
    func scrypt(_ secret: [UInt8], salt: [UInt8], cost: Int, byteCount: Int) -> [UInt8] { [] }
  }

  /// Answers scrypt, and is asked for the salt.
  private struct ScryptDigests: MessageDigests {
    func sha256(_ message: [UInt8]) -> [UInt8] { [] }
    func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] { key + message }
    func scrypt(_ secret: [UInt8], salt: [UInt8], cost: Int, byteCount: Int) -> [UInt8] {
      #expect(secret == [0x67, 0x00, 0x3B, 0x51, 0xC6])
      #expect(salt == [1, 2, 3] + Array("thermograph patient reference 2".utf8))
      #expect(cost == 8192 && byteCount == 16)
      return Array("foobar".utf8) + [UInt8](repeating: 0, count: 10)
    }
  }

  @Test func version2IsScryptOverASaltOfTheSite() {
    let uid = TagUID(em4100Digits: "67003b51c6")
    #expect(
      PatientReference(tag: uid, siteKey: [1, 2, 3], digests: ScryptDigests()).text == "mzxw6ytboiaaaaaaaaaaaaaaaa")
  }

  @Test func sixteenBytesBecomeTwentySixLowerCaseCharacters() {
    // RFC 4648 section 10: BASE32("foobar") is MZXW6YTBOI======; here with ten zero bytes behind it, cut at sixteen.
    let answer = Array("foobar".utf8) + [UInt8](repeating: 0, count: 10) + [UInt8](repeating: 0xFF, count: 16)
    let uid = TagUID(em4100Digits: "67003b51c6")
    let reference = PatientReference(
      tag: uid, siteKey: [1, 2, 3], version: .hmac, digests: FixedDigests(answer: answer))
    #expect(reference.text == "mzxw6ytboiaaaaaaaaaaaaaaaa")
    #expect(PatientReference(reference.text) == reference)
  }

  @Test func bothHalvesOfTheAlphabetAreReached() {
    // The values 6 to 31 in five bits each, the last cut to its upper three: 31 becomes 28. Checked with Python's
    // base64.b32encode.
    let bytes: [UInt8] = [
      0x31, 0xD0, 0x95, 0x2D, 0x8D, 0x73, 0xE1, 0x19, 0x4E, 0x95, 0xB5, 0xF1, 0x9D, 0x6F, 0x9D, 0xF7,
    ]
    let uid = TagUID(em4100Digits: "67003b51c6")
    let digests = FixedDigests(answer: bytes + [UInt8](repeating: 0, count: 16))
    #expect(
      PatientReference(tag: uid, siteKey: [1, 2, 3], version: .hmac, digests: digests).text
        == "ghijklmnopqrstuvwxyz234564")
  }

  @Test func rosterIdentifiersAreShortLowerCaseAndPlain() {
    #expect(PatientReference("ward-7-0042")?.text == "ward-7-0042")
    for text in ["", "Ward", "a b", "é", "a/b", String(repeating: "a", count: 37)] {
      #expect(PatientReference(text) == nil, "\(text)")
    }
  }

  @Test func aUIDHidesItselfFromEveryPrinter() {
    let uid = TagUID(em4100Digits: "67003b51c6")
    let reading = TagReading(uid: uid, technology: .em4100)
    for text in ["\(uid)", String(reflecting: uid), "\(reading)", String(reflecting: reading), "\([uid: 1])"] {
      #expect(!text.contains("67") && text.contains("hidden"))
    }
    var dumped = ""
    dump(reading, to: &dumped)
    #expect(!dumped.contains("high") && dumped.contains("hidden"))
  }

  @Test func aUIDKeepsItsBytesAndItsLength() {
    for count in 1...16 {
      let bytes = (0..<count).map { UInt8($0 * 17) }
      #expect(TagUID(bytes: bytes)?.bytes == bytes)
    }
    #expect(TagUID(bytes: [UInt8]()) == nil)
    #expect(TagUID(bytes: [UInt8](repeating: 1, count: 17)) == nil)
    #expect(TagUID(bytes: [0, 1]) != TagUID(bytes: [0, 1, 0]))
  }

  @Test(arguments: 1...16) func blankMeansEveryBitTheSame(count: Int) {
    #expect(TagUID(bytes: [UInt8](repeating: 0, count: count))?.isBlank == true)
    #expect(TagUID(bytes: [UInt8](repeating: 0xFF, count: count))?.isBlank == true)
    var one = [UInt8](repeating: 0, count: count)
    one[count - 1] = 1
    #expect(TagUID(bytes: one)?.isBlank == false)
    var hole = [UInt8](repeating: 0xFF, count: count)
    hole[count - 1] = 0xFE
    #expect(TagUID(bytes: hole)?.isBlank == false)
  }
}
