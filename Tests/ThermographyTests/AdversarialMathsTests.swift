import DeviceSimulation
import Provenance
import Testing
import Thermography

/// EEPROMs and frames far from any real part: the device's converter must equal the reference wherever there is a
/// temperature, and be invalid where there is none.
@Suite("Adversarial maths")
struct AdversarialMathsTests {
  /// A real part's EEPROM with every calibration field drawn anew from its whole range.
  static func wildEEPROM(using generator: inout SeededGenerator) throws -> EEPROMImage {
    var words = try GoldenData.exampleEEPROM().words
    func random() -> UInt16 { UInt16(truncatingIfNeeded: generator.next()) }
    // Scales and averages stay where numbers are meaningful; everything else is free.
    for index in 18...31 { words[index] = random() }
    for index in 34...47 { words[index] = random() }
    words[17] = UInt16(bitPattern: Int16.random(in: -400...400, using: &generator))
    words[33] = UInt16.random(in: 3000...20_000, using: &generator)
    for index in [52, 53, 54, 55, 57, 58, 59, 60, 61, 62] { words[index] = random() }
    words[10] = random() & 0x0800 | words[10] & ~0x0800
    words[56] = random() & 0x3FFF
    words[63] = random() & 0x3FF0 | UInt16.random(in: 6...10, using: &generator)
    for index in 64..<832 { words[index] = random() }
    return try EEPROMImage(words: words)
  }

  static func wildFrame(
    _ calibration: Calibration, using generator: inout SeededGenerator
  ) throws -> SubPage {
    var words = try GoldenData.words(file: "melexis-example/frame-0.txt")
    let span = [300, 3000, 32_000].randomElement(using: &generator) ?? 300
    for index in 0..<768 {
      words[index] = UInt16(bitPattern: Int16.random(in: Int16(-span)...Int16(span), using: &generator))
    }
    words[AuxiliaryIndex.gain] = UInt16(calibration.gain * (0.6 + generator.uniform()))
    words[AuxiliaryIndex.vdd] = UInt16(bitPattern: Int16(calibration.vdd25 + (generator.uniform() - 0.5) * 1500))
    words[AuxiliaryIndex.vbe] = UInt16(18_000 + generator.uniform() * 4000)
    let pattern: ReadingPattern = generator.uniform() < 0.5 ? .chess : .interleaved
    let resolution = Resolution.allCases.randomElement(using: &generator) ?? .bits18
    return try SubPage(
      words: Array(words[..<832]),
      control: ControlRegister(refreshRate: .hertz4, resolution: resolution, pattern: pattern),
      number: Int(generator.next() & 1))
  }

  @Test("converter equals reference on wild calibrations")
  func converterEqualsReference() throws {
    var compared = 0
    for seed in 1...UInt64(60) {
      var generator = SeededGenerator(seed: seed)
      let calibration = Calibration(try Self.wildEEPROM(using: &generator))
      let converter = TemperatureConverter(calibration)
      for _ in 0..<6 {
        let (largest, count) = try Self.largestDifference(calibration, converter, using: &generator)
        #expect(largest < 0.0005, "seed \(seed)")
        compared += count
      }
    }
    #expect(compared > 20_000)
  }

  /// The largest difference in degC over one wild frame, and over how many pixels.
  private static func largestDifference(
    _ calibration: Calibration, _ converter: TemperatureConverter, using generator: inout SeededGenerator
  ) throws -> (Double, Int) {
    let subPage = try wildFrame(calibration, using: &generator)
    let point = OperatingPoint(calibration: calibration, subPage: subPage)
    let emissivity = 0.3 + 0.7 * generator.uniform()
    let reflected = generator.uniform() < 0.5 ? nil : 60 * generator.uniform() - 20
    let reference = ReferenceTemperatures(
      calibration: calibration, point: point, emissivity: emissivity, reflectedCelsius: reflected
    ).image(subPage)
    var image = TemperatureImage()
    converter.convert(subPage, at: point, emissivity: emissivity, reflectedCelsius: reflected, into: &image)
    var largest = 0.0
    var compared = 0
    for pixel in 0..<768 {
      guard let expected = reference[pixel] else {
        #expect(!image.valid[pixel])
        continue
      }
      // Beyond, single precision cannot even store a value to 0.0005 degC.
      guard abs(expected) < 4000 else { continue }
      largest = max(largest, image.valid[pixel] ? abs(Double(image.celsius[pixel]) - expected) : .infinity)
      compared += 1
    }
    return (largest, compared)
  }

  @Test("words from temperatures give the temperatures back, in every range and pattern")
  func inverseIsInverse() throws {
    let eeprom = try GoldenData.exampleEEPROM()
    let calibration = Calibration(eeprom)
    for pattern in ReadingPattern.allCases {
      let control = ControlRegister(refreshRate: .hertz4, resolution: .bits18, pattern: pattern)
      let synthesis = SubPageSynthesis(
        calibration: calibration, control: control, conditions: SubPageSynthesis.Conditions())
      let reference = ReferenceTemperatures(calibration: calibration, point: synthesis.point, emissivity: 0.98)
      for celsius in stride(from: -30.0, through: 350, by: 19) {
        let scene = Array(repeating: celsius, count: 768)
        let counts = synthesis.rawCounts(celsius: scene).counts
        for pixel in stride(from: 0, to: 768, by: 37) {
          let signal = reference.infrared(
            raw: counts[pixel], pixel: pixel, subPage: pattern.subPage(ofPixel: pixel))
          #expect(abs(reference.celsius(infrared: signal, pixel: pixel) - celsius) < 1e-6)
        }
      }
    }
  }
}
