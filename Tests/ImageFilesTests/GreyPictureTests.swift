import Foundation
import ImageFiles
import Testing

/// Files that a stranger may have made.
@Suite struct GreyPictureTests {
  private let samples = (0..<(32 * 24)).map { UInt16(truncatingIfNeeded: $0 &* 40_503 &+ 17) }

  private func file(
    _ texts: [(keyword: String, text: String)] = [("a", "grad °C")],
    compressed: [(keyword: String, text: String)] = [("b", String(repeating: "23 - ", count: 300))]
  ) throws -> [UInt8] {
    try PNGImage(
      width: 32, height: 24, samples: .grey16(samples), calibration: .centikelvin, texts: texts,
      compressedTexts: compressed
    ).encoded()
  }

  private func read(_ file: [UInt8], pixels: Int = 768, text: Int = 1 << 16) throws -> GreyPicture {
    try GreyPicture(file: file, maximumPixels: pixels, maximumTextBytes: text)
  }

  private func reason(_ file: [UInt8], pixels: Int = 768, text: Int = 1 << 16) -> String? {
    do throws(GreyPictureError) {
      _ = try GreyPicture(file: file, maximumPixels: pixels, maximumTextBytes: text)
      return nil
    } catch {
      return error.reason
    }
  }

  @Test func whatWasWrittenIsRead() throws {
    let file = try file()
    let picture = try read(file)
    #expect(picture.width == 32 && picture.height == 24 && picture.samples == samples)
    #expect(picture.texts == ["a": "grad °C", "b": String(repeating: "23 - ", count: 300)])
    // Deflated as asked for, and another decoder sees the same samples.
    #expect(!String(decoding: file, as: UTF8.self).contains("23 - 23"))
    #expect(try Netpbm.decodePNG(file).samples == samples)
  }

  @Test func aFileThatEndsTooEarlyIsRefusedWhereverItEnds() throws {
    let file = try file()
    for count in 0..<file.count { #expect(reason(Array(file[..<count])) != nil, "\(count) bytes") }
  }

  @Test func aBitThatChangedIsFound() throws {
    let file = try file()
    for index in file.indices {
      var damaged = file
      damaged[index] ^= 1 << UInt8(index % 8)
      #expect(reason(damaged) != nil, "byte \(index)")
    }
  }

  @Test func moreThanWasAskedForIsRefused() throws {
    let file = try file()
    #expect(reason(file, pixels: 767) == "too many pixels")
    #expect(reason(file + [0]) == "1 bytes follow the picture's end")
    #expect(reason([]) == "the file is empty")
    // A kilobyte in the file, five megabytes in memory.
    let bomb = try self.file([], compressed: [("b", String(repeating: "0", count: 5_000_000))])
    #expect(bomb.count < 20_000)
    #expect(reason(bomb) != nil)
    #expect(reason(bomb, text: 8 << 20) == nil)
    #expect(reason(try self.file([("a", "1"), ("a", "2")])) == "the text a stands there twice")
  }

  @Test func anotherKindOfPictureIsRefused() throws {
    let expected = "expected 16-bit grey samples, not interlaced"
    #expect(reason(try PNGImage(width: 2, height: 1, samples: .grey8([1, 2])).encoded()) == expected)
    #expect(reason(try PNGImage(width: 1, height: 1, samples: .rgb8([1, 2, 3])).encoded()) == expected)
    #expect(reason(Array("GIF89a, or anything else".utf8)) != nil)
  }
}
