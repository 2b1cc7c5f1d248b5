import Configuration
import DeviceSimulation
import Identification
import LinuxIO
import LocalFiles
import Logging
import Panel
import ServiceLifecycle
import Synchronization
import Thermography

/// What `--simulate` opens in place of the field's bus and serial device: a sensor at register level before a drawn
/// torso, and a reader on a pseudo-terminal to which a tag is held now and then.
package struct Simulation: Service {
  /// The EEPROM of a real part, below the hardware directory.
  package static let defaultEEPROM = "sensors/melexis-example/eeprom.txt"

  private let settings: Settings
  private let eeprom: EEPROMImage
  private let reader: SimulatedRFIDReader
  private let captures = CaptureCount()
  private let logger: Logger

  /// - Parameter readerPath: where the simulated serial device appears.
  package init(settings: Settings, readerPath: String, logger: Logger) throws {
    self.settings = settings
    self.logger = logger
    eeprom = try Self.eeprom(settings)
    reader = try SimulatedRFIDReader(kind: .rdm6300, path: readerPath)
  }

  private static func eeprom(_ settings: Settings) throws -> EEPROMImage {
    let file = settings.simulation.eepromFile ?? settings.paths.hardwareDirectory + "/" + defaultEEPROM
    return try WordFile.eeprom(BoundedFile.read(file, maximumBytes: WordFile.maximumBytes), name: file)
  }

  /// The simulation has no front panel; nil leaves the configuration's lines alone.
  var panel: (any PanelPins)? { nil }

  func plugInReader() async throws -> String { reader.path }

  /// The scene that a capture shows, for whoever compares.
  package static func scene(_ simulation: Settings.Simulation) -> TorsoScene {
    var shape = TorsoScene.Shape()
    shape.backgroundCelsius = simulation.ambientCelsius
    shape.skinCelsius = simulation.skinCelsius
    shape.seed = UInt64(simulation.seed)
    if simulation.hotSpotCelsius != 0 { shape.spot = (20, 12, 1.5, simulation.hotSpotCelsius) }
    return TorsoScene(shape)
  }

  func unplug() async {
    await reader.unplug()
  }

  /// For doctor: holds a made-up tag to the reader over and over, until cancelled.
  func tapAgainAndAgain() async {
    while !Task.isCancelled {
      await reader.tap([0x0D, 0xE0, 0, 0, 1])
      try? await Task.sleep(for: .milliseconds(200))
    }
  }

  func bus() -> any I2CBus { Self.bus(settings, eeprom) }

  /// The simulated sensor alone, for a session without a reader.
  static func bus(_ settings: Settings) throws -> any I2CBus { bus(settings, try eeprom(settings)) }

  private static func bus(_ settings: Settings, _ eeprom: EEPROMImage) -> any I2CBus {
    let clock = SystemSensorClock()
    let sensor = SimulatedMLX90640(
      eeprom: eeprom, clock: clock, scene: scene(settings.simulation),
      noiseCelsiusAtOneHertz: settings.simulation.noiseCelsius, seed: UInt64(settings.simulation.seed),
      busHertz: Double(settings.camera.busSpeedKHz) * 1000)
    sensor.faults = faults(settings.simulation, from: clock.nowMicroseconds)
    return sensor
  }

  /// - Parameter start: of the camera, on its clock.
  static func faults(_ simulation: Settings.Simulation, from start: UInt64) -> [ScriptedFault] {
    let kind: ScriptedFault.Kind
    switch simulation.sensorFault {
    case .none: return []
    case .stuck: kind = .frozen
    case .noisy: kind = .noise(times: 3)
    // Half a degree in sixty steps.
    case .drifting: kind = .drift(celsiusPerMinute: 0.5 * 1000 / Double(simulation.sentinelStepMilliseconds))
    case .unplugged: kind = .unplugged
    }
    return [
      ScriptedFault(kind, fromMicroseconds: start + UInt64(simulation.sensorFaultAfterSeconds) * 1_000_000)
    ]
  }

  /// Told by the session.
  func sessionChanged(_ change: SessionService.Change) {
    switch change {
    case .opened: captures.started.add(1, ordering: .relaxed)
    case .saved: break
    case .closed: captures.ended.add(1, ordering: .relaxed)
    }
  }

  /// Holds a tag to the reader as often as the configuration says: the next one when the capture before has ended and
  /// the interval has passed, and again when a tap was too short for a busy machine.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      do {
        try await Task.sleep(for: .milliseconds(settings.simulation.tagDelayMilliseconds))
        for capture in 0..<settings.simulation.captures {
          if capture > 0 { try await Task.sleep(for: .milliseconds(settings.simulation.tagIntervalMilliseconds)) }
          // Another made-up tag each time: a tag must be away for the hold-off before it counts again.
          let tag: [UInt8] = [0x0D, 0xE0, 0, 0, UInt8(truncatingIfNeeded: capture + 1)]
          for _ in 0..<Self.maximumTaps where captures.started.load(ordering: .relaxed) <= capture {
            await reader.tap(tag)
            try await wait(seconds: 5) { captures.started.load(ordering: .relaxed) > capture }
          }
          try await wait(seconds: 300) { captures.ended.load(ordering: .relaxed) > capture }
        }
        try await Task.sleep(for: .seconds(86_400 * 365))
      } catch {
        // The device stops: nobody taps any more.
      }
    }
    await reader.unplug()
  }

  private static let maximumTaps = 20

  /// Polls until `condition` holds, or until the time is over.
  private func wait(seconds: Int, until condition: () -> Bool) async throws {
    for _ in 0..<(seconds * 50) where !condition() { try await Task.sleep(for: .milliseconds(20)) }
  }
}

/// How many sessions of this run have begun and ended.
private final class CaptureCount: Sendable {
  let started = Atomic<Int>(0)
  let ended = Atomic<Int>(0)
}
