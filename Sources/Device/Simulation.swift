import Configuration
import DeviceSimulation
import LinuxIO
import LocalFiles
import Logging
import ServiceLifecycle
import Thermography

/// What `--simulate` opens in place of the field's bus and serial device: a sensor at register level before a drawn
/// torso, and a reader on a pseudo-terminal to which a tag is held now and then.
package struct Simulation: Service {
  /// The EEPROM of a real part, below the hardware directory.
  package static let defaultEEPROM = "sensors/melexis-example/eeprom.txt"

  private let settings: Settings
  private let eeprom: EEPROMImage
  private let reader: SimulatedRFIDReader
  private let logger: Logger

  /// - Parameter readerPath: where the simulated serial device appears.
  package init(settings: Settings, readerPath: String, logger: Logger) throws {
    self.settings = settings
    self.logger = logger
    let file = settings.simulation.eepromFile ?? settings.paths.hardwareDirectory + "/" + Self.defaultEEPROM
    eeprom = try WordFile.eeprom(
      BoundedFile.read(file, maximumBytes: WordFile.maximumBytes), name: file)
    reader = try SimulatedRFIDReader(kind: .rdm6300, path: readerPath)
  }

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

  func bus() -> any I2CBus {
    SimulatedMLX90640(
      eeprom: eeprom, clock: SystemSensorClock(), scene: Self.scene(settings.simulation),
      noiseCelsiusAtOneHertz: settings.simulation.noiseCelsius, seed: UInt64(settings.simulation.seed),
      busHertz: Double(settings.camera.busSpeedKHz) * 1000)
  }

  /// Holds a tag to the reader as often as the configuration says.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      do {
        try await Task.sleep(for: .milliseconds(settings.simulation.tagDelayMilliseconds))
        for capture in 0..<settings.simulation.captures {
          if capture > 0 { try await Task.sleep(for: .milliseconds(settings.simulation.tagIntervalMilliseconds)) }
          // Another made-up tag each time: a tag must be away for the hold-off before it counts again.
          await reader.tap([0x0D, 0xE0, 0, 0, UInt8(truncatingIfNeeded: capture + 1)])
        }
        try await Task.sleep(for: .seconds(86_400 * 365))
      } catch {
        // The device stops: nobody taps any more.
      }
    }
    await reader.unplug()
  }
}
