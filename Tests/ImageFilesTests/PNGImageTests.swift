import Foundation
import ImageFiles
import Provenance
import Testing

/// The files are read back by netpbm and by walking the chunks, never by the code that wrote them.
@Suite struct PNGImageTests {
  @Test func sixteenBitGreySurvivesAnIndependentDecoder() throws {
    var samples: [UInt16] = []
    for index in 0..<(32 * 24) { samples.append(UInt16(truncatingIfNeeded: index &* 40_503 &+ 17)) }
    let file = try PNGImage(width: 32, height: 24, samples: .grey16(samples)).encoded()
    let decoded = try Netpbm.decodePNG(file)
    #expect(decoded.width == 32 && decoded.height == 24 && decoded.maximum == 65535 && decoded.channels == 1)
    #expect(decoded.samples == samples)
  }

  @Test func rgbSurvivesAnIndependentDecoder() throws {
    let rgb = (0..<(5 * 3 * 3)).map { UInt8(truncatingIfNeeded: $0 * 11) }
    let decoded = try Netpbm.decodePNG(PNGImage(width: 5, height: 3, samples: .rgb8(rgb)).encoded())
    #expect(decoded.channels == 3)
    #expect(decoded.samples == rgb.map(UInt16.init))
  }

  @Test func chunksCarryCalibrationTimeAndText() throws {
    let modified = Timestamp(
      utcNanoseconds: 1_772_357_400_125_000_000, bootID: "b", monotonicNanoseconds: 1, synchronised: true)
    let file = try PNGImage(
      width: 1, height: 1, samples: .grey16([30_000]), calibration: .centikelvin, modified: modified,
      texts: [("manifest", "{\"grad\":\"°C\"}")]
    ).encoded()
    let chunks = PNGChunks.all(of: file)
    #expect(chunks.first?.type == "IHDR")
    #expect(chunks.last?.type == "IEND")
    let calibration = try #require(chunks.first { $0.type == "pCAL" })
    // name, 0, X0, X1, equation type 0, two parameters, unit, 0, p0, 0, p1
    let expected: [UInt8] =
      Array("temperature".utf8) + [0] + [0, 0, 0, 0] + [0, 0, 0xFF, 0xFF] + [0, 2] + Array("Cel".utf8) + [0]
      + Array("-273.15".utf8) + [0] + Array("655.35".utf8)
    #expect(calibration.data == expected)
    let time = try #require(chunks.first { $0.type == "tIME" })
    #expect(time.data == [0x07, 0xEA, 3, 1, 9, 30, 0])
    let text = try #require(chunks.first { $0.type == "iTXt" })
    #expect(text.data == Array("manifest".utf8) + [0, 0, 0, 0, 0] + Array("{\"grad\":\"°C\"}".utf8))
  }

  @Test func wrongSampleCountIsAnError() {
    #expect(throws: PNGError(reason: "3 bytes of samples; expected 4 for 2x2")) {
      try PNGImage(width: 2, height: 2, samples: .grey8([1, 2, 3])).encoded()
    }
    #expect(throws: PNGError.self) { try PNGImage(width: 0, height: 2, samples: .grey8([])).encoded() }
    #expect(throws: PNGError.self) { try PNGImage(width: 5000, height: 1, samples: .grey8([])).encoded() }
  }

  @Test func aKeywordThatPNGForbidsIsAnErrorAndNotALostChunk() {
    let long = String(repeating: "k", count: 80)
    #expect(throws: PNGError.self) {
      try PNGImage(width: 1, height: 1, samples: .grey8([0]), texts: [(long, "text")]).encoded()
    }
  }
}
