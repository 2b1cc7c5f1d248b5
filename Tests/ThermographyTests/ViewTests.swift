import Testing
import Thermography

@Suite("Views and word files")
struct ViewTests {
  @Test("palettes run from dark to bright and have as many colours as they say")
  func palettes() {
    #expect(Palette.gray.color(at: 0) == RGBColor(gray: 0) && Palette.gray.color(at: 1) == RGBColor(gray: 255))
    #expect(Palette.inferno.color(at: 0) == RGBColor(0, 0, 4))
    #expect(Palette.inferno.color(at: 1) == RGBColor(252, 255, 164))
    let bands = Set((0...1000).map { Palette.clinical.color(at: Double($0) / 1000) })
    #expect(bands.count == 16)
    for palette in [Palette.gray, .inferno, .iron] {
      let luminance = (0...100).map { step -> Double in
        let color = palette.color(at: Double(step) / 100)
        return 0.2126 * Double(color.red) + 0.7152 * Double(color.green) + 0.0722 * Double(color.blue)
      }
      #expect(zip(luminance, luminance.dropFirst()).allSatisfy { $1 >= $0 - 0.5 }, "\(palette)")
    }
    #expect(Palette.inferno.color(at: -5) == Palette.inferno.color(at: 0))
    #expect(Palette.inferno.color(at: .nan) == Palette.inferno.color(at: 0))
  }

  @Test("a view has a fixed window, a scale bar, and words; a pixel without a value is gray")
  func view() {
    var thermogram = Thermogram(celsius: Array(repeating: 32, count: 768), ambientCelsius: 25)
    thermogram.states[400] = .invalid
    let image = ThermogramView(captureID: "9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11").render(thermogram)
    #expect(image.width == 376 && image.height == 264)
    #expect(image.bytes.count == image.width * image.height * 3)
    #expect(image[column: 5, row: 5] == Palette.inferno.color(at: 0.5))
    #expect(image[column: 400 % 32 * 10 + 5, row: 400 / 32 * 10 + 5] == RGBColor(gray: 96))
    // The bar's ends are the palette's.
    #expect(image[column: 330, row: 16] == Palette.inferno.color(at: 1))
    #expect(image[column: 330, row: 16 + 208] == Palette.inferno.color(at: 0))
    // Words change only the strip below the image.
    let other = ThermogramView(captureID: "00000000-0000-4000-8000-000000000000").render(thermogram)
    let difference = image.bytes.indices.filter { image.bytes[$0] != other.bytes[$0] }.map { $0 / 3 / image.width }
    #expect(!difference.isEmpty && difference.allSatisfy { $0 >= 240 })
  }

  @Test("a view says whose left is where, below the side that is meant, and keeps its notice")
  func sides() {
    let thermogram = Thermogram(celsius: Array(repeating: 32, count: 768), ambientCelsius: 25)
    let plain = ThermogramView(captureID: "").render(thermogram)
    let sided = ThermogramView(captureID: "", rightSide: "patient's left").render(thermogram)
    let changed = plain.bytes.indices.filter { plain.bytes[$0] != sided.bytes[$0] }.map { $0 / 3 }
    #expect(!changed.isEmpty)
    #expect(changed.allSatisfy { (240..<264).contains($0 / plain.width) && (230..<320).contains($0 % plain.width) })
  }

  @Test("temperatures outside of the window take the end colours")
  func window() {
    let cold = ThermogramView(captureID: "").render(
      Thermogram(celsius: Array(repeating: -40, count: 768), ambientCelsius: 25))
    #expect(cold[column: 100, row: 100] == Palette.inferno.color(at: 0))
    let hot = ThermogramView(captureID: "").render(
      Thermogram(celsius: Array(repeating: 300, count: 768), ambientCelsius: 25))
    #expect(hot[column: 100, row: 100] == Palette.inferno.color(at: 1))
  }

  @Test("word files: decimal, hexadecimal, and mistakes with their line")
  func wordFiles() throws {
    #expect(try WordFile.parse(Array("0x1F 31\n\t0XFFFF 65535\r\n".utf8), name: "f") == [31, 31, 65_535, 65_535])
    for (text, line) in [("1 2\n3 x", 2), ("70000", 1), ("0x10000", 1), ("-1", 1), ("1\n\n2 0x", 3), ("+5", 1)] {
      #expect {
        _ = try WordFile.parse(Array(text.utf8), name: "f")
      } throws: { ($0 as? WordFileError)?.line == line }
    }
    #expect(throws: WordFileError.self) { try WordFile.eeprom(Array("1 2 3".utf8), name: "f") }
    let words = try GoldenData.exampleEEPROM().words
    #expect(try WordFile.parse(Array(WordFile.text(of: words).utf8), name: "f") == words)
  }

  @Test("decoding lists defects, keeps their values, and warns of what is implausible")
  func decoding() throws {
    var words = try GoldenData.exampleEEPROM().words
    words[64] = 0
    words[64 + 3] |= 1
    words[3] = 0
    var decoder = FrameDecoder(try EEPROMImage(words: words))
    var frame = try GoldenData.words(file: "melexis-example/frame-0.txt")
    frame[2] = 0x7FFF
    let subPage = try SubPage(
      words: Array(frame[..<832]), control: ControlRegister(rawValue: frame[832]), number: Int(frame[833]))
    let decoded = decoder.decode(subPage)
    #expect(decoded.invalid == [0, 2, 3])
    #expect(decoded.to[0] != nil && decoded.to[1] == nil && decoded.to[2] == nil)
    #expect(decoded.mode == "chess" && decoded.subpage == 0)
    #expect(decoder.warnings.count == 3)
    #expect(decoder.warnings(for: subPage).count == 1)
    decoder.interpolates = true
    let repaired = decoder.decode(subPage)
    #expect(repaired.to[2] != nil && repaired.to[1] == nil)
    decoder.interpolates = false
    decoder.maths = .device
    let device = decoder.decode(subPage)
    for pixel in 0..<768 {
      guard let expected = decoded.to[pixel] else { continue }
      #expect(abs((device.to[pixel] ?? .infinity) - expected) < 0.0005)
    }
  }
}
