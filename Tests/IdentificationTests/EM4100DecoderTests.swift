import Identification
import Provenance
import Testing

@Suite("EM4100 ASCII frames")
struct EM4100DecoderTests {
  private static func layout(_ name: String) -> EM4100Decoder.Layout { name == "id12la" ? .id12la : .rdm6300 }

  @Test func publishedFramesDecodeOrAreRejectedByTheirChecksum() throws {
    let frames = try ReaderFrames.load().em4100.frames
    #expect(frames.count >= 3)
    for frame in frames {
      var decoder = EM4100Decoder(layout: Self.layout(frame.layout))
      let events = decoder.decode(hex(frame.raw_hex))
      if frame.valid {
        let uid = try #require(TagUID(bytes: hex(frame.tag40_hex)))
        #expect(events == [.reading(TagReading(uid: uid, technology: .em4100))], "\(frame.source)")
      } else {
        #expect(events == [.reject(FrameReject(.badChecksum, byteCount: 14))], "\(frame.source)")
      }
    }
  }

  @Test func publishedPhantomsPassTheirChecksumAndAreSuspect() throws {
    let published = try ReaderFrames.load().em4100.phantoms.map { $0.raw_hex }
    // The other five of the same report, framed by the layout's rule: digits as ASCII between start and end.
    let digits = ["F000060007F1", "B59A99E5A9FA", "4FFB388FFFFC", "DA9386B5EA90", "DAEF6FEE2B9F"]
    let frames = published.map { hex($0) } + digits.map { [0x02] + Array($0.utf8) + [0x03] }
    #expect(frames.count == 8)
    for frame in frames {
      var decoder = EM4100Decoder(layout: .rdm6300)
      let events = decoder.decode(frame)
      guard case .reading(let reading) = events.first, events.count == 1 else {
        Issue.record("expected one reading, got \(events)")
        continue
      }
      #expect(reading.isSuspect)
    }
  }

