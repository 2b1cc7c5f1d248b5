import DeviceSimulation
import Foundation
import Testing
import Thermography

@Suite struct RecordedCameraTests {
  private func example() throws -> (eeprom: EEPROMImage, subPages: [SubPage], expected: [[Double]]) {
    let folder =
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path + "/Hardware/sensors/melexis-example/"
    func text(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + name))) }
    let subPages = try (0...1).map { try WordFile.frame(text("frame-\($0).txt"), name: "frame-\($0)") }
    let expected = try (0...1).map { index in
      String(decoding: try text("expected-to-\(index).txt"), as: UTF8.self).split(whereSeparator: \.isWhitespace)
        .compactMap { Double($0) }
    }
    return (try WordFile.eeprom(text("eeprom.txt"), name: "eeprom.txt"), subPages, expected)
  }

  @Test func aCaptureIsTheMakersTemperatures() throws {
    let (eeprom, subPages, expected) = try example()
    let clock = VirtualSensorClock()
    var camera = try RecordedCamera(eeprom: eeprom, subPages: subPages, clock: clock)
    #expect(camera.frameCount == 1 && camera.refreshRate == subPages[0].control.refreshRate)
    camera.begin(CaptureRequest(frames: 1, emissivity: 1, reflectedCelsius: 23.15))
    let start = clock.nowMicroseconds
    let steps = (camera.step(), camera.step())
    #expect(!steps.0.captureComplete && steps.1.captureComplete)
    // Played at the rate of the recording.
    #expect(clock.nowMicroseconds - start == 2 * UInt64(camera.refreshRate.periodMicroseconds))
    let taken = camera.takeThermogram()
    let thermogram = try #require(taken)
    #expect(thermogram.framesAveraged == 1)
    var compared = 0
    for pixel in 0..<768 where thermogram.states[pixel] == .measured {
      let value = expected[0][pixel] != 0 ? expected[0][pixel] : expected[1][pixel]
      #expect(abs(Double(thermogram.celsius[pixel]) - value) < 1, "pixel \(pixel)")
      compared += 1
    }
    #expect(compared > 700)
  }

  @Test func halfARecordingIsRefused() throws {
    let (eeprom, subPages, _) = try example()
    for part in [[], [subPages[0]], [subPages[1], subPages[1]]] {
      #expect(throws: RecordingError.self) {
        try RecordedCamera(eeprom: eeprom, subPages: part, clock: VirtualSensorClock())
      }
    }
    var words = eeprom.words
    words[10] = 0xFFFF
    #expect(throws: RecordingError.self) {
      try RecordedCamera(eeprom: try EEPROMImage(words: words), subPages: subPages, clock: VirtualSensorClock())
    }
  }
}
