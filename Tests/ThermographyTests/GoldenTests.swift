import Foundation
import Testing
import Thermography

@Suite("Golden temperatures")
struct GoldenTests {
  static let files = ["realistic", "reading_modes"]

  @Test("every golden pixel, Ta and Vdd, by the reference and by the device's converter", arguments: files)
  func goldenFrames(file: String) throws {
    var largest = (reference: 0.0, converter: 0.0)
    var compared = 0
    for golden in try GoldenData.cases(file) {
      let calibration = Calibration(try golden.eeprom)
      let converter = TemperatureConverter(calibration)
      for frame in golden.frames {
        let subPage = try frame.subPage
        let point = OperatingPoint(calibration: calibration, subPage: subPage)
        #expect(abs(point.vddVolts - frame.vdd_exact64) < 0.00002, "\(golden.name) \(frame.label)")
        #expect(abs(point.taCelsius - frame.ta_exact64) < 0.0002, "\(golden.name) \(frame.label)")
        let reference = ReferenceTemperatures(
          calibration: calibration, point: point, emissivity: frame.emissivity,
          reflectedCelsius: frame.tr_input.celsius
        ).image(subPage)
        var image = TemperatureImage()
        converter.convert(
          subPage, at: point, emissivity: frame.emissivity, reflectedCelsius: frame.tr_input.celsius, into: &image)
        let pixels = (0..<768).filter { subPage.control.pattern.subPage(ofPixel: $0) == subPage.number }
        try #require(pixels.count == frame.to_exact64.count)
        for (pixel, expected) in zip(pixels, frame.to_exact64) {
          #expect((reference[pixel] == nil) == (expected == nil))
          #expect(image.valid[pixel] == (expected != nil))
          guard let expected, let found = reference[pixel] else { continue }
          largest.reference = max(largest.reference, abs(found - expected))
          largest.converter = max(largest.converter, abs(Double(image.celsius[pixel]) - expected))
          compared += 1
        }
      }
    }
    print("\(file): largest error \(largest.reference) reference, \(largest.converter) converter, \(compared) pixels")
    #expect(compared > 1000)
    #expect(largest.reference < 0.0005)
    #expect(largest.converter < 0.0005)
  }

  @Test("unpacked pixel constants equal the golden ones")
  func pixelConstants() throws {
    let golden = try #require(try GoldenData.cases("realistic").first)
    let calibration = Calibration(try golden.eeprom)
    let offset = try #require(golden.offset_exact)
    let alpha = try #require(golden.alpha_exact)
    let kta = try #require(golden.kta_exact)
    for pixel in 0..<768 {
      #expect(calibration.offset[pixel] == offset[pixel])
      #expect(abs(calibration.alpha[pixel] - alpha[pixel]) < alpha[pixel] * 1e-8)
      #expect(abs(calibration.kta[pixel] - kta[pixel]) < 1e-9)
    }
  }

  @Test("the vendor's example sheet within 0.001 degC", arguments: [0, 1])
  func exampleSheet(number: Int) throws {
    let eeprom = try GoldenData.exampleEEPROM()
    let words = try GoldenData.words(file: "melexis-example/frame-\(number).txt")
    let subPage = try SubPage(
      words: Array(words[..<832]), control: ControlRegister(rawValue: words[832]), number: Int(words[833]))
    #expect(subPage.number == number)
    let calibration = Calibration(eeprom)
    let point = OperatingPoint(calibration: calibration, subPage: subPage)
    let image = ReferenceTemperatures(calibration: calibration, point: point, emissivity: 1, reflectedCelsius: nil)
      .image(subPage)
    let expected = try GoldenData.numbers(file: "melexis-example/expected-to-\(number).txt")
    try #require(expected.count == 768)
    var largest = 0.0
    for pixel in 0..<768 {
      if let value = image[pixel] { largest = max(largest, abs(value - expected[pixel])) }
    }
    print("sheet \(number): largest error \(largest)")
    #expect(largest < 0.001)
  }
}
