import Identification
import Provenance
import Testing

@Suite("PN532 frames and targets")
struct PN532DecoderTests {
  private func events(_ bytes: [UInt8], endOfBurst: Bool = true) -> [PN532FrameDecoder.Event] {
    var decoder = PN532FrameDecoder()
    var events: [PN532FrameDecoder.Event] = []
    bytes.withUnsafeBytes { buffer in decoder.decode(buffer) { events.append($0) } }
    if endOfBurst { decoder.endOfBurst { events.append($0) } }
    return events
  }

  @Test func publishedFramesDecode() throws {
    let frames = try ReaderFrames.load().pn532.frames
    #expect(frames.count >= 10)
    for frame in frames {
      let expected: PN532Frame =
        switch frame.kind {
        case "ack": .acknowledge
        case "error": .syntaxError
        default: .information(hex(frame.payload_hex ?? ""))
        }
      #expect(events(hex(frame.hex)) == [.frame(expected)], "\(frame.hex)")
      #expect(expected.wireBytes == hex(frame.hex), "\(frame.hex)")
    }
  }

  @Test func publishedWakeUpIsNoFrame() throws {
    let wakeUp = hex(try ReaderFrames.load().pn532.wakeup_hex)
    let acknowledge = hex("0000FF00FF00")
    #expect(events(wakeUp + acknowledge) == [.reject(FrameReject(.noise, byteCount: 2)), .frame(.acknowledge)])
  }

  @Test func eachCheckIsMade() throws {
    let bad = try ReaderFrames.load().pn532.bad
    for frame in bad where frame.why == "length checksum" {
      #expect(events(hex(frame.hex)).first == .reject(FrameReject(.badLengthChecksum, byteCount: 4)))
    }
    let table: [(String, [PN532FrameDecoder.Event])] = [
      // The answer to GetFirmwareVersion with one bit of its data flipped: DCS.
      ("0000FF06FAD50332010606E800", [.reject(FrameReject(.badChecksum, byteCount: 11))]),
      // No length at all.
      ("0000FF0000", [.reject(FrameReject(.badLength, byteCount: 4))]),
      // Extended: length checksum, and more than the PN532 has.
      ("0000FFFFFF0103FD", [.reject(FrameReject(.badLengthChecksum, byteCount: 7))]),
      ("0000FFFFFF010AF5", [.reject(FrameReject(.badLength, byteCount: 7))]),
      ("0000FFFFFF0000", []),
      ("0000FFFF0000", [.frame(.negativeAcknowledge)]),
    ]
    for (bytes, expected) in table {
      let found = events(hex(bytes), endOfBurst: false).filter { $0 != .reject(FrameReject(.noise, byteCount: 1)) }
      #expect(found == expected, "\(bytes)")
    }
  }

