import Foundation
import Provenance
import Testing

@Suite struct TimestampTests {
  private func instant(_ utc: Int64, monotonic: UInt64 = 0, boot: String = "a", synchronised: Bool = false) -> Timestamp
  {
    Timestamp(utcNanoseconds: utc, bootID: boot, monotonicNanoseconds: monotonic, synchronised: synchronised)
  }

  @Test func rfc3339AgreesWithFoundationOverFourCenturies() {
    let formatter = ISO8601DateFormatter()
    formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
    var seconds: Int64 = -6_000_000_000
    while seconds < 9_000_000_000 {
      let text = instant(seconds * 1_000_000_000 + 125_000_000).rfc3339
      #expect(text == formatter.string(from: Date(timeIntervalSince1970: Double(seconds) + 0.125)))
      seconds += 7_777_777
    }
  }

  @Test func extremesDoNotTrap() {
    #expect(instant(.min).rfc3339 == "1677-09-21T00:12:43.145Z")
    #expect(instant(.max).rfc3339 == "2262-04-11T23:47:16.854Z")
  }

  @Test func anInstantBeforeSynchronisationIsRedatedFromMonotonicTime() {
    let before = instant(5, monotonic: 10_000_000_000)
    let anchor = instant(1_800_000_000_000_000_000, monotonic: 70_000_000_000, synchronised: true)
    let redated = before.redated(by: anchor)
    #expect(redated?.utcNanoseconds == 1_799_999_940_000_000_000)
    #expect(redated?.monotonicNanoseconds == before.monotonicNanoseconds)
    #expect(redated?.synchronised == true)
  }

  @Test func redatingNeedsTheSameBootAndASynchronisedAnchor() {
    let before = instant(5, monotonic: 10)
    #expect(before.redated(by: instant(100, monotonic: 20, boot: "b", synchronised: true)) == nil)
    #expect(before.redated(by: instant(100, monotonic: 20)) == nil)
    #expect(before.redated(by: instant(.min, monotonic: .max, synchronised: true)) == nil)
  }
}

@Suite struct RandomIdentifierTests {
  private struct Constant: RandomNumberGenerator {
    var value: UInt64
    mutating func next() -> UInt64 { value }
  }

  @Test func versionAndVariantBitsAreThoseOfRFC9562() {
    var ones = Constant(value: .max)
    #expect(RandomIdentifier(using: &ones).description == "ffffffff-ffff-4fff-bfff-ffffffffffff")
    var zeros = Constant(value: 0)
    #expect(RandomIdentifier(using: &zeros).description == "00000000-0000-4000-8000-000000000000")
  }

  @Test func textAgreesWithFoundationBothWays() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<100 {
      let identifier = RandomIdentifier(using: &generator)
      #expect(UUID(uuidString: identifier.description)?.uuidString.lowercased() == identifier.description)
      #expect(RandomIdentifier(identifier.description.uppercased()) == identifier)
    }
  }

  @Test(arguments: [
    "", "0", "9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a1", "9f0c1c9e_5f0e-4b52-8a0e-0c4b1a4f9a11",
    "9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9g11", "9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a111",
  ])
  func otherTextIsRefused(text: String) {
    #expect(RandomIdentifier(text) == nil)
  }

  @Test func hexadecimalGoesBothWaysAndRefusesOddOrForeignDigits() {
    #expect(Hexadecimal.text(of: [0, 9, 0xAF, 0xFF]) == "0009afff")
    #expect(Hexadecimal.bytes(of: "0009aFFf") == [0, 9, 0xAF, 0xFF])
    #expect(Hexadecimal.bytes(of: "abc") == nil)
    #expect(Hexadecimal.bytes(of: "g0") == nil)
  }

  /// Certificates end when they like: beyond the nanoseconds of a `Timestamp`, and at RFC 5280's "no end".
  @Test func datesBeyondTheNanosecondsAreDates() {
    #expect(CivilDate(secondsSinceEpoch: 253_402_300_799).text == "9999-12-31")
    #expect(CivilDate(secondsSinceEpoch: 9_224_318_016).text == "2262-04-22")
    #expect(CivilDate(secondsSinceEpoch: 0).text == "1970-01-01")
    #expect(CivilDate(secondsSinceEpoch: -1).text == "1969-12-31")
    #expect(CivilDate(secondsSinceEpoch: .max).text == "9999-12-31")
    #expect(CivilDate(secondsSinceEpoch: .min).text == "0001-01-01")
  }
}
