import CAllocationCount
import DeviceSimulation
import Testing
import Thermography

@Suite("Allocations of the camera's hot path")
struct AllocationTests {
  @Test("words to temperatures allocate nothing", arguments: [0, 1])
  func conversionAllocatesNothing(number: Int) throws {
    let calibration = Calibration(try GoldenData.exampleEEPROM())
    let converter = TemperatureConverter(calibration)
    let words = try GoldenData.words(file: "melexis-example/frame-\(number).txt")
    let subPage = try SubPage(
      words: Array(words[..<832]), control: ControlRegister(rawValue: words[832]), number: Int(words[833]))
    let point = OperatingPoint(calibration: calibration, subPage: subPage)
    var image = TemperatureImage()
    converter.convert(subPage, at: point, emissivity: 0.98, into: &image)
    allocation_counts_reset()
    for _ in 0..<100 { converter.convert(subPage, at: point, emissivity: 0.98, into: &image) }
    let counts = allocation_counts_read()
    #expect(counts.allocations == 0)
    #expect(counts.mutex_locks == 0)
    #expect(image.extremes != nil)
  }

  @Test("filter, conversion, motion, pixel health and averaging allocate nothing in mid-capture")
  func pipelineAllocatesNothing() throws {
    let eeprom = try GoldenData.exampleEEPROM()
    var pipeline = CapturePipeline(
      converter: TemperatureConverter(Calibration(eeprom)), defects: eeprom.defectivePixels)
    let pages = try (0...1).map { number in
      let words = try GoldenData.words(file: "melexis-example/frame-\(number).txt")
      return try SubPage(
        words: Array(words[..<832]), control: ControlRegister(rawValue: words[832]), number: Int(words[833]))
    }
    pipeline.begin(CaptureRequest(frames: 200, motionLimitCelsius: 1000))
    var time: UInt64 = 0
    func step(_ count: Int) -> Int? {
      var frames: Int?
      for index in 0..<count {
        time += 62_500
        frames = pipeline.add(pages[index & 1], refreshRate: .hertz16, nowMicroseconds: time).framesAveraged
      }
      return frames
    }
    _ = step(64)
    allocation_counts_reset()
    // The pixels' health is judged once in 64 frames, and that sorts; in between nothing may be allocated.
    let frames = step(50)
    let counts = allocation_counts_read()
    #expect(counts.allocations == 0)
    #expect(frames.map { $0 > 50 } == true)
  }
}