  @Test func everyPrintedNumberFormatIsShown() throws {
    for frame in try ReaderFrames.load().em4100.frames where frame.valid {
      let reading = TagReading(uid: try #require(TagUID(bytes: hex(frame.tag40_hex))), technology: .em4100)
      #expect(reading.numberFormats.contains("em4100 \(frame.tag40_hex.lowercased())  hex8 "))
      #expect(reading.numberFormats.contains("decimal \(frame.decimal10)  wiegand26 \(frame.wiegand26)"))
    }
  }

  @Test func publishedStreamsDecodeAcrossTheirPieces() throws {
    for stream in try ReaderFrames.load().em4100.streams {
      var decoder = EM4100Decoder(layout: .rdm6300)
      let uids = stream.chunks_hex.flatMap { decoder.decode(hex($0)) }.compactMap(\.uidText)
      #expect(uids == stream.expect.map { $0.lowercased() }, "\(stream.name)")
    }
  }

  @Test func eachKindOfDamageIsRejectedWithItsReason() {
    let good = "02 36373030334235314336 4342 03"
    let table: [(String, EM4100Decoder.Layout, [DecoderEvent])] = [
      ("02 03", .rdm6300, [.reject(FrameReject(.notADigit, byteCount: 2))]),
      ("AA BB CC 02 36", .rdm6300, [.reject(FrameReject(.noise, byteCount: 3))]),
      ("02 3637 " + good, .rdm6300, [.reject(FrameReject(.restarted, byteCount: 3)), .goodTag]),
      ("02 36 47", .rdm6300, [.reject(FrameReject(.notADigit, byteCount: 3))]),
      ("02 36 00", .rdm6300, [.reject(FrameReject(.notADigit, byteCount: 3))]),
      ("02 36373030334235314336 4342 04", .rdm6300, [.reject(FrameReject(.badEnd, byteCount: 14))]),
      // The other reader's layout: neither takes the other's frame.
      ("02 36373030334235314336 4342 0D0A 03", .rdm6300, [.reject(FrameReject(.badEnd, byteCount: 14))]),
      (good, .id12la, [.reject(FrameReject(.badEnd, byteCount: 14))]),
      ("02 36373030334235314336 4342 0D0D 03", .id12la, [.reject(FrameReject(.badEnd, byteCount: 15))]),
      ("02 36373030334235314336 4342 0D0A 03", .id12la, [.goodTag]),
      (good + good, .rdm6300, [.goodTag, .goodTag]),
      ("", .rdm6300, []),
    ]
    for (bytes, layout, expected) in table {
      var decoder = EM4100Decoder(layout: layout)
      #expect(decoder.decode(hex(bytes)) == expected, "\(bytes)")
    }
  }

  @Test func silenceBreaksAHalfFrameOff() {
    var decoder = EM4100Decoder(layout: .rdm6300)
    #expect(decoder.decode(hex("02 3637")) == [])
    #expect(decoder.endOfBurst() == [.reject(FrameReject(.truncated, byteCount: 3))])
    // The rest of it, arriving late, is noise and completes nothing.
    #expect(decoder.decode(hex("30303342353143364342 03")) == [])
    #expect(decoder.endOfBurst() == [.reject(FrameReject(.noise, byteCount: 11))])
    #expect(decoder.endOfBurst() == [])
  }

  @Test func aFloodWithoutAFrameIsReportedInPieces() {
    var decoder = EM4100Decoder(layout: .rdm6300)
    let events = decoder.decode([UInt8](repeating: 0x55, count: 2500))
    #expect(events == [.reject(FrameReject(.noise, byteCount: 1024)), .reject(FrameReject(.noise, byteCount: 1024))])
    #expect(decoder.endOfBurst() == [.reject(FrameReject(.noise, byteCount: 452))])
  }

  @Test func rejectsHoldNoDigitOfTheFrame() {
    var decoder = EM4100Decoder(layout: .rdm6300)
    let events = decoder.decode(hex("02 36383030334235314336 4342 03"))
    #expect("\(events)".contains("checksum does not match"))
    #expect(!"\(events)".contains("68003b51c6") && !"\(events)".uppercased().contains("68003B51C6"))
  }

  /// Whatever the bytes, a UID comes out only if a frame with that very UID and its checksum is in them, and however
  /// the bytes are cut up, the same comes out.
  @Test(arguments: [EM4100Decoder.Layout.rdm6300, .id12la])
  func noiseNeverYieldsAUIDThatIsNotInTheBytes(layout: EM4100Decoder.Layout) {
    var generator = SeededGenerator(seed: 42)
    var readingCount = 0
    for _ in 0..<400 {
      let bytes = Self.corruptedStream(layout, &generator)
      var whole = EM4100Decoder(layout: layout)
      let events = whole.decode(bytes) + whole.endOfBurst()
      for uid in events.compactMap(\.uidText) {
        readingCount += 1
        let digits = Array(uid.uppercased().utf8)
        let checksum = hex(uid).reduce(0) { $0 ^ $1 }
        let tail: [UInt8] = layout == .id12la ? [0x0D, 0x0A, 0x03] : [0x03]
        let frame = [0x02] + digits + Array(Hexadecimal.text(of: [checksum]).uppercased().utf8) + tail
        #expect(bytes.contains(run: frame))
      }
      let accounted = events.reduce(0) { $0 + $1.byteCount(frame: layout == .id12la ? 16 : 14) }
      #expect(accounted == bytes.count)

      var pieces = EM4100Decoder(layout: layout)
      var rest = bytes[...]
      var pieceEvents: [DecoderEvent] = []
      while !rest.isEmpty {
        let count = Int.random(in: 1...9, using: &generator)
        pieceEvents += pieces.decode(Array(rest.prefix(count)))
        rest = rest.dropFirst(count)
      }
      #expect(pieceEvents + pieces.endOfBurst() == events)
    }
    #expect(readingCount > 100)
  }

  /// Frames of random tags with bytes flipped, dropped, doubled, and noise between them. Digits are upper case, so that
  /// what comes out can be looked for in what went in.
  private static func corruptedStream(
    _ layout: EM4100Decoder.Layout, _ generator: inout SeededGenerator
  ) -> [UInt8] {
    var stream: [UInt8] = []
    for _ in 0..<8 {
      let uid = (0..<5).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let text = Hexadecimal.text(of: uid + [uid.reduce(0) { $0 ^ $1 }]).uppercased()
      var frame = [0x02] + Array(text.utf8) + (layout == .id12la ? [0x0D, 0x0A, 0x03] : [0x03])
      switch Int.random(in: 0..<6, using: &generator) {
      case 0: frame[Int.random(in: frame.indices, using: &generator)] ^= 1 << UInt8.random(in: 0...4, using: &generator)
      case 1: frame.remove(at: Int.random(in: frame.indices, using: &generator))
      case 2: frame.removeLast(Int.random(in: 1..<frame.count, using: &generator))
      case 3: stream += (0..<5).map { _ in UInt8.random(in: 0...255, using: &generator) }
      default: break
      }
      // A flipped case bit makes a lower-case digit, which is a digit; keep those out of the search above.
      stream += frame.map { (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0) ? 0x7F : $0 }
    }
    return stream
  }
}

extension DecoderEvent {
  static let goodTag = DecoderEvent.reading(
    TagReading(uid: TagUID(em4100Digits: "67003b51c6"), technology: .em4100))

  var uidText: String? {
    if case .reading(let reading) = self { Hexadecimal.text(of: reading.uid.bytes) } else { nil }
  }

  /// How many bytes of the stream this event accounts for.
  func byteCount(frame: Int) -> Int {
    switch self {
    case .reading, .otherFrame: frame
    case .reject(let reject): reject.byteCount
    }
  }
}

extension TagUID {
  /// A UID that a test wrote itself.
  init(em4100Digits text: String) {
    guard let uid = TagUID(bytes: hex(text)) else { preconditionFailure("a test's UID must be valid: \(text)") }
    self = uid
  }
}

extension [UInt8] {
  func contains(run: [UInt8]) -> Bool {
    guard run.count <= count else { return false }
    return (0...(count - run.count)).contains { self[$0..<$0 + run.count].elementsEqual(run) }
  }
}
