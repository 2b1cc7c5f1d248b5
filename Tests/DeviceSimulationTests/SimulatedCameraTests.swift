import DeviceSimulation
import Foundation
import Testing
import Thermography

/// The camera against the simulated sensor: what the maths makes of the words is the scene.
@Suite("Simulated camera")
struct SimulatedCameraTests {
  static func exampleEEPROM() throws -> EEPROMImage {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Hardware/sensors/melexis-example/eeprom.txt")
    let words = try String(contentsOf: file, encoding: .utf8).split(whereSeparator: \.isWhitespace).compactMap {
      UInt16($0)
    }
    return try EEPROMImage(words: words)
  }

  @Test("a capture gives the scene within the averaged noise", arguments: [Resolution.bits18, .bits19])
  func captureGivesScene(resolution: Resolution) throws {
    let clock = VirtualSensorClock()
    let scene = TorsoScene()
    let sensor = SimulatedMLX90640(eeprom: try Self.exampleEEPROM(), clock: clock, scene: scene)
    var camera = ThermalCamera(
      bus: sensor, clock: clock, settings: MLX90640.Settings(refreshRate: .hertz16, resolution: resolution))
    try camera.start()
    let capture = try camera.capture(CaptureRequest(frames: 32))
    let thermogram = try #require(capture)
    let expected = scene.celsius(atMicroseconds: 0)
    var sum = 0.0
    for pixel in 0..<768 {
      let difference = Double(thermogram.celsius[pixel]) - expected[pixel]
      // 0.32 degC of noise at 16 Hz over 32 frames: 0.057 degC; five deviations and the converter's steps.
      #expect(abs(difference) < 0.35, "pixel \(pixel)")
      sum += difference * difference
    }
    #expect((sum / 768).squareRoot() < 0.08)
    #expect(abs(thermogram.ambientCelsius - 28) < 0.05)
    #expect(abs(thermogram.supplyVolts - 3.3) < 0.005)
    #expect(thermogram.framesAveraged == 32)
    #expect(thermogram.settling)
    #expect(thermogram.states.allSatisfy { $0 == .measured })
    let error = thermogram.standardErrorCelsius.reduce(0, +) / 768
    #expect(error > 0.03 && error < 0.09)
  }

  @Test("a noisy sensor is three times as noisy, and from its time on")
  func noiseGrows() throws {
    let clock = VirtualSensorClock()
    let scene = TorsoScene()
    let sensor = SimulatedMLX90640(eeprom: try Self.exampleEEPROM(), clock: clock, scene: scene)
    var camera = ThermalCamera(bus: sensor, clock: clock, settings: MLX90640.Settings(refreshRate: .hertz16))
    try camera.start()
    sensor.faults = [ScriptedFault(.noise(times: 3), fromMicroseconds: clock.nowMicroseconds + 60_000_000)]
    // Against the scene, since the camera's own estimate leaves outliers out.
    func error() throws -> Double {
      let thermogram = try #require(try camera.capture(CaptureRequest(frames: 1)))
      let expected = scene.celsius(atMicroseconds: 0)
      let squares = zip(thermogram.celsius, expected).map { (Double($0) - $1) * (Double($0) - $1) }
      return (squares.reduce(0, +) / 768).squareRoot()
    }
    let calm = try error()
    clock.sleep(untilMicroseconds: clock.nowMicroseconds + 60_000_000)
    _ = try error()  // the camera finds its pace again
    let noisy = try error()
    #expect(noisy > 2.6 * calm && noisy < 3.4 * calm, "\(noisy) after \(calm)")
  }

  @Test("a drifting sensor grows warmer by what was asked for, and stays so")
  func temperatureDrifts() throws {
    let clock = VirtualSensorClock()
    let sensor = SimulatedMLX90640(eeprom: try Self.exampleEEPROM(), clock: clock)
    var camera = ThermalCamera(bus: sensor, clock: clock, settings: MLX90640.Settings(refreshRate: .hertz16))
    try camera.start()
    let start = clock.nowMicroseconds
    sensor.faults = [
      ScriptedFault(.drift(celsiusPerMinute: 0.05), fromMicroseconds: start, untilMicroseconds: start + 600_000_000)
    ]
    for (minute, expected) in [(0, 28.0), (5, 28.25), (10, 28.5), (20, 28.5)] {
      clock.sleep(untilMicroseconds: start + UInt64(minute) * 60_000_000)
      _ = try camera.capture(CaptureRequest(frames: 8))
      let thermogram = try #require(try camera.capture(CaptureRequest(frames: 8)))
      #expect(abs(Double(thermogram.ambientCelsius) - expected) < 0.04, "after \(minute) min")
    }
  }

  @Test("only the status and control registers are ever written")
  func writesOnlyTwoRegisters() throws {
    let clock = VirtualSensorClock()
    let sensor = SimulatedMLX90640(eeprom: try Self.exampleEEPROM(), clock: clock)
    var camera = ThermalCamera(bus: sensor, clock: clock)
    try camera.start()
    for _ in 0..<50 { _ = try camera.step() }
    #expect(Set(sensor.writes.map(\.address)) == [0x8000, 0x800D])
    #expect(camera.sensor.counters.subPages == 50)
    #expect(camera.sensor.counters.missedSubPages == 0)
    #expect(camera.sensor.counters.tornBlocks == 0)
  }
}