  @Test func longInformationMakesExtendedFramesAndComesBack() {
    for count in [1, 254, 255, 256, 265] {
      let information = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 0xD5) }
      let wire = PN532Frame.information(information).wireBytes
      #expect(wire.count == count + (count > 255 ? 10 : 7))
      #expect(events(wire) == [.frame(.information(information))], "\(count)")
    }
  }

  @Test func aWholeFrameBehindABrokenOneIsFound() {
    let good = hex("0000FF03FDD54B00E000")
    let stumps = ["0000FF0AF6D54B0101", "0000FF06FAD50332010606E8", "00FF00FF0AF6", "0000FFFFFF0109F6D5", "FF00FF"]
    for stump in stumps {
      let found = events(hex(stump) + good)
      #expect(found.contains(.frame(.information(hex("D54B00")))), "\(stump)")
    }
    #expect(events(good + good).count == 2)
    #expect(events(hex("0000FF00FF00") + good) == [.frame(.acknowledge), .frame(.information(hex("D54B00")))])
  }

  @Test func targetsOfEveryKindAreRead() {
    let table: [(String, PN532Modulation, String, TagTechnology)] = [
      ("D54B01 01 0004 08 04 DEADBEEF", .iso14443A, "deadbeef", .iso14443A),
      ("D54B01 01 0044 00 07 04A1B2C3D4E5F6", .iso14443A, "04a1b2c3d4e5f6", .iso14443A),
      ("D54B01 01 0344 20 07 04A1B2C3D4E5F6 06 7577810280 ", .iso14443A, "04a1b2c3d4e5f6", .iso14443A),
      ("D54B01 01 0084 00 0A 04010203040506070809", .iso14443A, "04010203040506070809", .iso14443A),
      ("D54B01 01 12 01 0102030405060708 1112131415161718", .feliCa212, "0102030405060708", .feliCa),
      ("D54B01 01 14 01 0102030405060708 1112131415161718 88B4", .feliCa424, "0102030405060708", .feliCa),
      ("D54B01 01 50 11223344 55667788 99AABB 01 00", .iso14443B, "11223344", .iso14443B),
      ("D54B01 01 0C00 B2565400", .jewel, "b2565400", .jewel),
    ]
    for (answer, modulation, uid, technology) in table {
      for known in [modulation, nil] {
        let readings = PN532Target.readings(inAnswer: hex(answer), to: known)
        #expect(readings?.count == 1, "\(answer)")
        #expect(readings?.first.map { Hexadecimal.text(of: $0.uid.bytes) } == uid)
        #expect(readings?.first?.technology == technology)
      }
      // Every byte is accounted for: one less or one more is no answer.
      #expect(PN532Target.readings(inAnswer: Array(hex(answer).dropLast()), to: modulation) == nil, "\(answer)")
      #expect(PN532Target.readings(inAnswer: hex(answer) + [0], to: modulation) == nil, "\(answer)")
    }
  }

  @Test func answersThatMakeNoSenseHoldNoTag() {
    let table = [
      "D54B03 01 0004 08 04 DEADBEEF", "D54B01 02 0004 08 04 DEADBEEF", "D54B01 01 0004 08 05 DEADBEEF00",
      "D54B01 01 0004 08 04 88ADBEEF", "D54B", "D54D00", "D44B00", "D54B0000",
    ]
    for answer in table { #expect(PN532Target.readings(inAnswer: hex(answer), to: .iso14443A) == nil, "\(answer)") }
    #expect(PN532Target.readings(inAnswer: hex("D54B00"), to: nil) == [])
    let two = "D54B02 01 0004 08 04 DEADBEEF 02 0044 00 07 04A1B2C3D4E5F6"
    #expect(PN532Target.readings(inAnswer: hex(two), to: .iso14443A)?.count == 2)
  }

  @Test func theHostsCommandTellsHowItsAnswerIsRead() {
    var decoder = PN532TagDecoder()
    let command = PN532Frame.information(hex("D44A0100")).wireBytes
    let answer = PN532Frame.information(hex("D54B01 01 0004 08 04 DEADBEEF")).wireBytes
    let events = decoder.decode(command + hex("0000FF00FF00") + answer)
    #expect(events.map(\.uidText) == [nil, nil, "deadbeef"])
    // The same answer to a question for FeliCa is nonsense.
    let feliCa = PN532Frame.information(hex("D44A0101 00FFFF0000")).wireBytes
    #expect(decoder.decode(feliCa + answer).last == .reject(FrameReject(.badContent, byteCount: 12)))
  }

  /// Any mixture of damaged frames: what comes out was put in whole, and pieces do not matter.
  @Test func noiseNeverYieldsAUIDThatWasNotSent() {
    var generator = SeededGenerator(seed: 7)
    var readingCount = 0
    for _ in 0..<400 {
      var sent: Set<String> = []
      var stream: [UInt8] = []
      for _ in 0..<6 {
        let uid = (0..<7).map { _ in UInt8.random(in: 0...255, using: &generator) }
        var frame = PN532Frame.information(hex("D54B0101004400 07") + uid).wireBytes
        switch Int.random(in: 0..<5, using: &generator) {
        case 0:
          frame[Int.random(in: frame.indices, using: &generator)] ^= 1 << UInt8.random(in: 0...7, using: &generator)
        case 1: frame.removeLast(Int.random(in: 3..<frame.count, using: &generator))
        case 2: stream += (0..<12).map { _ in [0x00, 0xFF, 0x09][Int.random(in: 0..<3, using: &generator)] }
        default: break
        }
        sent.insert(Hexadecimal.text(of: uid))
        stream += frame
      }
      var whole = PN532TagDecoder()
      let events = whole.decode(stream) + whole.endOfBurst()
      let uids = events.compactMap(\.uidText)
      readingCount += uids.count
      #expect(Set(uids).isSubset(of: sent))
      var pieces = PN532TagDecoder()
      var pieceEvents: [DecoderEvent] = []
      for byte in stream { pieceEvents += pieces.decode([byte]) }
      #expect((pieceEvents + pieces.endOfBurst()).compactMap(\.uidText) == uids)
    }
    #expect(readingCount > 1000)
  }
}
