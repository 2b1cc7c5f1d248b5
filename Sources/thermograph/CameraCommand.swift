import ArgumentParser
import DeviceSimulation
import LinuxIO
import LocalFiles
import Thermography

struct CameraCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "camera",
    abstract: "Reads, decodes and calibrates the thermal camera.",
    subcommands: [
      CameraDumpCommand.self, CameraDecodeCommand.self, CameraCalibrateCommand.self, CameraViewCommand.self,
    ])
}

/// Which sensor a command talks to. The running service must not hold the bus at the same time.
struct CameraOptions: ParsableArguments {
  @Option(name: .long, help: "The I2C bus.")
  var bus = "/dev/i2c-1"

  @Option(name: .long, help: "The sensor's I2C address, decimal or 0x-hexadecimal.")
  var address = SensorAddress(value: MLX90640Address.defaultDevice)

  @Option(name: .long, parsing: .unconditional, help: "Sub-pages a second: 0.5, 1, 2, 4, 8, 16, 32 or 64.")
  var rate = 4.0

  @Flag(name: .long, help: "Without a bus: a simulated sensor that looks at a drawn torso.")
  var simulate = false

  @Argument(help: "With --simulate: the word file of the sensor's EEPROM; default: the recorded one.")
  var simulatedEeprom: String?

  func validate() throws {
    if let simulatedEeprom, !simulate {
      throw ValidationError("'\(simulatedEeprom)' is a word file for --simulate; leave it out, or say --simulate too")
    }
    guard RefreshRate(subPagesPerSecond: rate) != nil else {
      throw ValidationError("--rate \(rate): expected 0.5, 1, 2, 4, 8, 16, 32 or 64")
    }
  }

  /// The recorded part, installed or in the project's own folder.
  private static func recordedEeprom() throws -> String {
    let name = "sensors/melexis-example/eeprom.txt"
    let places = ["/usr/share/thermograph/hardware/", "Hardware/"].map { $0 + name }
    guard let place = try places.first(where: { try BoundedFile.exists($0) }) else {
      throw CameraToolError(
        "no recorded sensor at \(places.joined(separator: " or ")); name a word file after --simulate")
    }
    return place
  }

  /// A camera that has not been started.
  func camera() throws -> ThermalCamera {
    let clock = SystemSensorClock()
    let settings = MLX90640.Settings(
      address: address.value, refreshRate: RefreshRate(subPagesPerSecond: rate) ?? .hertz4)
    if simulate {
      let file = try simulatedEeprom ?? Self.recordedEeprom()
      let eeprom = try WordFile.eeprom(BoundedFile.read(file, maximumBytes: WordFile.maximumBytes), name: file)
      var shape = TorsoScene.Shape()
      shape.swayPixels = 0.5
      let sensor = SimulatedMLX90640(
        eeprom: eeprom, clock: clock, scene: TorsoScene(shape), busHertz: 1_000_000, address: address.value)
      return ThermalCamera(bus: sensor, clock: clock, settings: settings)
    }
    return ThermalCamera(bus: try LinuxI2CBus(path: bus), clock: clock, settings: settings)
  }
}

/// A 7-bit I2C address outside of the reserved ranges.
struct SensorAddress: ExpressibleByArgument {
  var value: UInt8

  init(value: UInt8) { self.value = value }

  init?(argument: String) {
    let isHexadecimal = argument.hasPrefix("0x")
    guard
      let value = isHexadecimal ? UInt8(argument.dropFirst(2), radix: 16) : UInt8(argument),
      (0x08...0x77).contains(value)
    else { return nil }
    self.value = value
  }

  var defaultValueDescription: String { "0x" + String(value, radix: 16) }
}
