import DeviceSimulation
import Provenance
import Testing
import Thermography

@Suite("Image quality")
struct ImageQualityTests {
  private func camera(
    scene: any ThermalScene = TorsoScene(), rate: RefreshRate = .hertz16, noise: Double = 0.08
  ) throws -> (ThermalCamera, SimulatedMLX90640, VirtualSensorClock) {
    let clock = VirtualSensorClock()
    let sensor = SimulatedMLX90640(
      eeprom: try GoldenData.exampleEEPROM(), clock: clock, scene: scene, noiseCelsiusAtOneHertz: noise)
    var camera = ThermalCamera(bus: sensor, clock: clock, settings: MLX90640.Settings(refreshRate: rate))
    try camera.start()
    return (camera, sensor, clock)
  }

  @Test("motion starts the averaging again, a bounded number of times")
  func motionRestarts() throws {
    var shape = TorsoScene.Shape()
    shape.swayPixels = 3
    shape.swayPeriodSeconds = 1
    var (camera, _, _) = try camera(scene: TorsoScene(shape))
    let captured = try camera.capture(CaptureRequest(frames: 8, maximumRestarts: 4))
    let moving = try #require(captured)
    #expect(moving.restarts == 4)
    #expect(moving.motionCelsius > 1.5)
    var (still, _, _) = try self.camera()
    let calm = try still.capture(CaptureRequest(frames: 8))
    #expect(calm?.restarts == 0)
  }

  @Test("a stuck and a noisy pixel are found while running and interpolated")
  func pixelHealth() throws {
    var (camera, sensor, _) = try camera(scene: StillScene(uniformCelsius: 30))
    sensor.faults = [ScriptedFault(.word(index: 205, value: 0xFF80))]
    sensor.noisyPixels = [410: 30]
    for _ in 0..<300 { _ = try camera.step() }
    #expect(camera.defects.found == [205, 410])
    let captured = try camera.capture(CaptureRequest(frames: 16))
    let thermogram = try #require(captured)
    #expect(thermogram.states[205] == .interpolated)
    #expect(abs(thermogram.celsius[205] - 30) < 0.3)
    #expect(thermogram.states.filter { $0 != .measured }.count == 2)
  }

  @Test("warm-up ends after 240 s of a steady die, not before, and not while it drifts")
  func warmUp() throws {
    var (camera, sensor, clock) = try camera(rate: .hertz2)
    var settledAfter: Double?
    let start = clock.nowMicroseconds
    while settledAfter == nil, clock.nowMicroseconds - start < 600_000_000 {
      // One degC a minute for the first five minutes.
      let minutes = Double(clock.nowMicroseconds - start) / 60e6
      sensor.conditions.ambientCelsius = 28 + min(minutes, 5)
      if try !camera.step().settling { settledAfter = Double(clock.nowMicroseconds - start) / 1e6 }
    }
    let seconds = try #require(settledAfter)
    #expect(seconds > 300 && seconds < 400)
  }

  @Test("a flat field flattens, and refuses what is not flat")
  func flatField() throws {
    let tilted = (0..<768).map { 32 + 0.4 * (Double($0 % 32) / 31 - 0.5) }
    var (camera, _, _) = try camera(scene: StillScene(celsius: tilted), rate: .hertz2)
    for _ in 0..<520 { _ = try camera.step() }
    let captured = try camera.capture(CaptureRequest(frames: 64))
    let thermogram = try #require(captured)
    let taken = Timestamp(utcNanoseconds: 0, bootID: "", monotonicNanoseconds: 0, synchronised: true)
    let field = try FlatField(thermogram: thermogram, serialNumber: "1710a2240185", taken: taken)
    #expect(field.isUsable(withSensor: "1710a2240185"))
    #expect(!field.isUsable(withSensor: "000000000000"))
    var (corrected, _, _) = try self.camera(scene: StillScene(celsius: tilted), rate: .hertz2)
    try corrected.start(archive: OneFlatField(field: field))
    let after = try corrected.capture(CaptureRequest(frames: 64))
    let flat = try #require(after)
    #expect(abs(flat.celsius[5] - 32) < 0.12 && abs(flat.celsius[26] - 32) < 0.12)
    #expect(thermogram.celsius[31] - thermogram.celsius[0] > 0.25)

    var (torso, _, _) = try self.camera(rate: .hertz2)
    for _ in 0..<520 { _ = try torso.step() }
    let body = try torso.capture(CaptureRequest(frames: 64))
    let notFlat = try #require(body)
    #expect(throws: FlatFieldError.self) {
      try FlatField(thermogram: notFlat, serialNumber: "1710a2240185", taken: taken)
    }
  }

  @Test("a changed EEPROM is replaced by its backup, with an alarm")
  func backupIsUsed() throws {
    let good = try GoldenData.exampleEEPROM()
    var words = good.words
    words[200] ^= 0x0400
    let clock = VirtualSensorClock()
    let sensor = SimulatedMLX90640(eeprom: try EEPROMImage(words: words), clock: clock)
    var camera = ThermalCamera(bus: sensor, clock: clock)
    try camera.start(archive: OneBackup(backup: good))
    #expect(camera.eeprom == good)
    #expect(camera.takeEvents() == [.calibrationFromBackup(differingWords: 1)])
    _ = try camera.step()
  }

  @Test("interpolation uses valid neighbours only, sides before corners")
  func interpolation() throws {
    var celsius = (0..<768).map { Float($0 % 32) }
    celsius[33] = 1000
    celsius[34] = 2000
    var defects = DefectivePixels()
    defects.found = [33, 34]
    let image = Thermogram(celsius: celsius, ambientCelsius: 25).interpolated(over: defects)
    #expect(image.celsius[33] == Float(1 + 1 + 0) / 3)  // above, below, left; the right neighbour is bad too
    #expect(image.celsius[34] == Float(2 + 2 + 3) / 3)
    #expect(image.states[33] == .interpolated && image.states[32] == .measured)
    var island = DefectivePixels()
    island.found = [0, 1, 2, 32, 33, 34, 64, 65, 66]
    let gone = Thermogram(celsius: celsius, ambientCelsius: 25).interpolated(over: island)
    #expect(gone.states[0] == .invalid && gone.states[33] == .invalid)
    #expect(gone.states[2] == .interpolated)
  }

  private struct OneFlatField: SensorArchive {
    var field: FlatField
    func eeprom(serialNumber: String) throws(SensorArchiveError) -> EEPROMImage? { nil }
    func allEEPROMs() throws(SensorArchiveError) -> [EEPROMImage] { [] }
    func keep(_ eeprom: EEPROMImage) throws(SensorArchiveError) {}
    func flatField(serialNumber: String) throws(SensorArchiveError) -> FlatField? { field }
  }

  private struct OneBackup: SensorArchive {
    var backup: EEPROMImage
    func eeprom(serialNumber: String) throws(SensorArchiveError) -> EEPROMImage? { backup }
    func allEEPROMs() throws(SensorArchiveError) -> [EEPROMImage] { [backup] }
    func keep(_ eeprom: EEPROMImage) throws(SensorArchiveError) {}
    func flatField(serialNumber: String) throws(SensorArchiveError) -> FlatField? { nil }
  }
}
