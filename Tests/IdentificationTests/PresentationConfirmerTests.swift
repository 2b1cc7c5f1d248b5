import Identification
import Testing

@Suite("Confirming a presentation")
struct PresentationConfirmerTests {
  private static let one = TagReading(uid: TagUID(em4100Digits: "67003b51c6"), technology: .em4100)
  private static let two = TagReading(uid: TagUID(em4100Digits: "0c000621a5"), technology: .em4100)
  private static let zeros = TagReading(uid: TagUID(em4100Digits: "0000000000"), technology: .em4100, isSuspect: true)
  private static let ones = TagReading(uid: TagUID(em4100Digits: "ffffffffff"), technology: .em4100, isSuspect: true)
  private static let phantom = TagReading(uid: TagUID(em4100Digits: "daef6fee2b"), technology: .em4100, isSuspect: true)

  /// Frames at these times, and what they and the silence until `end` amount to.
  private func events(
    _ frames: [(milliseconds: UInt64, reading: TagReading)], until end: UInt64 = 0,
    policy: PresentationConfirmer.Policy = .init(holdOffMilliseconds: 2000), reader: ReaderKind = .rdm6300
  ) -> [PresentationConfirmer.Event] {
    var confirmer = PresentationConfirmer(policy: policy, reader: reader)
    var events: [PresentationConfirmer.Event] = []
    for frame in frames { events += confirmer.observe(frame.reading, atNanoseconds: frame.milliseconds * 1_000_000) }
    return events + confirmer.advance(toNanoseconds: end * 1_000_000)
  }

  @Test func threeIdenticalFramesInTheWindowAreOnePresentation() {
    let frames: [(milliseconds: UInt64, reading: TagReading)] = (0..<20).map { (1000 + 65 * $0, Self.one) }
    #expect(events(Array(frames.prefix(2))) == [])
    #expect(events(frames) == [.presented(Self.one)])
    #expect(events(frames, until: 1000 + 65 * 19 + 2001) == [.presented(Self.one), .removed(Self.one.uid)])
  }

  @Test func framesTooFarApartProveNothing() {
    #expect(events([(0, Self.one), (201, Self.one), (402, Self.one)]) == [])
    #expect(events([(0, Self.one), (200, Self.one), (400, Self.one)]) == [.presented(Self.one)])
    // A window that slides: the first frame is too old, the last three are not.
    #expect(events([(0, Self.one), (300, Self.one), (500, Self.one), (600, Self.one)]) == [.presented(Self.one)])
  }

  @Test func theSameTagWithinTheHoldOffIsOnePresentation() {
    let frames: [(milliseconds: UInt64, reading: TagReading)] =
      [0, 65, 130, 1900, 1965, 2030].map { ($0, Self.one) }
    #expect(events(frames) == [.presented(Self.one)])
    let later: [(milliseconds: UInt64, reading: TagReading)] = [0, 65, 130, 2131, 2196, 2261].map { ($0, Self.one) }
    #expect(events(later) == [.presented(Self.one), .removed(Self.one.uid), .presented(Self.one)])
  }

  @Test func blankFramesNeverCountHoweverOften() {
    for blank in [Self.zeros, Self.ones] {
      let frames: [(milliseconds: UInt64, reading: TagReading)] = (0..<10).map { (65 * $0, blank) }
      #expect(events(frames) == Array(repeating: .refused(.blank), count: 10))
    }
  }

  @Test func aRandomIdentityNamesNobody() {
    let random = TagReading(uid: TagUID(em4100Digits: "08aabbcc"), technology: .iso14443A)
    #expect(events([(0, random), (65, random), (130, random)]) == Array(repeating: .refused(.random), count: 3))
    // The same bytes from a reader of another technology are a number like any other.
    let text = TagReading(uid: TagUID(em4100Digits: "08aabbcc"), technology: .text)
    #expect(events([(0, text), (65, text), (130, text)]) == [.presented(text)])
  }

  @Test func twoTagsAtOnceAreAmbiguousAndTheLastNeverWins() {
    let alternating: [(milliseconds: UInt64, reading: TagReading)] =
      (0..<20).map { (65 * $0, $0 % 2 == 0 ? Self.one : Self.two) }
    #expect(events(alternating) == [.ambiguous])
    // Ambiguous until the field is quiet: one of them alone, right after, is not believed either.
    let andThenOne = alternating + (20..<40).map { (65 * $0, Self.one) }
    #expect(events(andThenOne) == [.ambiguous])
    let afterSilence = alternating + (0..<3).map { (65 * 19 + 2001 + 65 * $0, Self.one) }
    #expect(events(afterSilence) == [.ambiguous, .presented(Self.one)])
  }

  @Test func aSecondTagBesideThePresentOneIsAmbiguous() {
    let frames = [0, 65, 130].map { (UInt64($0), Self.one) } + [195, 260, 325].map { (UInt64($0), Self.two) }
    #expect(events(frames.map { ($0.0, $0.1) }) == [.presented(Self.one), .ambiguous])
  }

  @Test func aLonePhantomDisturbsNobody() {
    #expect(
      events([(0, Self.one), (30, Self.phantom), (65, Self.one), (130, Self.one), (195, Self.phantom)])
        == [.presented(Self.one)])
    #expect(events([(0, Self.phantom)], until: 5000) == [])
  }

  @Test func aShowerOfIdentitiesIsAmbiguousNotRemembered() {
    let shower = (0..<6).map { index in
      (UInt64(10 * index), TagReading(uid: TagUID(em4100Digits: "670000000\(index)"), technology: .em4100))
    }
    #expect(events(shower.map { ($0.0, $0.1) }) == [.ambiguous])
  }

  @Test func whereTheReaderSendsOnceOneFrameIsEnoughUnlessItIsSuspect() {
    let policy = PresentationConfirmer.Policy(holdOffMilliseconds: 2000)
    #expect(events([(0, Self.one)], policy: policy, reader: .id12la) == [.presented(Self.one)])
    #expect(events([(0, Self.phantom)], policy: policy, reader: .id12la) == [.refused(.unrepeatedSuspect)])
    var trusting = policy
    trusting.acceptsUnrepeatedSuspects = true
    #expect(events([(0, Self.phantom)], policy: trusting, reader: .id12la) == [.presented(Self.phantom)])
    #expect(
      events([(0, Self.one), (500, Self.two)], policy: policy, reader: .id12la) == [.presented(Self.one), .ambiguous])
  }

  @Test func anUnpluggedReaderForgetsWhoWasThere() {
    var confirmer = PresentationConfirmer(reader: .rdm6300)
    for time: UInt64 in [0, 65, 130] { _ = confirmer.observe(Self.one, atNanoseconds: time * 1_000_000) }
    #expect(confirmer.presentTag == Self.one.uid)
    confirmer.reset()
    #expect(confirmer.presentTag == nil)
    #expect(confirmer.observe(Self.one, atNanoseconds: 195_000_000) == [])
  }

  @Test func unconfirmedFramesAreCounted() {
    var confirmer = PresentationConfirmer(reader: .rdm6300)
    _ = confirmer.observe(Self.phantom, atNanoseconds: 0)
    _ = confirmer.observe(Self.phantom, atNanoseconds: 65_000_000)
    #expect(confirmer.unconfirmedFrameCount == 0)
    _ = confirmer.advance(toNanoseconds: 1_000_000_000)
    #expect(confirmer.unconfirmedFrameCount == 2)
  }
}
